"""F7 with the real server, the real database, and the simulator as the model."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from durable_agents.db import documents
from durable_agents.db.engine import Database
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.analysing import GLAD, PLAIN, WORKFLOW, new_document, saved, start
from workflows.analyze_document import MOST_BATCHES, batch_size

pytestmark = pytest.mark.usefixtures("worker")

SOON = {"form": "ms", "value": 10}

SAD = "The invoices were terrible, late and wrong, and the customers are angry. "


async def notes_of(database: Database, handle: WorkflowHandle[Any, Any], branch: str) -> int:
    async with database.statement() as connection:
        run_id = handle.first_execution_run_id or ""
        return len(await documents.read_notes(connection, run_id, branch))


async def test_a_sample_document_is_analysed_and_the_analysis_is_saved(
    client: Client, database: Database
) -> None:
    handle = await start(client, "customer-feedback-spring")
    result = await runs.result_of(handle)

    assert result.title.startswith("Customer feedback")
    assert result.sections == 1
    assert result.sentiment in {"positive", "negative"}
    assert result.topics
    assert len(result.summary) > 100
    assert (result.partial, result.missing) == (False, ())
    assert result.usage.calls == 3
    assert result.model == "simulator-extractive-1"
    row = await saved(database, "customer-feedback-spring")
    assert row is not None
    assert row["summary"] == result.summary
    asked = await runs.activities_of(handle)
    assert asked[0] == "get-document"
    assert set(asked[1:4]) == {"sentiment-1", "topics-1", "summary-1"}
    assert asked[-1] == "save-analysis"


async def test_a_long_document_is_read_in_sections_and_the_text_stays_out_of_history(
    client: Client, database: Database
) -> None:
    content = f"# Depots\n\n{GLAD * 400}\n\n{SAD * 100}\n\n{PLAIN * 900}"
    document_id = await new_document(database, content)

    handle = await start(client, document_id)
    result = await runs.result_of(handle)

    assert result.chars == len(content)
    assert result.sections == len(content) // 8000 == 13
    assert result.sentiment == "positive"
    assert 0.05 < result.score < 0.6
    assert await notes_of(database, handle, "summary") == 13
    assert await notes_of(database, handle, "summary/1") == 2
    assert await notes_of(database, handle, "summary/2") == 1
    assert result.usage.calls == 3 * 13 + 3
    history = [event.ByteSize() for event in await runs.events_of(handle)]
    assert max(history) < 8_000
    assert sum(history) < 60_000


async def test_of_a_megabyte_no_payload_is_large_and_the_history_is_short(
    client: Client, database: Database
) -> None:
    sentences = [f"Entry {n}: depot {n % 97} sent parcel {n * 7} on time. " for n in range(21_000)]
    document_id = await new_document(database, "".join(sentences))

    handle = await start(client, document_id)
    async with asyncio.timeout(60):
        result = await handle.result()

    assert result.chars > 1_000_000
    assert result.sections > 125
    assert result.usage.calls == 3 * result.sections + 11 + 1
    events = await runs.events_of(handle)
    assert len(events) < 500
    assert max(event.ByteSize() for event in events) < 8_000


@pytest.mark.parametrize("sections", [1, 4, 13, 64, 650, 7000])
def test_the_number_of_activities_is_bounded_whatever_the_length(sections: int) -> None:
    assert -(-sections // batch_size(sections)) <= MOST_BATCHES


async def test_an_unknown_document_is_refused(client: Client) -> None:
    handle = await start(client, "no-such-document")

    kind, message = await runs.failure_of(handle)

    assert kind == "NotFoundError"
    assert "There is no document no-such-document" in message
    assert await runs.activities_of(handle) == ["get-document"]


@pytest.mark.parametrize("content", ["\x01\x02\x03\x04 PNG \ufffd\ufffd\x1f" * 20, " \n ", "-- !!"])
async def test_a_document_that_is_not_text_is_refused(
    client: Client, database: Database, content: str
) -> None:
    document_id = await new_document(database, content)

    kind, message = await runs.failure_of(await start(client, document_id))

    assert kind == "InputError"
    assert f"The document {document_id} is not text" in message


async def test_an_attempt_goes_on_where_the_one_before_it_stopped(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word = runs.token()
    content = f"{PLAIN * 350} {word} {PLAIN * 350}"
    document_id = await new_document(database, content)
    down = {"status": 503, "retry_after": SOON, "times": 2}

    async with simulator.faults(word, down):
        handle = await start(client, document_id)
        result = await runs.result_of(handle)

    assert result.sections == 6
    async with database.statement() as connection:
        counted = text(
            "SELECT count(*) FILTER (WHERE outcome = 'ok'), count(*) FROM llm_calls"
            " WHERE run_id = :run"
        )
        values = {"run": handle.first_execution_run_id}
        ok, tried = (await connection.execute(counted, values)).one()
    assert (ok, tried) == (3 * 6 + 1, 3 * 6 + 1 + 2)
    assert result.usage.calls == tried


async def test_a_document_that_changes_meanwhile_fails_the_run(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word = runs.token()
    document_id = await new_document(database, f"{PLAIN} {word}")
    down = {"status": 503, "retry_after": {"form": "ms", "value": 300}, "times": 3}
    change = text("UPDATE documents SET content_hash = 'other' WHERE document_id = :id")

    async with simulator.faults(word, down):
        handle = await start(client, document_id)
        await runs.until_step(handle, "sentiment: 1-1 of 1, topics: 1-1 of 1, summary: 1-1 of 1")
        async with database.statement() as connection:
            await connection.execute(change, {"id": document_id})
        kind, message = await runs.failure_of(handle)

    assert kind == "InputError"
    assert "was changed or deleted while it was read" in message


async def test_a_deadline_fails_the_run(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word = runs.token()
    document_id = await new_document(database, f"{PLAIN} {word}")

    async with simulator.faults(word, {"kind": "hang", "times": -1}):
        handle = await start(client, document_id, deadline_s=1, allow_partial=True)
        kind, message = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    assert "within 1 s" in message


async def test_a_cancelled_run_ends_cancelled(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word = runs.token()
    document_id = await new_document(database, f"{PLAIN} {word}")

    async with simulator.faults(word, {"kind": "hang", "times": -1}):
        handle = await start(client, document_id, allow_partial=True)
        await runs.until_step(handle, "sentiment: 1-1 of 1, topics: 1-1 of 1, summary: 1-1 of 1")
        await handle.cancel()
        kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert await saved(database, document_id) is None


@pytest.mark.parametrize(
    "given", [[], [{"document_id": " "}], [{"document_id": 5}], ["x"]], ids=str
)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: list[object]
) -> None:
    handle = await runs.start(client, WORKFLOW, *given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert message
