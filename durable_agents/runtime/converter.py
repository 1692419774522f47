"""How values become payloads: JSON of Pydantic models, without what equals its default.

Leaving defaults out keeps histories small; it means that a default, once released, never
changes its value.
"""

import dataclasses
from typing import Any

from pydantic_core import SchemaSerializer
from pydantic_core.core_schema import any_schema
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)

_SERIALIZER = SchemaSerializer(any_schema())


class CompactJSONPayloadConverter(PydanticJSONPlainPayloadConverter):
    """Writes JSON without defaults, reads it with cached type adapters."""

    def to_payload(self, value: Any) -> Payload | None:
        """Serialize a value."""
        return Payload(
            metadata={"encoding": self.encoding.encode()},
            data=_SERIALIZER.to_json(value, exclude_defaults=True),
        )


class CompactPayloadConverter(CompositePayloadConverter):
    """The SDK's converters with the compact one in the place of plain JSON."""

    def __init__(self) -> None:
        compact = CompactJSONPayloadConverter()
        super().__init__(
            *(
                compact if isinstance(converter, JSONPlainPayloadConverter) else converter
                for converter in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


DATA_CONVERTER = dataclasses.replace(
    DataConverter.default, payload_converter_class=CompactPayloadConverter
)
