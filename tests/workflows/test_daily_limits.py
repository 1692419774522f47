"""Runs whose tenant has used up its day end cleanly, and say when it opens again."""

from typing import Any

from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.db.tenant_days import Amounts, read_days
from durable_agents.models import queues
from durable_agents.models.react import ReActInput, ReActResult
from durable_agents.models.support import SupportInput, SupportResult
from durable_agents.models.weather_advice import WeatherAdviceInput, WeatherAdviceResult
from durable_agents.runtime.priorities import priority_of
from durable_agents.runtime.settings import Settings
from tests.workflows import runs
from tests.workflows.own_workers import own_workers


async def started(client: Client, workflow: str, request: Any, result: Any, tenant: str) -> Any:
    """Start a run as a starter does for a tenant."""
    return await client.start_workflow(
        workflow,
        request,
        id=runs.token(),
        task_queue=queues.WORKFLOWS,
        result_type=result,
        priority=priority_of(tenant),
    )


async def test_what_a_tenant_may_spend_in_a_day_bounds_all_its_runs(
    settings: Settings, database: Database
) -> None:
    tenant = runs.token()
    city = WeatherAdviceInput(city="Oslo", user_id="u")
    task = ReActInput(task="What is 6 * 7, then?", user_id="u")
    issue = SupportInput(issue="How long do I have to ask for a refund?", user_id="A-1001")

    async with own_workers(settings, tenant_daily_calls={tenant: 1}) as client:
        first = await started(client, "ReActWorkflow", task, ReActResult, tenant)
        worked: ReActResult = await runs.result_of(first)
        second = await started(client, "SupportWorkflow", issue, SupportResult, tenant)
        helped: SupportResult = await runs.result_of(second)
        third = await started(client, "WeatherAdviceWorkflow", city, WeatherAdviceResult, tenant)
        kind, message = await runs.failure_of(third)
        other = await started(
            client, "WeatherAdviceWorkflow", city, WeatherAdviceResult, runs.token()
        )
        advised: WeatherAdviceResult = await runs.result_of(other)

    assert (worked.stopped, worked.tool_calls_made) == ("budget", 1)  # what was done is told
    assert "It opens again at" in worked.answer
    assert (helped.stopped, helped.escalated) == ("budget", True)  # people take over
    assert kind == "BudgetExceededError"
    assert f"used up for tenant {tenant}" in message
    assert advised.usage.calls == 1
    async with database.statement() as connection:
        (day,) = [day for day in await read_days(connection) if day.tenant == tenant]
    assert (day.spent.calls, day.reserved) == (1, Amounts())
