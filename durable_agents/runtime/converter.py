"""How values become payloads: JSON of Pydantic models, without what equals its default.

Leaving defaults out keeps histories small; it means that a default, once released, never
changes its value.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import SchemaSerializer
from pydantic_core.core_schema import any_schema
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    ExternalStorage,
    JSONPlainPayloadConverter,
)
from temporalio.exceptions import ApplicationError

from durable_agents.runtime.encryption import EncryptionCodec
from durable_agents.runtime.payload_failures import EncodedFailures, NamedFailures
from durable_agents.telemetry.redaction import SECRETS

MISFIT = "ValidationError"
"""What history names the failure of JSON that does not fit."""

_SERIALIZER = SchemaSerializer(any_schema())


class CompactJSONPayloadConverter(PydanticJSONPlainPayloadConverter):
    """Writes JSON without defaults and without secrets, reads it with cached type adapters."""

    def to_payload(self, value: Any) -> Payload | None:
        """Serialize a value."""
        return Payload(
            metadata={"encoding": self.encoding.encode()},
            data=SECRETS.redact_bytes(_SERIALIZER.to_json(value, exclude_defaults=True)),
        )

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Read a value.

        Raises:
            ApplicationError: It does not fit its type; says what in one sentence, and is final.
        """
        try:
            return super().from_payload(payload, type_hint)
        except ValidationError as error:
            raise ApplicationError(_told(error), type=MISFIT, non_retryable=True) from None


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


def _told(error: ValidationError) -> str:
    """What does not fit, for the person who typed it."""
    first, *others = error.errors(include_url=False, include_input=False, include_context=False)
    where = ".".join(str(part) for part in first["loc"])
    reason = f"{where}: {first['msg']}" if where else first["msg"]
    more = f" (and {len(others)} more)" if others else ""
    return f"What was given does not fit {error.title}: {reason}{more}."


DATA_CONVERTER = dataclasses.replace(
    DataConverter.default,
    payload_converter_class=CompactPayloadConverter,
    payload_codec=EncryptionCodec({}),
    failure_converter_class=NamedFailures,
)
"""Without keys and without a store; what was encrypted it refuses by name."""


def data_converter(keys: Mapping[str, bytes], storage: ExternalStorage | None) -> DataConverter:
    """The converter of a process.

    Args:
        keys: What encrypts, if anything; see `runtime.encryption`.
        storage: Where large payloads lie.
    """
    return dataclasses.replace(
        DATA_CONVERTER,
        payload_codec=EncryptionCodec(keys),
        failure_converter_class=EncodedFailures if keys else NamedFailures,
        external_storage=storage,
    )
