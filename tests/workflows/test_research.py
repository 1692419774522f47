"""F8 with the real server, the real database, and the simulator as the model."""

import json

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowExecutionStatus

from durable_agents.db.engine import Database
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.researching import QUERY, WORKFLOW, report_of, start

pytestmark = pytest.mark.usefixtures("worker")


async def test_a_report_is_refined_until_it_is_sure_enough_and_saved(
    client: Client, database: Database, simulator: Simulator
) -> None:
    handle = await start(client, f"{QUERY}?")
    result = await runs.result_of(handle)

    assert result.stopped == "confident"
    assert result.confidence >= 0.8
    assert 1 <= result.rounds <= 3
    assert "refund" in result.report
    assert "Revision 1, taking up:" in result.report
    assert len(result.sub_questions) == 3
    assert result.unanswered == ()
    assert any("refund" in source.lower() for source in result.sources)
    assert result.findings
    assert result.model == "simulator-extractive-1"
    assert tuple(await report_of(database, handle)) == (
        result.report,
        result.confidence,
        result.rounds,
    )
    asked = await runs.activities_of(handle)
    assert asked[0] == "plan"
    assert {"q1-open-thread", "q3-search_knowledge-1.1", "q2-keep-finding"} <= set(asked)
    last = ["evaluate-0", "review-1", "refine-1", "evaluate-1"]
    assert asked[asked.index("compose") + 1 :][:4] == last
    assert asked[-1] == "save-report"
    reviewed = (await simulator.calls("Review the draft."))[-1]["body"]
    assert '<untrusted source=\\"draft\\">' in reviewed


async def test_the_texts_stay_out_of_history_but_for_answers_and_the_result(client: Client) -> None:
    handle = await start(client, f"{QUERY}, and what does shipping cost?")
    await runs.result_of(handle)

    sizes = [event.ByteSize() for event in await runs.events_of(handle)]
    assert max(sizes) < 10_000
    assert sum(sizes) < 80_000


async def test_a_report_that_stays_unsure_ends_after_the_last_round_and_says_so(
    client: Client,
) -> None:
    handle = await start(client, f"{QUERY}?", max_rounds=1, threshold=1)
    result = await runs.result_of(handle)

    assert (result.stopped, result.rounds) == ("max_rounds", 1)
    assert 0.5 < result.confidence < 1
    asked = await runs.activities_of(handle)
    assert asked.count("refine-1") == 1
    assert "refine-2" not in asked


async def test_without_rounds_the_first_draft_is_the_report(client: Client) -> None:
    result = await runs.result_of(await start(client, f"{QUERY}?", max_rounds=0))

    assert (result.stopped, result.rounds) == ("max_rounds", 0)
    assert "Revision" not in result.report


async def test_a_cancel_while_the_report_is_judged_is_no_failure_of_a_step(
    client: Client, simulator: Simulator, database: Database
) -> None:
    query = f"What is the refund policy for {runs.token()}?"
    hang = {"kind": "hang", "times": -1}

    async with simulator.faults(f"Evaluate the draft.\\n\\nQuestion: {query}", hang):
        handle = await start(client, query)
        await runs.until_step(handle, "evaluate 0")
        await handle.cancel()
        kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert await report_of(database, handle) is None


@pytest.mark.parametrize(
    ("scores", "confidence", "revisions"),
    [((0.5, 0.3), 0.5, 0), ((0.5, 0.3, 0.6), 0.6, 1), ((0.4, 0.5, 0.6), 0.6, 2)],
)
async def test_the_best_draft_is_refined_and_is_the_report(
    client: Client,
    simulator: Simulator,
    scores: tuple[float, ...],
    confidence: float,
    revisions: int,
) -> None:
    query = f"What is the refund policy for {runs.token()}?"
    judged = [
        {"kind": "nonsense", "text": json.dumps({"findings": [], "confidence": score})}
        for score in scores
    ]

    async with simulator.faults(f"Evaluate the draft.\\n\\nQuestion: {query}", *judged):
        rounds = len(scores) - 1
        result = await runs.result_of(await start(client, query, max_rounds=rounds))

    assert (result.confidence, result.rounds, result.stopped) == (confidence, rounds, "max_rounds")
    assert result.report.count("Revision ") == revisions


async def test_a_second_delivery_of_a_step_writes_no_second_draft(
    client: Client, simulator: Simulator, database: Database
) -> None:
    query = f"What is the refund policy for {runs.token()}?"
    down = {"status": 503, "retry_after": {"form": "ms", "value": 10}}

    async with simulator.faults("Review the draft.", down):
        handle = await start(client, query)
        result = await runs.result_of(handle)

    counted = text("SELECT count(*), count(DISTINCT step) FROM drafts WHERE run_id = :run")
    async with database.statement() as connection:
        values = {"run": handle.first_execution_run_id}
        rows, steps = (await connection.execute(counted, values)).one()
    assert await runs.attempts_of(handle, "review-1") == 2
    assert rows == steps == 3 + 1 + 2 * result.rounds


async def test_a_deadline_fails_the_run(client: Client, simulator: Simulator) -> None:
    word = runs.token()

    async with simulator.faults(word, {"kind": "hang", "times": -1}):
        handle = await start(client, f"What is {word}?", deadline_s=1)
        kind, message = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    assert "within 1 s" in message


async def test_a_cancelled_run_ends_cancelled(
    client: Client, simulator: Simulator, database: Database
) -> None:
    word = runs.token()
    hang = {"kind": "hang", "times": -1}

    async with simulator.faults(f"What is known about: {word}", hang):
        handle = await start(client, f"What is {word}?")

        async def investigates() -> bool:
            return "q1-think 1" in (await runs.status_of(handle)).step

        await runs.until(investigates, "the investigation")
        await handle.cancel()
        kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert await report_of(database, handle) is None


@pytest.mark.parametrize(
    "given",
    [[], [{"query": " "}], [{"query": "x", "threshold": 2}], [{"query": "x" * 5000}], ["x"]],
    ids=lambda given: str(given)[:30],
)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    client: Client, given: list[object]
) -> None:
    handle = await runs.start(client, WORKFLOW, *given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert message
