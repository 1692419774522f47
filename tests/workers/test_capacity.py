"""How much workers take on: slots that follow the machine, polls that the server asks for."""

import asyncio
import secrets
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import PollerBehaviorAutoscaling, PollerBehaviorSimpleMaximum

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from tests.commanding import make_namespace
from tests.conftest import running_workers
from tests.steering import Simulator
from tests.workflows.runs import events_of, result_of, start_react, token
from workers.capacity import LEAST_SLOTS, capacity_of

NEVER = 0.05  # memory of which so little may be used: what the core keeps free is as much
RUNS = LEAST_SLOTS + 4
FOLLOWING = {"worker_slots": "resource", "worker_pollers": "auto"}


async def most_calls_at_once(handles: list[WorkflowHandle[Any, Any]]) -> int:
    """How many model calls of some runs were under way together, from their histories."""
    changes: list[tuple[int, int]] = []
    for handle in handles:
        calls: set[int] = set()
        for event in await events_of(handle):
            scheduled = event.activity_task_scheduled_event_attributes
            started = event.activity_task_started_event_attributes
            completed = event.activity_task_completed_event_attributes
            if scheduled.activity_id.startswith("think-"):
                calls.add(event.event_id)
            elif started.scheduled_event_id in calls:
                changes.append((event.event_time.ToNanoseconds(), 1))
            elif completed.scheduled_event_id in calls:
                changes.append((event.event_time.ToNanoseconds(), -1))
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


async def test_slots_that_follow_a_full_machine_let_work_go_on_a_little_at_a_time(
    client: Client, settings: Settings, simulator: Simulator
) -> None:
    namespace, word = f"capacity-{secrets.token_hex(4)}", token()
    await make_namespace(client, namespace)
    full = {**FOLLOWING, "worker_target_memory": NEVER, "temporal_namespace": namespace}
    mine = settings.model_copy(update=full)
    inside = await connect(mine)

    slow = {"route": "chat", "kind": "latency", "latency_s": 0.5, "times": -1}
    async with simulator.faults(word, slow), running_workers(inside, mine):
        begun = [await start_react(inside, f"say {word}", user_id="u-1") for _ in range(RUNS)]
        results = await asyncio.gather(*map(result_of, begun))

    assert all(result.answer for result in results)
    assert 1 < await most_calls_at_once(begun) <= LEAST_SLOTS


def test_slots_follow_resources_up_to_the_numbers_only_when_asked_to(settings: Settings) -> None:
    few = {"worker_workflow_slots": 7, "worker_activity_slots": 3}

    fixed = capacity_of(settings.model_copy(update=few))
    following = capacity_of(settings.model_copy(update={**FOLLOWING, **few}))

    assert _slots(fixed.tuner) == ["FixedSize 7", "FixedSize 3"]
    assert _slots(following.tuner) == ["ResourceBased 5 to 7", "ResourceBased 3 to 3"]
    assert fixed.pollers == PollerBehaviorSimpleMaximum(5)
    assert following.pollers == PollerBehaviorAutoscaling()


def _slots(tuner: Any) -> list[str]:
    suppliers = (tuner.workflow_slot_supplier, tuner.activity_slot_supplier)
    return [
        f"FixedSize {one.num_slots}"
        if hasattr(one, "num_slots")
        else f"ResourceBased {one.slot_config.minimum_slots} to {one.slot_config.maximum_slots}"
        for one in suppliers
    ]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WORKER_SLOTS": "many"}, "WORKER_SLOTS"),
        ({"WORKER_SLOTS": "resource", "WORKER_TARGET_CPU": "80"}, "WORKER_TARGET_CPU"),
        ({"WORKER_SLOTS": "resource", "WORKER_TARGET_CPU": "nan"}, "WORKER_TARGET_CPU"),
        ({"WORKER_SLOTS": "resource", "WORKER_TARGET_MEMORY": "0"}, "WORKER_TARGET_MEMORY"),
        ({"WORKER_TARGET_CPU": "0.8"}, "WORKER_TARGET_CPU"),
        ({"WORKER_SLOTS": "fixed", "WORKER_TARGET_MEMORY": "0.8"}, "WORKER_TARGET_MEMORY"),
        ({"WORKER_POLLERS": "1"}, "WORKER_POLLERS"),
        ({"WORKER_POLLERS": "101"}, "WORKER_POLLERS"),
        ({"WORKER_POLLERS": "some"}, "WORKER_POLLERS"),
        ({"WORKER_POLLERS": "0"}, "WORKER_POLLERS"),
        ({"WORKER_SLOTS": "resource", "WORKER_TARGET_CPU": "1.5"}, "WORKER_TARGET_CPU"),
        ({"WORKER_WORKFLOW_SLOTS": "1"}, "WORKER_WORKFLOW_SLOTS"),
        ({"WORKER_WORKFLOW_SLOTS": "1000000000"}, "WORKER_WORKFLOW_SLOTS"),
        ({"WORKER_ACTIVITY_SLOTS": "99999999999999999999"}, "WORKER_ACTIVITY_SLOTS"),
        ({"WORKER_CACHED_WORKFLOWS": "99999999999999"}, "WORKER_CACHED_WORKFLOWS"),
        ({"DATABASE_POOL_SIZE": "1000000"}, "DATABASE_POOL_SIZE"),
        ({"WORKER_SHUTDOWN_GRACE_S": "inf"}, "WORKER_SHUTDOWN_GRACE_S"),
        ({"WORKER_STICKY_TIMEOUT_S": "inf"}, "WORKER_STICKY_TIMEOUT_S"),
    ],
)
def test_what_does_not_fit_or_contradicts_is_told_in_one_line(
    variables: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{said} is not usable: [^\n]+\.$"):
        Settings.load(variables, dotenv=None, use_run_file=False)


def test_words_are_taken_in_any_spelling() -> None:
    variables = {"WORKER_SLOTS": "Resource", "WORKER_TARGET_CPU": "0.7", "WORKER_POLLERS": "AUTO"}

    settings = Settings.load(variables, dotenv=None, use_run_file=False)

    assert (settings.worker_slots, settings.worker_pollers) == ("resource", "auto")
    assert settings.worker_target_cpu == 0.7
