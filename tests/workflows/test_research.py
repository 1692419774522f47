"""F8 with the real server, the real database, and the simulator as the model."""

import json
from typing import Any

import pytest
from sqlalchemy import select, text
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from activities.research import BUDGET_ENDED, UNWRITTEN
from durable_agents.db.engine import Database
from durable_agents.db.flow_tables import Report
from durable_agents.models.research import ResearchInput, ResearchResult
from tests.steering import Simulator
from tests.workflows import runs

pytestmark = pytest.mark.usefixtures("worker")

WORKFLOW = "ResearchWorkflow"
QUERY = "How long does a customer have to ask for a refund"
REFUSE: dict[str, Any] = {"status": 401, "error_code": "invalid_api_key", "times": -1}


async def start(client: Client, query: str, **options: Any) -> WorkflowHandle[Any, Any]:
    request = ResearchInput(query=query, **options)
    return await runs.start(client, WORKFLOW, request, result_type=ResearchResult)


async def report_of(database: Database, handle: WorkflowHandle[Any, Any]) -> Any:
    query = select(Report.report, Report.confidence, Report.rounds).where(
        Report.run_id == handle.first_execution_run_id
    )
    async with database.statement() as connection:
        return (await connection.execute(query)).one_or_none()


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


async def test_a_plan_that_fails_leaves_the_question_whole(
    client: Client, simulator: Simulator
) -> None:
    query = f"What is the refund policy for order {runs.token()}?"

    async with simulator.faults(
        f"Split this question into sub-questions.\\n\\nQuestion: {query}",
        {"kind": "nonsense", "times": 3},
    ):
        result = await runs.result_of(await start(client, query))

    assert result.sub_questions == (query,)
    assert result.report


async def test_a_sub_question_without_an_answer_is_named_and_the_others_stand(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()
    topic = f"the refund policy for {word}"

    async with simulator.faults(f"Which evidence is there on: {topic}", REFUSE):
        result = await runs.result_of(await start(client, f"What is {topic}?"))

    assert result.unanswered == (f"Which evidence is there on: {topic}?",)
    assert len(result.sub_questions) == 3
    assert "refund" in result.report


async def test_a_run_of_which_nothing_was_found_fails_with_the_reason(
    client: Client, simulator: Simulator, database: Database
) -> None:
    word = runs.token()

    async with simulator.faults(word, REFUSE):
        handle = await start(client, f"What is the refund policy for {word}?")
        kind, message = await runs.failure_of(handle)

    assert kind == "ModelAuthenticationError"
    assert "OPENAI_API_KEY" in message
    assert await report_of(database, handle) is None


async def test_a_budget_that_ends_between_rounds_leaves_the_report_that_there_is(
    client: Client,
) -> None:
    whole = await runs.result_of(await start(client, f"{QUERY}?", threshold=1, max_rounds=1))
    calls = whole.usage.calls

    cut = await runs.result_of(await start(client, f"{QUERY}?", threshold=1, max_calls=calls - 1))

    assert cut.stopped == "budget"
    assert cut.usage.calls == calls - 1
    assert cut.report


async def test_findings_are_the_report_when_the_budget_ends_before_one_is_written(
    client: Client, simulator: Simulator, database: Database
) -> None:
    word = runs.token()
    evidence = f"Which evidence is there on: the refund policy for {word}?"
    dear = {"kind": "nonsense", "text": f"Refunds of {word} take 14 days. " * 2000}

    async with simulator.faults(evidence.rstrip("?"), dear):
        handle = await start(client, f"What is the refund policy for {word}?", max_tokens=10_000)
        result = await runs.result_of(handle)

    saved = await report_of(database, handle)
    assert saved.report.startswith(UNWRITTEN.format(BUDGET_ENDED))
    assert f"{evidence}\nRefunds of {word} take 14 days." in saved.report
    assert saved.report.startswith(result.report)
    assert result.report_chars == len(saved.report) > 60_000
    assert (result.stopped, result.evaluated, result.rounds) == ("budget", False, 0)
    assert result.model == "simulator-extractive-1"
    assert evidence not in result.unanswered
    assert "join-findings" in await runs.activities_of(handle)


async def test_findings_are_the_report_when_the_writer_fails_for_good(
    client: Client, simulator: Simulator, database: Database
) -> None:
    query = f"What is the refund policy for {runs.token()}?"

    async with simulator.faults(f"answers the question.\\n\\nQuestion: {query}", REFUSE):
        handle = await start(client, query)
        result = await runs.result_of(handle)

    saved = await report_of(database, handle)
    assert saved.report.startswith(f"No report was written: {result.failure}")
    assert "refund" in saved.report
    assert "OPENAI_API_KEY" in result.failure
    assert (result.stopped, result.evaluated, result.rounds) == ("failed", False, 0)
    assert not result.written


@pytest.mark.parametrize(
    ("fails", "evaluated"), [("Evaluate the draft.", False), ("Review the draft.", True)]
)
async def test_a_report_that_was_written_stands_when_who_improves_it_fails_for_good(
    client: Client, simulator: Simulator, database: Database, fails: str, evaluated: bool
) -> None:
    query = f"What is the refund policy for {runs.token()}?"

    async with simulator.faults(f"{fails}\\n\\nQuestion: {query}", REFUSE):
        handle = await start(client, query, threshold=1)
        result = await runs.result_of(handle)

    saved = await report_of(database, handle)
    assert "refund" in saved.report
    assert "No report was written" not in saved.report
    assert "OPENAI_API_KEY" in result.failure
    assert (result.stopped, result.evaluated, result.rounds) == ("failed", evaluated, 0)
    assert result.written


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


async def test_a_budget_that_does_not_suffice_for_all_investigations_suffices_for_some(
    client: Client,
) -> None:
    handle = await start(client, f"{QUERY}?", max_tokens=4800)

    result = await runs.result_of(handle)

    assert 0 < len(result.unanswered) < 3
    assert "refund" in result.report
    assert result.usage.input_tokens + result.usage.output_tokens <= 4800


async def test_investigations_leave_a_share_of_the_budget_for_the_report(client: Client) -> None:
    handle = await start(client, f"{QUERY}?", max_calls=8, max_rounds=0)

    result = await runs.result_of(handle)

    assert result.usage.calls <= 8
    assert BUDGET_ENDED not in result.report
    assert {"compose", "evaluate-0"} <= set(await runs.activities_of(handle))


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


async def test_parallel_investigations_share_a_budget_of_tokens(client: Client) -> None:
    handle = await start(client, f"{QUERY}?", max_tokens=200_000, max_cost_usd=5)

    result = await runs.result_of(handle)

    assert result.unanswered == ()
    assert result.stopped == "confident"


async def test_a_budget_that_ends_before_a_finding_fails_the_run(client: Client) -> None:
    handle = await start(client, f"{QUERY}?", max_calls=1)

    kind, message = await runs.failure_of(handle)

    assert kind == "BudgetExceededError"
    assert "max_calls" in message


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
