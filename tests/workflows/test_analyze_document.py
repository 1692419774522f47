"""F7 with the real server, the real database, and the simulator as the model."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from durable_agents.db import documents
from durable_agents.db.engine import Database
from durable_agents.db.flow_tables import Analysis
from durable_agents.models.analyze_document import DocumentAnalysisInput, DocumentAnalysisResult
from tests.steering import Simulator
from tests.workflows import runs
from workflows.analyze_document import MOST_BATCHES, batch_size

pytestmark = pytest.mark.usefixtures("worker")

WORKFLOW = "DocumentAnalysisWorkflow"
REFUSE: dict[str, Any] = {"status": 401, "error_code": "invalid_api_key", "times": -1}
SOON = {"form": "ms", "value": 10}

GLAD = "The new depot is wonderful and the drivers are happy with the excellent routes. "
SAD = "The invoices were terrible, late and wrong, and the customers are angry. "
PLAIN = "The contract lists the depots of the northern region and their opening hours. "


async def new_document(database: Database, content: str) -> str:
    """A document of the test's own, which names itself, so that faults find it."""
    document_id = runs.token()
    statement = text(
        "INSERT INTO documents (document_id, title, source, content, content_hash)"
        " VALUES (:id, :title, 'test', :content, md5(:content))"
    )
    async with database.statement() as connection:
        values = {"id": document_id, "title": f"About {document_id}"}
        await connection.execute(statement, {**values, "content": content})
    return document_id


async def start(client: Client, document_id: str, **options: Any) -> WorkflowHandle[Any, Any]:
    request = DocumentAnalysisInput(document_id=document_id, **options)
    return await runs.start(client, WORKFLOW, request, result_type=DocumentAnalysisResult)


async def analyse(client: Client, document_id: str, **options: Any) -> DocumentAnalysisResult:
    return await runs.result_of(await start(client, document_id, **options))


async def saved(database: Database, document_id: str) -> dict[str, Any] | None:
    async with database.statement() as connection:
        return await connection.scalar(select(Analysis.result).filter_by(document_id=document_id))


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


async def test_a_failed_branch_fails_the_run_unless_told_otherwise(
    client: Client, database: Database, simulator: Simulator
) -> None:
    document_id = await new_document(database, f"{GLAD} Seen by {runs.token()}.")
    match = "up to five topics"

    async with simulator.faults(match, REFUSE):
        handle = await start(client, document_id)
        kind, message = await runs.failure_of(handle)

    assert kind == "ModelAuthenticationError"
    assert "OPENAI_API_KEY" in message
    assert await saved(database, document_id) is None


async def test_a_failed_branch_leaves_a_partial_analysis_that_says_so(
    client: Client, database: Database, simulator: Simulator
) -> None:
    document_id = await new_document(database, GLAD * 10)

    async with simulator.faults("up to five topics", REFUSE):
        result = await analyse(client, document_id, allow_partial=True)

    assert result.partial
    assert [missing.branch for missing in result.missing] == ["topics"]
    assert "OPENAI_API_KEY" in result.missing[0].reason
    assert result.topics == ()
    assert (result.sentiment, bool(result.summary)) == ("positive", True)
    row = await saved(database, document_id)
    assert row is not None
    assert row["partial"] is True


async def test_a_run_of_which_every_branch_fails_fails(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word = runs.token()
    document_id = await new_document(database, f"{GLAD} Seen by {word}.")

    async with simulator.faults(word, REFUSE):
        handle = await start(client, document_id, allow_partial=True)
        kind, _ = await runs.failure_of(handle)

    assert kind == "ModelAuthenticationError"
    assert await saved(database, document_id) is None


async def test_a_budget_bounds_what_is_used_and_what_it_does_not_pay_for_is_missing(
    client: Client, database: Database
) -> None:
    document_id = await new_document(database, PLAIN * 600)
    whole = await analyse(client, document_id)
    used = whole.usage.input_tokens + whole.usage.output_tokens

    handle = await start(client, document_id, allow_partial=True, max_tokens=used * 4 // 5)
    result = await runs.result_of(handle)

    assert whole.sections == 5
    assert 0 < result.usage.input_tokens + result.usage.output_tokens <= used * 4 // 5
    assert (result.sentiment, result.score) == (whole.sentiment, whole.score)
    assert result.topics == whole.topics
    assert [missing.branch for missing in result.missing] == ["summary"]
    assert "Raise max_tokens" in result.missing[0].reason
    facts = text(
        "SELECT missing, (SELECT count(*) FROM llm_calls WHERE llm_calls.run_id = :run)"
        " FROM analyses WHERE analyses.run_id = :run"
    )
    async with database.statement() as connection:
        row = (await connection.execute(facts, {"run": handle.first_execution_run_id})).one()
    assert tuple(row) == ("summary", result.usage.calls)


@pytest.mark.parametrize(
    "budget", [{"max_tokens": 100_000}, {"max_calls": 16}, {"max_cost_usd": 0.5}], ids=str
)
async def test_a_budget_that_just_suffices_is_spent_to_the_end(
    client: Client, database: Database, budget: dict[str, float]
) -> None:
    document_id = await new_document(database, PLAIN * 600)

    result = await analyse(client, document_id, **budget)

    assert (result.sections, result.partial, result.usage.calls) == (5, False, 16)
    assert result.summary


@pytest.mark.parametrize(
    ("budget", "raised"),
    [({"max_tokens": 6000}, "max_tokens"), ({"max_calls": 7}, "max_calls")],
    ids=str,
)
async def test_a_budget_that_ends_fails_the_run_unless_told_otherwise(
    client: Client, database: Database, budget: dict[str, float], raised: str
) -> None:
    document_id = await new_document(database, PLAIN * 600)

    handle = await start(client, document_id, **budget)
    kind, message = await runs.failure_of(handle)

    assert kind == "BudgetExceededError"
    assert f"Raise {raised}" in message
    assert await saved(database, document_id) is None
    assert (await runs.status_of(handle)).usage.calls <= 7


async def test_a_budget_for_nothing_fails_the_run_also_where_parts_may_be_missing(
    client: Client, database: Database
) -> None:
    document_id = await new_document(database, PLAIN)

    handle = await start(client, document_id, allow_partial=True, max_tokens=10)

    assert (await runs.failure_of(handle))[0] == "BudgetExceededError"


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
