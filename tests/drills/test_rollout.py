"""A rollout of a breaking change, as the guide shows it, with runs in flight."""

from pathlib import Path

from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from tests.commanding import make_namespace
from tests.drills.rollout import fleet, roll_out, table


async def test_a_rollout_loses_no_run_and_each_ends_on_the_version_that_fits(
    client: Client, settings: Settings, database: Database, tmp_path: Path
) -> None:
    await make_namespace(client, "rollout")
    inside = await connect(settings.model_copy(update={"temporal_namespace": "rollout"}))

    groups = await roll_out(fleet(inside, database, settings, tmp_path, "rollout"), runs=2)

    pinned, following, fresh, jobs = groups
    assert [one.lost for one in groups] == [0, 0, 0, 0], table(groups)
    assert (pinned.in_flight, following.in_flight) == (2, 2)
    assert pinned.ended_on == {"v1": 2}
    assert following.ended_on == {"v2": 2}
    assert fresh.ended_on == {"v2": 2}
    assert jobs.in_flight > 0
    assert jobs.ended_on == {"v2": 2}
