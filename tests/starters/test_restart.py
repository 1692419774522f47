"""What a restart does again and what it does not, and where it is refused."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker, WorkerDeploymentConfig

from durable_agents.clients.resets import reset
from durable_agents.clients.versions import look_at_queue
from durable_agents.db.engine import Database
from durable_agents.db.ledger import OK, REFUND_REFUSED
from durable_agents.models.errors import DecisionRefusedError, InputError, NotFoundError
from durable_agents.models.order import OrderResult
from durable_agents.models.react import ReActResult
from starters.restart import plan_restart
from tests.starters.parents import Handle, Part, Steps, note
from tests.starters.restarting import chosen, given, planned, restarted
from tests.workflows import orders, runs

NOT_YET = {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION}  # before its worker polls

pytestmark = pytest.mark.usefixtures("worker")


async def test_a_finished_order_that_is_restarted_is_charged_once_and_confirmed_as_before(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database, OK)
    handle = await orders.start(client, order_id)
    before = await runs.result_of(handle)

    again = await restarted(client, handle, "charge-payment", OrderResult)
    after: OrderResult = await runs.result_of(again)

    assert after.confirmation == before.confirmation
    facts = await orders.facts(database, order_id)
    assert (facts.charged, facts.stock) == (1, orders.STOCK - orders.QUANTITY)
    assert again.run_id != handle.first_execution_run_id


async def test_a_failed_run_is_restarted_from_its_first_step_and_succeeds(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database, OK, fulfilment="fails")
    handle = await orders.start(client, order_id)
    await runs.failure_of(handle)
    await orders.set_fulfilment(database, order_id, "works")

    after: OrderResult = await runs.result_of(
        await restarted(client, handle, "reserve-inventory", OrderResult)
    )

    assert after.confirmation
    facts = await orders.facts(database, order_id)
    assert facts.payments == ((1, "refunded"), (2, "charged"))


async def test_parallel_steps_run_again_together_and_a_timer_that_ran_goes_on(
    client: Client,
) -> None:
    handle = await runs.start_react(client, "What is 2 * 21, and what is the weather in Oslo?")
    await runs.result_of(handle)

    plan = await planned(client, handle, "calculate-1.1")
    after: ReActResult = await runs.result_of(
        await restarted(client, handle, "calculate-1.1", ReActResult)
    )

    assert sorted(plan.again) == ["calculate-1.1", "get_weather-1.2"]
    assert [step.kind for step in plan.waits] == ["timer"]
    assert "think-2" in [step.name for step in plan.after]
    assert "42" in after.answer


async def test_a_restarted_run_has_its_whole_deadline_again(client: Client) -> None:
    handle = await runs.start_react(client, "What is 2 * 21?", deadline_s=3)
    await runs.result_of(handle)
    began = (await handle.describe()).start_time

    async def over() -> bool:
        return datetime.now(UTC) - began > timedelta(seconds=3.5)

    await runs.until(over, "the deadline is over")
    after: ReActResult = await runs.result_of(
        await restarted(client, handle, "think-2", ReActResult)
    )

    assert "42" in after.answer


async def test_an_unknown_step_is_refused_with_the_steps_there_are(
    client: Client, database: Database
) -> None:
    handle = await orders.start(client, await orders.new_order(database, OK))
    await runs.result_of(handle)

    with pytest.raises(NotFoundError, match="reserve-inventory, charge-payment, fulfil-order"):
        await planned(client, handle, "charge-card")


async def test_a_run_that_is_undoing_is_restarted_only_when_told(
    client: Client, database: Database
) -> None:
    order_id = await orders.new_order(database, REFUND_REFUSED, fulfilment="fails")
    handle = await orders.start(client, order_id)

    async def parked() -> bool:
        return bool((await runs.status_of(handle)).waiting_for)

    await runs.until(parked, "the refund is parked")

    with pytest.raises(DecisionRefusedError, match="is undoing what it did"):
        await plan_restart(given(client, "fulfil-order"), chosen(handle))
    plan = await plan_restart(given(client, "fulfil-order", anyway=True), chosen(handle))

    assert plan.is_open
    assert plan.step.name == "fulfil-order"
    await handle.terminate()


async def test_a_lane_of_a_pool_is_not_restarted(client: Client) -> None:
    handle: Handle = await client.start_workflow(
        "PoolLaneWorkflow", {}, id=f"lane-{secrets.token_hex(4)}", task_queue="nobody-works-here"
    )

    with pytest.raises(InputError, match="no piece of work"):
        await plan_restart(given(client, "claim-1"), chosen(handle))

    await handle.terminate()


@asynccontextmanager
async def of_version(client: Client, deployment: str, build_id: str) -> AsyncGenerator[None]:
    """A worker of a version that is current, on a queue named as its deployment."""
    config = WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )
    worker = Worker(
        client,
        task_queue=deployment,
        workflows=[Steps],
        activities=[note],
        deployment_config=config,
    )

    async def made_current() -> bool:
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace, deployment_name=deployment, build_id=build_id
        )
        try:
            await client.workflow_service.set_worker_deployment_current_version(request, retry=True)
        except RPCError as error:
            if error.status not in NOT_YET:
                raise
        return (await look_at_queue(client, deployment)).current == f"{deployment}.{build_id}"

    async with worker:
        await runs.until(made_current, f"version {build_id} is current", within=30)
        yield


async def test_a_pinned_run_is_restarted_where_it_was_or_on_the_current_version(
    client: Client,
) -> None:
    deployment = f"steps-{secrets.token_hex(4)}"
    async with of_version(client, deployment, "a"):
        handle: Handle = await client.start_workflow(
            Steps.run, Part(), id=deployment, task_queue=deployment
        )
        await runs.result_of(handle)
    async with of_version(client, deployment, "b"):
        plan = await planned(client, handle, "second")
        stays = await reset(client, plan, reason="a test")
        moves = await reset(client, plan, reason="a test", on_current=True)
        moved: Handle = client.get_workflow_handle(handle.id, run_id=moves)
        result: list[str] = await runs.result_of(moved)

    assert plan.pinned_to == f"{deployment}.a"
    assert plan.current is not None
    assert plan.current.build_id == "b"
    assert result[1] == f"second@{moves}"
    stayed = await client.get_workflow_handle(handle.id, run_id=stays).describe()
    assert stayed.raw_info.versioning_info.deployment_version.build_id == "a"
    assert not stayed.raw_info.versioning_info.HasField("versioning_override")
