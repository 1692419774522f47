"""Ports on loopback."""

import socket

import pytest

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.ports import answers, choose_port


def test_a_taken_port_is_refused_with_the_variable_to_set() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(ConfigurationError) as refused:
            choose_port(port, variable="TEMPORAL_PORT", purpose="Temporal")

    assert refused.value.message == (
        f"Port {port} for Temporal is taken: something else listens there; "
        "set TEMPORAL_PORT to a free port (0 takes any)."
    )


def test_a_server_on_all_addresses_takes_the_port_on_loopback_too() -> None:
    with socket.create_server(("", 0)) as other, pytest.raises(ConfigurationError):
        choose_port(other.getsockname()[1], variable="SIMULATOR_PORT", purpose="the simulator")


def test_port_zero_takes_one_that_is_free() -> None:
    port = choose_port(0, variable="TEMPORAL_PORT", purpose="Temporal")

    with socket.create_server(("127.0.0.1", port)):
        assert port > 0


async def test_a_port_nobody_listens_on_does_not_answer() -> None:
    port = choose_port(0, variable="TEMPORAL_PORT", purpose="Temporal")

    assert not await answers(port)
