"""F8 when a step fails or the budget ends: what was found stands, and what is missing is told."""

from typing import Any

import pytest
from temporalio.client import Client

from activities.research import BUDGET_ENDED, UNWRITTEN
from durable_agents.db.engine import Database
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.researching import QUERY, report_of, start

pytestmark = pytest.mark.usefixtures("worker")

REFUSE: dict[str, Any] = {"status": 401, "error_code": "invalid_api_key", "times": -1}


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
