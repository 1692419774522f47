"""How the embedded Temporal server is started."""

from typing import Any

import pytest
from pydantic import SecretStr

from durable_agents.runtime.embedded.temporal_server import (
    _command,  # pyright: ignore[reportPrivateUsage]
)
from durable_agents.runtime.encryption import made_key
from durable_agents.runtime.settings import Settings

KEYS = {"payload_keys": SecretStr(made_key("k1"))}


@pytest.mark.parametrize(
    ("values", "endpoint"),
    [
        ({}, ""),
        (KEYS, "http://127.0.0.1:8232/codec"),
        ({**KEYS, "inbox_url": "https://inbox.example/"}, "https://inbox.example/codec"),
        ({**KEYS, "inbox_port": 0}, ""),
    ],
    ids=["no keys", "keys", "an address of its own", "any port"],
)
def test_the_web_ui_is_told_who_decodes_where_there_are_keys(
    values: dict[str, Any], endpoint: str
) -> None:
    command = _command(Settings(**values), 7233, 8233)

    told = [part for part in command if part.startswith("--ui-codec-endpoint=")]
    assert told == ([f"--ui-codec-endpoint={endpoint}"] if endpoint else [])
