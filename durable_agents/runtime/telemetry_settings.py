"""What a process tells about itself: its log and its traces.

The names of OpenTelemetry's settings are its own, and mean what its specification says. What is
not named here (certificates, sizes of batches) its library reads from the environment alone.
"""

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]

_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_PAIRS = re.compile(r"\s*[^\s=,]+\s*=[^,]*(,\s*[^\s=,]+\s*=[^,]*)*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"([!-~]([ -~]*[!-~])?)?")


class TelemetrySettings(BaseModel):
    """The part of the settings that says what is told, and to whom."""

    log_format: Literal["text", "json"] = "text"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"

    # Where traces go, up to `/v1/traces`; empty: there are none.
    otel_exporter_otlp_endpoint: str = ""
    otel_exporter_otlp_headers: SecretStr = SecretStr("")
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = "http/protobuf"
    otel_service_name: str = Field(default="durable-agents", max_length=200)
    otel_resource_attributes: str = ""
    otel_traces_sampler: Sampler = "parentbased_always_on"
    otel_traces_sampler_arg: float = Field(default=1, ge=0, le=1, allow_inf_nan=False)
    # Whether spans also tell what people and models said.
    otel_instrumentation_genai_capture_message_content: Literal["true", "false"] = "false"

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _is_address(cls, given: str) -> str:
        if given and not (_ADDRESS.fullmatch(given) and _has_place(given)):
            raise PydanticCustomError(
                "no_address", "it is no address such as http://127.0.0.1:4318"
            )
        return given.rstrip("/")

    @field_validator("otel_resource_attributes", "otel_exporter_otlp_headers")
    @classmethod
    def _are_pairs(cls, given: str | SecretStr) -> str | SecretStr:
        text = given.get_secret_value() if isinstance(given, SecretStr) else given
        if text and not _PAIRS.fullmatch(text):
            raise PydanticCustomError("no_pairs", "it is no list such as name=value,other=value")
        return given

    @field_validator("otel_exporter_otlp_headers")
    @classmethod
    def _are_headers(cls, given: SecretStr) -> SecretStr:
        for name, value in pairs(given.get_secret_value()).items():
            if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
                raise PydanticCustomError("no_headers", "it has what no header can hold")
        return given


def pairs(text: str) -> Mapping[str, str]:
    """What `name=value,other=value` says; values as addresses spell them."""
    parts = (part.partition("=") for part in text.split(",") if part.strip())
    return {name.strip(): unquote(value.strip()) for name, _, value in parts}


def _has_place(address: str) -> bool:
    """Whether an address has a host and a port that can be."""
    try:
        parts = urlsplit(address)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        return False
    return bool(host)
