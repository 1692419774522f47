"""F7 when a branch fails or the budget ends: the run fails, or says what is missing."""

from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client

from durable_agents.db.engine import Database
from durable_agents.models.analyze_document import DocumentAnalysisResult
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.analysing import GLAD, PLAIN, new_document, saved, start

pytestmark = pytest.mark.usefixtures("worker")

REFUSE: dict[str, Any] = {"status": 401, "error_code": "invalid_api_key", "times": -1}


async def analyse(client: Client, document_id: str, **options: Any) -> DocumentAnalysisResult:
    return await runs.result_of(await start(client, document_id, **options))


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
