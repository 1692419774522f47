"""What `doctor` says about the server that it reached."""

import asyncio
import shlex

import pytest
from temporalio.api.operatorservice.v1 import RemoveSearchAttributesRequest
from temporalio.client import Client

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.connection import connect, is_cloud
from durable_agents.runtime.embedded.temporal_server import temporal_program
from durable_agents.runtime.settings import Settings
from starters import temporal_server
from starters.temporal_server import look_at_search_attributes, look_at_server
from tests.commanding import make_namespace
from tests.workflows import runs


@pytest.fixture(scope="module")
async def elsewhere(client: Client, settings: Settings) -> Client:
    """A namespace of its own, with two of the three search attributes gone."""
    await make_namespace(client, "attributes")
    gone = RemoveSearchAttributesRequest(
        namespace="attributes", search_attributes=["Pattern", "Phase"]
    )
    await client.operator_service.remove_search_attributes(gone, retry=True)
    return await connect(settings.model_copy(update={"temporal_namespace": "attributes"}))


async def test_it_says_what_it_reached_how_as_whom_and_which_namespace(
    client: Client, settings: Settings
) -> None:
    told = await look_at_server(client)

    assert told.startswith(f"{settings.temporal_address} (server 1.")
    assert told.endswith(
        f", without TLS, without credentials, as {client.identity}, namespace default"
    )


async def test_without_rights_of_an_operator_the_names_are_read_from_the_namespace(
    elsewhere: Client,
) -> None:
    async def named() -> bool:
        return await temporal_server._names(elsewhere) == {"UserId"}  # pyright: ignore[reportPrivateUsage]

    await runs.until(named, "the namespace lists what is left")


async def test_what_is_missing_comes_with_the_command_that_adds_it(elsewhere: Client) -> None:
    with pytest.raises(ConfigurationError, match=r"^Pattern, Phase missing: ") as caught:
        await look_at_search_attributes(elsewhere)
    command = caught.value.message.split("`")[1]

    _, *arguments = shlex.split(command)
    added = await asyncio.create_subprocess_exec(str(temporal_program()), *arguments)
    code = await added.wait()

    async def there() -> bool:
        try:
            return await look_at_search_attributes(elsewhere) == "Pattern, UserId, Phase"
        except ConfigurationError:
            return False

    assert code == 0
    await runs.until(there, "the search attributes are there")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("prod.a1b2c.tmprl.cloud:7233", True),
        ("eu-central-1.aws.api.temporal.io:7233", True),
        ("tmprl.cloud.example.com:7233", False),
        ("127.0.0.1:7233", False),
    ],
)
def test_the_cloud_is_known_by_its_names(address: str, expected: bool) -> None:
    assert is_cloud(address) is expected
