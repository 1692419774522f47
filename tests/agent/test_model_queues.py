"""On which queue an agent's model calls wait, and which queues are polled."""

from typing import Any

import pytest

from durable_agents.agent import catalogue
from durable_agents.agent.definition import AgentDefinition
from durable_agents.agent.model_queues import queue_of, quotas_polled
from durable_agents.models import queues
from durable_agents.runtime.settings import Settings
from tests.workflows import runs
from tests.workflows.own_workers import own_workers
from workers.registry import specs_of
from workers.resources import Resources


@pytest.fixture
def frugal(monkeypatch: pytest.MonkeyPatch) -> AgentDefinition:
    """An agent with a quota of its own."""
    agent = AgentDefinition(name="frugal", instructions="Be brief.", quota="bulk")
    agents: Any = catalogue.AGENTS
    monkeypatch.setitem(agents, agent.name, agent)
    return agent


def test_an_agents_calls_wait_on_the_queue_of_its_quota(frugal: AgentDefinition) -> None:
    assert queue_of(frugal.name) == "durable-agents-llm-bulk"
    assert queue_of("assistant") == queue_of("nobody") == queues.LLM
    assert queues.llm_queue("default") == queues.llm_queue("") == queues.LLM


def test_quotas_that_agents_name_are_polled_although_nothing_limits_them(
    frugal: AgentDefinition,
) -> None:
    assert quotas_polled({}) == ("default", "bulk")
    assert quotas_polled({"other": 5}) == ("default", "bulk", "other")


@pytest.mark.usefixtures("frugal")
async def test_each_quotas_queue_has_its_limit(settings: Settings) -> None:
    changed = settings.model_copy(update={"quotas": {"default": 5.0, "slow": 0.5}})
    resources = Resources.open(changed)

    specs = specs_of("llm", resources)

    await resources.close()
    assert {spec.queue: spec.per_second for spec in specs} == {
        "durable-agents-llm": 5.0,
        "durable-agents-llm-bulk": None,
        "durable-agents-llm-slow": 0.5,
    }
    assert len({len(spec.activities) for spec in specs}) == 1


async def test_a_run_of_an_agent_with_a_quota_of_its_own_ends(
    settings: Settings, frugal: AgentDefinition
) -> None:
    async with own_workers(settings) as client:
        handle = await runs.start_react(client, "Say hello.", agent=frugal.name)
        result = await runs.result_of(handle)
        events = await runs.events_of(handle)

    scheduled = [event.activity_task_scheduled_event_attributes for event in events]
    asked = [step.task_queue.name for step in scheduled if step.activity_id == "think-1"]
    assert result.answer
    assert asked == ["durable-agents-llm-bulk"]
