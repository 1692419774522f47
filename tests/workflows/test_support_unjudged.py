"""F5 when nobody could judge the reply: a person takes over, and the customer keeps it."""

import pytest
from temporalio.client import Client
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from durable_agents.db.engine import Database
from durable_agents.db.error_log import list_errors
from durable_agents.models.conversation import Thought
from durable_agents.models.support import Judgement
from tests.steering import Simulator
from tests.workflows import runs
from tests.workflows.supporting import ACCOUNT, judging, start, supported, thread_of, tickets_of
from workflows.flow import type_of
from workflows.support import NO_ANSWER, SupportWorkflow

pytestmark = pytest.mark.usefixtures("worker")

NONSENSE: dict[str, object] = {"kind": "nonsense", "times": -1}
REFUSED: dict[str, object] = {"status": 401, "error_code": "invalid_api_key", "times": -1}


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (NONSENSE, ("ModelOutputError", "no usable answer")),
        (REFUSED, ("ModelAuthenticationError", "OPENAI_API_KEY")),
    ],
)
async def test_what_nobody_could_judge_is_escalated_and_the_customer_keeps_the_reply(
    client: Client,
    database: Database,
    simulator: Simulator,
    fault: dict[str, object],
    told: tuple[str, str],
) -> None:
    word = runs.token()

    async with simulator.faults(judging(word), fault):
        handle = await start(client, f"{word}: thanks, all is well.")
        result = await runs.result_of(handle)

    assert (result.escalated, result.judged, result.priority) == (True, False, "medium")
    assert result.reason.startswith("not judged: ")
    assert told[1] in result.reason
    assert await tickets_of(database, result.thread) == [(result.ticket, ACCOUNT, "medium")]
    assert (await thread_of(database, result.thread))[-1] == ("assistant", result.reply)
    status = await runs.status_of(handle)
    assert (status.state, status.note, status.error) == ("completed", result.reason, "")
    async with database.statement() as connection:
        (logged,) = await list_errors(connection, workflow_id=handle.id)
    assert (logged.type, f"not judged: {logged.message}") == (told[0], result.reason)


async def test_a_ticket_of_the_agent_is_the_one_when_nobody_could_judge(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word = runs.token()

    async with simulator.faults(judging(word), NONSENSE):
        result = await supported(client, f"{word}. Please file a ticket: the lamp flickers.")

    (ticket,) = await tickets_of(database, result.thread)
    assert (ticket[0], result.judged) == (result.ticket, False)


async def test_a_reply_and_a_judgement_that_are_missing_are_both_told(
    client: Client, simulator: Simulator
) -> None:
    word = runs.token()

    async with simulator.faults(judging(word), NONSENSE):
        result = await supported(client, f"{word}: what is the refund policy?", max_rounds=1)

    assert (result.escalated, result.stopped, result.judged) == (True, "max_rounds", False)
    assert result.reason.startswith(f"{NO_ANSWER} not judged: ")


class JudgeFails(SupportWorkflow):
    """Support whose judge fails in one way."""

    def __init__(self, failure: ActivityError) -> None:
        super().__init__()
        self._failure = failure

    async def decision(self) -> Judgement:
        """What is decided about a message that was answered."""
        return await self._decide(1, Thought(message=2), "u-1")

    async def _judge(self, issue: int, answered: Thought | None, user_id: str) -> Judgement:
        raise self._failure

    async def _not_judged(self, error: Exception) -> Judgement:
        return Judgement(escalate=True, priority="medium", reason=type_of(error), judged=False)


def failure(cause: Exception) -> ActivityError:
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="generate_object",
        activity_id="decide",
        retry_state=None,
    )
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("kind", ["BudgetExceededError", "ModelQuotaError"])
async def test_a_judge_that_fails_in_whatever_way_is_a_reason_to_escalate(kind: str) -> None:
    flow = JudgeFails(failure(ApplicationError("It is used up.", type=kind, non_retryable=True)))

    decision = await flow.decision()

    assert (decision.escalate, decision.judged, decision.reason) == (True, False, kind)


async def test_a_cancel_while_the_judge_works_is_no_failure_of_the_judge() -> None:
    flow = JudgeFails(failure(CancelledError()))

    with pytest.raises(ActivityError):
        await flow.decision()
