"""Workers and commands that are told where everything is, as containers are."""

from pathlib import Path

from temporalio.client import Client

from durable_agents.runtime.settings import Settings
from tests.commanding import Commands, make_namespace

NAMESPACE = "told-where"


async def test_the_address_of_a_simulator_is_all_that_a_worker_needs_for_a_model(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    await make_namespace(client, NAMESPACE)
    told = Commands(
        None,
        tmp_path,
        TEMPORAL_ADDRESS=settings.temporal_address,
        TEMPORAL_NAMESPACE=NAMESPACE,
        DATABASE_URL=settings.database_url.get_secret_value(),
        SIMULATOR_URL=settings.simulator_url,
    )

    async with told.worker():
        ended = await told("react", "What is 6 * 7, and what is the weather in Oslo?", "--json")

    assert ended.code == 0, ended.err
    assert "42" in ended.json["answer"]
    assert "Oslo" in ended.json["answer"]
    assert ended.json["simulator"] is True
