"""Values that are too large for a history: through all of Temporal, lost, damaged, replayed."""

import asyncio
import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf import json_format
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHistory,
)
from temporalio.exceptions import ActivityError, ApplicationError, RetryState
from temporalio.worker import Replayer

from durable_agents.db.engine import Database
from durable_agents.models.errors import (
    DatabaseUnavailableError,
    InputError,
    PayloadLostError,
)
from durable_agents.runtime.connection import connect, plugin, replay_converter
from durable_agents.runtime.embedded.temporal_server import RETENTION
from durable_agents.runtime.payload_storage import (
    payloads_of,
    reference_in,
    saved_storage,
    with_payloads,
)
from durable_agents.runtime.settings import Settings
from tests.runtime.payload_flows import Parcel, ParcelWorkflow, carriers, send, send_off
from tests.runtime.waiting import SOON_S, until_activity, until_task_fails
from tests.workflows.runs import token
from workers.payload_collector import MARGIN, needed_since

LARGE = "0123456789abcdef" * 200_000  # 3.2 MB, more than the server takes
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def queue() -> str:
    return f"parcels-{token()}"


@pytest.fixture
async def storing(settings: Settings, database: Database) -> Client:
    """The client of a process that has an open database."""
    return await connect(settings, database=database)


async def run_sql(database: Database, statement: str) -> None:
    async with database.statement() as connection:
        await connection.execute(text(statement))


async def until_listed(client: Client, workflow_id: str) -> None:
    """Wait until lists have a run: they lag a little."""
    async with asyncio.timeout(SOON_S):
        while True:
            async for _ in client.list_workflows(f"WorkflowId = '{workflow_id}'"):
                return
            await asyncio.sleep(0.05)


async def test_large_values_go_everywhere_and_leave_references_in_history(
    client: Client, storing: Client, queue: str
) -> None:
    parcel = Parcel(content=LARGE, waits=True)
    async with carriers(storing, queue):
        handle = await send_off(client, queue, parcel)

        asked = await handle.query(ParcelWorkflow.parcel)
        answered = await send(handle, Parcel(content=LARGE + "2"))
        result = await handle.result()

    assert (asked, answered.content, result.content) == (parcel, LARGE + "2", LARGE + "2")
    assert len((await handle.fetch_history()).to_json()) < 20_000


async def test_without_the_database_small_values_go_on_as_ever(
    settings: Settings, queue: str
) -> None:
    away = await connect(settings.model_copy(update={"database_url": SecretStr(NOWHERE)}))
    async with carriers(away, queue):
        handle = await send_off(away, queue, Parcel(content="small"))

        assert (await handle.result()).content == "small"
    with pytest.raises(DatabaseUnavailableError, match="does not answer"):
        await send_off(away, f"{queue}-large", Parcel(content=LARGE))


async def test_a_run_whose_payload_is_gone_waits_for_it_and_goes_on_when_it_is_back(
    storing: Client, queue: str, database: Database
) -> None:
    handle = await send_off(storing, queue, Parcel(content=LARGE))
    await run_sql(database, "CREATE TABLE kept AS SELECT * FROM payloads; ")
    await run_sql(database, "DELETE FROM payloads")

    try:
        async with carriers(storing, queue):
            why = await until_task_fails(handle)
            status = (await handle.describe()).status
            await run_sql(database, "INSERT INTO payloads SELECT * FROM kept")
            result = await handle.result()
    finally:
        await run_sql(database, "DROP TABLE kept")

    assert "is not in the payload store: restore the store from a backup" in why
    assert status == WorkflowExecutionStatus.RUNNING
    assert result.content == LARGE


async def test_an_activity_whose_payload_is_damaged_says_so_and_comes_back_later(
    storing: Client, queue: str, database: Database
) -> None:
    handle = await send_off(storing, queue, Parcel(content="-" + LARGE, apart=True))
    async with carriers(storing, queue, only="workflows"):
        await until_activity(handle, failed=False)
        await run_sql(database, "UPDATE payloads SET content = substr(content, 2)")

        async with carriers(storing, queue, only="activities"):
            pending = await until_activity(handle, failed=True)
    await run_sql(database, "DELETE FROM payloads")

    failure = pending.last_failure
    again = pending.next_attempt_schedule_time.seconds
    assert failure.application_failure_info.type == PayloadLostError.__name__
    assert "is damaged in the payload store" in failure.message
    assert again - pending.last_attempt_complete_time.seconds >= 59


