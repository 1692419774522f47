"""Which values of the settings are secrets, for the filter that takes them out of text."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

_NO_SECRETS = re.compile(r"TEMPORAL_(ADDRESS|NAMESPACE|PROFILE|CONFIG_FILE|TLS_\w*(PATH|NAME)|TLS)")
_OF_LIBRARIES = (
    "TEMPORAL_API_KEY",
    "TEMPORAL_TLS_CLIENT_KEY_DATA",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PGPASSWORD",
)
_IN_LIST = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_IN_ADDRESS = re.compile(r"[\w-]{16,}", re.ASCII)  # tokens in addresses of services that are told


def secrets_of(settings: BaseModel, environ: Mapping[str, str]) -> Iterator[str]:
    """The secrets of some settings, and of the variables that the SDK and its S3 driver read.

    Of an address with a password the password is one, and of an address of a service that is told
    things, so are the long parts.
    """
    for name in type(settings).model_fields:
        for value in _secret_values(getattr(settings, name)):
            yield from _parts(name, value)
    for name in _OF_LIBRARIES:
        if environ.get(name):
            yield environ[name]


def _secret_values(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Mapping):
        for name, item in cast(Mapping[str, Any], value).items():
            if not _NO_SECRETS.fullmatch(str(name)):
                yield from _secret_values(item)
    elif isinstance(value, tuple | list):
        for item in cast(tuple[Any, ...], value):
            yield from _secret_values(item)


def _parts(name: str, value: str) -> Iterator[str]:
    if name.endswith("payload_keys"):
        yield from filter(None, (part.partition(":")[2].strip() for part in value.split(",")))
        return
    if name.endswith("otlp_headers"):
        for part in value.split(","):
            said = unquote(part.partition("=")[2].strip())
            yield from {said, *said.split()}  # "Bearer" and its token
        return
    if "://" not in value:
        yield value
        yield from _IN_LIST.findall(value)  # keys with ids, separated by commas
        return
    for address in filter(None, (part.strip() for part in value.split(","))):
        try:
            password = urlsplit(address).password
        except ValueError:
            password = None
        if password:
            yield from {password, unquote(password)}
        if not name.endswith("database_url"):
            yield address
            yield from (part for part in _IN_ADDRESS.findall(address) if not part.isalpha())
