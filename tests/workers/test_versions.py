"""Workers with a version: when they get work, what is said while they do not, and who goes on."""

import logging
import secrets
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.common import VersioningBehavior

from durable_agents.clients import versions
from durable_agents.models import queues
from durable_agents.models.debug import DebugInput, DebugResult
from durable_agents.models.errors import ConfigurationError, NotFoundError
from durable_agents.models.review import ReviewInput
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters import doctor, presence
from starters.versions import NO_VERSION, make_current
from tests.commanding import Commands, folder_for_commands, make_namespace
from tests.conftest import running_workers
from tests.histories.deciding import deciding
from tests.workflows.runs import result_of, start, until, until_step
from workers.registry import WORKFLOWS
from workers.versioning import deployment_of, warn_until_served, why_idle

NAME = "durable-agents"
SUM = DebugInput(values=(1, 2))


@pytest.fixture
async def inside(client: Client, settings: Settings) -> Settings:
    """Settings of a namespace in which no worker has ever run."""
    name = f"versions-{secrets.token_hex(4)}"
    await make_namespace(client, name)
    return settings.model_copy(update={"temporal_namespace": name})


def versioned(settings: Settings, build_id: str) -> Settings:
    return settings.model_copy(update={"worker_build_id": build_id})


async def test_a_version_gets_no_work_before_it_is_current_and_everybody_says_so(
    inside: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    client, mine = await connect(inside), versioned(inside, "a")
    async with running_workers(client, mine):
        waiting = await start(client, "DebugWorkflow", SUM, result_type=DebugResult)
        queue = await _seen_on(client, f"{NAME}.a")
        found = await versions.find_deployment(client, NAME)
        idle = why_idle(found, mine)
        missing = await presence._missing_for(client, waiting)  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(ConfigurationError, match="no version is current"):
            await doctor._workers(client, inside)  # pyright: ignore[reportPrivateUsage]

        told = await make_current(client, mine, "a")
        result = await result_of(waiting)
        well = await doctor._workers(client, inside)  # pyright: ignore[reportPrivateUsage]
        with caplog.at_level(logging.WARNING, "workers.versioning"):
            await warn_until_served(client, mine, after_s=0.01)

    assert not queue.is_served()
    assert "no version is current" in missing
    assert idle.startswith(f"This worker gets no work: its version is {NAME}.a, and no version")
    assert told == [f"{NAME}.a is current."]
    assert result.total == 3
    assert well.endswith(f"; {NAME}.a is current")
    assert caplog.messages == []


async def test_workers_without_a_version_get_nothing_while_one_is_current_and_all_of_it_after(
    inside: Settings,
) -> None:
    client, mine = await connect(inside), versioned(inside, "b")
    async with running_workers(client, mine):
        await make_current(client, mine, "b")
        pinned = await start(client, "DebugWorkflow", DebugInput(values=(1,), pause_s=0.5))
        await until_step(pinned, "pause")
    async with running_workers(client, inside):
        waiting = await start(client, "DebugWorkflow", SUM, result_type=DebugResult)
        found = await versions.find_deployment(client, NAME)
        idle = why_idle(found, inside)

        told = await make_current(client, inside, "")
        result = await result_of(waiting)

    async with running_workers(client, mine):
        await result_of(pinned)
    assert idle.startswith(f"This worker gets no work: it has no version, and {NAME}.b is current")
    assert told[0] == f"{NO_VERSION[:-1]}; it was {NAME}.b."
    assert result.total == 3


async def test_a_run_begun_without_a_version_goes_on_with_the_first_one(inside: Settings) -> None:
    client, mine = await connect(inside), versioned(inside, "first")
    async with running_workers(client, inside):
        begun = await start(client, "ReviewWorkflow", ReviewInput(task_id="task-5"))
        await until_step(begun, "wait for approval 1")
    async with running_workers(client, mine):
        await make_current(client, mine, "first")
        await deciding("1", {"verdict": "approve"})(begun)
        reviewed = await result_of(begun)

    assert reviewed["status"] == "approved"


def test_a_queue_is_served_by_the_version_whose_turn_it_is() -> None:
    queue = versions.Queue(name="q", current="d.2", polled=frozenset({"d.1", ""}))

    assert not queue.is_served()
    assert queue.is_served("d.1")
    there = "on q are workers of d.1 and no version, but"
    assert queue.why_not().startswith(f"{there} d.2 is current")
    assert queue.why_not("d.0") == f"{there} the run is pinned to d.0"
    assert versions.Queue(name="q").why_not() == "nobody works on q"


async def test_a_version_whose_workers_never_polled_is_refused_by_name(inside: Settings) -> None:
    client = await connect(inside)

    with pytest.raises(NotFoundError, match=r"No worker of version durable-agents\.none"):
        await make_current(client, inside, "none", within_s=0.3)


async def test_a_version_whose_workers_were_stopped_does_not_take_the_work_of_those_that_run(
    inside: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = await connect(inside), await connect(inside)
    async with running_workers(client, versioned(inside, "e")):
        await make_current(client, versioned(inside, "e"), "e")
    async with running_workers(other, versioned(inside, "f")):
        await make_current(other, versioned(inside, "f"), "f")
        monkeypatch.setattr(versions, "POLLER_SEEN_WITHIN", timedelta(0))  # so soon it shows

        with pytest.raises(NotFoundError, match=r"No worker of version durable-agents\.e"):
            await make_current(other, inside, "e", within_s=0.3)
        with pytest.raises(NotFoundError, match=r"No worker of version durable-agents\.e"):
            await versions.set_ramping(other, NAME, "e", 10, within_s=0.3)
        found = await versions.find_deployment(other, NAME)

    assert found is not None
    assert (found.current, found.ramping) == ("f", "")


async def test_the_command_lists_versions_and_refuses_what_cannot_be(
    inside: Settings,
) -> None:
    client, mine = await connect(inside), versioned(inside, "c")
    with folder_for_commands() as folder:
        there = {"TEMPORAL_NAMESPACE": inside.temporal_namespace, "WORKER_BUILD_ID": "c"}
        command = Commands(inside, Path(folder), **there)
        async with running_workers(client, mine):
            await versions.set_current(client, NAME, "c")
            listed = await command("versions", "list", "--json")
            current = await command("versions", "drained", "c")
            unramped = await command("versions", "ramp", "c", "0")

    stages = {one["build_id"]: one["stage"] for one in listed.json["versions"]}
    assert stages["c"] == "current"
    assert current.code == 2
    assert "gets new runs" in current.sentence
    assert (unramped.code, unramped.sentence) == (2, "c is not being ramped up: none is.")


async def test_a_part_of_the_new_runs_goes_to_a_version_that_is_ramped_up(
    inside: Settings,
) -> None:
    client, mine = await connect(inside), versioned(inside, "d")
    async with running_workers(client, mine):
        await versions.set_ramping(client, NAME, "d", 100)

        async def is_ramping() -> bool:
            return (await versions.look_at_queue(client, queues.WORKFLOWS)).ramping == f"{NAME}.d"

        await until(is_ramping, "the queue knows")
        handle = await start(client, "DebugWorkflow", SUM, result_type=DebugResult)
        result = await result_of(handle)
        await versions.set_ramping(client, NAME, "", 0)

    assert result.total == 3


def test_every_workflow_says_how_its_runs_follow_new_versions() -> None:
    stated = {
        workflow.__name__: vars(workflow)["__temporal_workflow_definition"].versioning_behavior
        for workflow in WORKFLOWS
    }

    assert VersioningBehavior.UNSPECIFIED not in stated.values(), stated


def test_without_a_build_id_workers_have_no_version() -> None:
    assert deployment_of(Settings()) is None


async def _seen_on(client: Client, version: str) -> versions.Queue:
    """The queue of the workflows, once a worker of a version has polled it."""
    seen = versions.Queue(name="")

    async def polled() -> bool:
        nonlocal seen
        seen = await versions.look_at_queue(client, queues.WORKFLOWS)
        return version in seen.polled

    await until(polled, f"{version or 'a worker'} polls")
    return seen