async def test_a_result_that_is_too_large_without_a_store_is_tried_once(
    settings: Settings, queue: str
) -> None:
    without = await connect(settings.model_copy(update={"database_url": SecretStr("")}))
    async with carriers(without, queue):
        handle = await send_off(without, queue, Parcel(content=LARGE[:1000], grow=3000))

        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()

    activity = failed.value.cause
    assert isinstance(activity, ActivityError)
    assert isinstance(activity.cause, ApplicationError)
    assert activity.cause.type == "PayloadsTooLarge"
    assert activity.retry_state == RetryState.NON_RETRYABLE_FAILURE


async def test_a_reference_is_refused_by_name_where_there_is_no_store(
    storing: Client, settings: Settings, queue: str
) -> None:
    without = await connect(settings.model_copy(update={"database_url": SecretStr("")}))
    async with carriers(storing, queue):
        await (await send_off(storing, queue, Parcel(content=LARGE))).result()

    with pytest.raises(PayloadLostError, match="this process has no DATABASE_URL"):
        await without.get_workflow_handle(queue, result_type=Parcel).result()


async def test_a_saved_history_carries_its_payloads_and_replays_without_the_store(
    storing: Client, settings: Settings, queue: str, database: Database
) -> None:
    async with carriers(storing, queue):
        handle = await send_off(storing, queue, Parcel(content=LARGE))
        await handle.result()
    history = (await handle.fetch_history()).to_json()

    saved = await with_payloads(storing.data_converter, history)
    await run_sql(database, "DELETE FROM payloads")

    bare = settings.model_copy(update={"database_url": SecretStr("")})
    read = WorkflowHistory.from_json(queue, {"events": json.loads(saved)["events"]})
    ours = plugin(replay_converter(bare, saved))
    await Replayer(workflows=[ParcelWorkflow], plugins=[ours]).replay_workflow(read)
    assert len(payloads_of(saved)) == 1  # the same value is kept once
    alone = plugin(replay_converter(bare, history))
    with pytest.raises(RuntimeError, match="was not saved together with this history"):
        await Replayer(workflows=[ParcelWorkflow], plugins=[alone]).replay_workflow(read)


async def test_a_history_of_another_store_is_saved_as_it_is(storing: Client) -> None:
    (reference,) = await storing.data_converter.encode([LARGE])
    reference.data = reference.data.replace(b'"postgresql"', b'"elsewhere"')
    history = json.dumps({"events": [json_format.MessageToDict(reference)]})

    assert await with_payloads(storing.data_converter, history) == history


@pytest.mark.parametrize("carried", [[], {"address": 7}, {"address": "no base64"}])
def test_payloads_that_a_file_does_not_carry_as_they_were_saved_are_refused(
    carried: object,
) -> None:
    with pytest.raises(InputError, match="`payloads`"):
        payloads_of(json.dumps({"events": [], "payloads": carried}))


async def test_a_payload_that_is_damaged_in_a_file_is_named(storing: Client) -> None:
    payloads = await storing.data_converter.encode([LARGE])
    reference = reference_in(payloads[0])
    assert reference is not None
    damaged = saved_storage({reference.claim_data["sha256"]: b"damaged"})
    reading = dataclasses.replace(storing.data_converter, external_storage=damaged)

    with pytest.raises(PayloadLostError, match="is damaged in this file"):
        await reading.decode(payloads)


async def test_a_payload_is_needed_since_before_the_start_of_the_oldest_run(
    storing: Client, queue: str
) -> None:
    handle = await send_off(storing, queue, Parcel(waits=True))
    began = (await handle.describe()).start_time
    await until_listed(storing, queue)

    long_after = await needed_since(storing, now=began + timedelta(days=365))
    today = await needed_since(storing)
    await handle.terminate()

    assert long_after <= began - MARGIN
    assert today <= datetime.now(UTC) - RETENTION


async def test_a_history_without_large_values_is_saved_as_it_is(
    storing: Client, queue: str
) -> None:
    async with carriers(storing, queue):
        handle = await send_off(storing, queue, Parcel(content="small"))
        await handle.result()
    history = (await handle.fetch_history()).to_json()

    assert await with_payloads(storing.data_converter, history) == history
