"""Threads: what is stored once however often it is delivered, and who sees which branch."""

import pytest

from activities.conversation import ConversationActivities
from durable_agents.db.engine import Database
from durable_agents.db.observations import NO_RESULT, add_observation
from durable_agents.db.threads import NewMessage, Step, append
from durable_agents.models.conversation import (
    FailedCall,
    ObserveInput,
    OpenThreadInput,
    SaidMessage,
    SaveMessagesInput,
    ThreadHead,
)
from durable_agents.models.errors import NotFoundError, UnknownAgentError
from tests.activities.performing import conversation, new_run, perform


@pytest.fixture
def activities(database: Database) -> ConversationActivities:
    return ConversationActivities(database)


async def opened(
    activities: ConversationActivities, run: str, text: str = "Hello", thread: int = 0
) -> ThreadHead:
    request = OpenThreadInput(text=text, agent="assistant", thread=thread)
    return await perform(activities.create_thread, request, run=run, step="open-thread")


async def thought(database: Database, run: str, head: ThreadHead, step: str, calls: int) -> int:
    """Store what a model says, with calls of a tool; the message's id."""
    asked = [{"id": f"c{n}", "name": "calculate", "arguments": "{}"} for n in range(calls)]
    said = NewMessage(role="assistant", content=f"{run} thinks", tool_calls=asked)
    async with database.transaction() as connection:
        return await append(connection, Step(run, step), said, parent=head.head)


async def observed(database: Database, run: str, message: int, call: int, text: str) -> None:
    async with database.statement() as connection:
        step = Step(run, f"calculate-{message}.{call}")
        await add_observation(connection, step, answers=message, call=call, content=text)


async def test_a_thread_is_opened_once_however_often_it_is_delivered(
    activities: ConversationActivities, database: Database
) -> None:
    run = new_run()

    first = await opened(activities, run)
    second = await opened(activities, run)

    assert second == first
    assert [said.content for said in await conversation(database, first)] == ["Hello"]


async def test_a_thread_that_goes_on_takes_the_new_message_once(
    activities: ConversationActivities, database: Database
) -> None:
    thread = (await opened(activities, new_run())).thread
    run = new_run()

    first = await opened(activities, run, "And now?", thread)
    second = await opened(activities, run, "And now?", thread)

    assert second == first
    said = [message.content for message in await conversation(database, first)]
    assert said == ["Hello", "And now?"]


async def test_an_unknown_thread_or_agent_is_refused(activities: ConversationActivities) -> None:
    with pytest.raises(NotFoundError, match="no thread 987654321"):
        await opened(activities, new_run(), thread=987_654_321)
    with pytest.raises(UnknownAgentError):
        await perform(
            activities.create_thread, OpenThreadInput(text="x", agent="nobody"), run=new_run()
        )


async def test_what_databases_cannot_hold_is_replaced_in_a_message(
    activities: ConversationActivities, database: Database
) -> None:
    head = await opened(activities, new_run(), "a\x00b \ud83d c")

    assert [said.content for said in await conversation(database, head)] == ["a\ufffdb \ufffd c"]


async def test_messages_are_saved_in_order_and_once(
    activities: ConversationActivities, database: Database
) -> None:
    run = new_run()
    head = await opened(activities, run)
    request = SaveMessagesInput(
        thread=head.thread,
        head=head.head,
        messages=(
            SaidMessage(role="assistant", content="Good day."),
            SaidMessage(role="user", content="Good night."),
        ),
    )

    first = await perform(activities.save_messages, request, run=run, step="save")
    second = await perform(activities.save_messages, request, run=run, step="save", attempt=2)

    assert second == first
    said = [(message.role, message.content) for message in await conversation(database, first)]
    assert said == [("user", "Hello"), ("assistant", "Good day."), ("user", "Good night.")]


async def test_observations_stand_in_the_order_of_the_calls_not_of_their_arrival(
    activities: ConversationActivities, database: Database
) -> None:
    run = new_run()
    message = await thought(database, run, await opened(activities, run), "think-1", 3)
    for call, text in ((2, "third"), (0, "first")):
        await observed(database, run, message, call, text)
    request = ObserveInput(
        message=message, calls=3, failed=(FailedCall(index=1, reason="second failed"),)
    )

    first = await perform(activities.observe, request, run=run, step="observe-1")
    second = await perform(activities.observe, request, run=run, step="observe-1", attempt=2)

    assert second == first
    seen = await conversation(database, first)
    assert [said.content for said in seen[2:]] == ["first", "second failed", "third"]
    assert [said.tool_call_id for said in seen[2:]] == ["c0", "c1", "c2"]


async def test_a_call_that_left_no_observation_gets_one_that_says_so(
    activities: ConversationActivities, database: Database
) -> None:
    run = new_run()
    message = await thought(database, run, await opened(activities, run), "think-1", 2)
    await observed(database, run, message, 1, "only one")

    head = await perform(activities.observe, ObserveInput(message=message, calls=2), run=run)

    seen = await conversation(database, head)
    assert [said.content for said in seen[2:]] == [NO_RESULT, "only one"]


async def test_a_run_that_was_reset_reads_its_own_branch(
    activities: ConversationActivities, database: Database
) -> None:
    abandoned, reset = new_run(), new_run()
    head = await opened(activities, abandoned)
    ends: dict[str, ThreadHead] = {}
    for run in (abandoned, reset):
        message = await thought(database, run, head, "think-1", 1)
        await observed(database, run, message, 0, f"{run} observes")
        request = ObserveInput(message=message, calls=1)
        ends[run] = await perform(activities.observe, request, run=run, step="observe-1")

    seen = {run: [m.content for m in await conversation(database, ends[run])] for run in ends}

    assert seen == {
        run: ["Hello", f"{run} thinks", f"{run} observes"] for run in (abandoned, reset)
    }


async def test_a_run_that_was_reset_after_its_thought_prefers_its_own_observations(
    activities: ConversationActivities, database: Database
) -> None:
    abandoned, reset = new_run(), new_run()
    message = await thought(database, abandoned, await opened(activities, abandoned), "think-1", 1)
    request = ObserveInput(message=message, calls=1)
    for run in (abandoned, reset):
        await observed(database, run, message, 0, f"{run} observes")

    await perform(activities.observe, request, run=abandoned, step="observe-1")
    head = await perform(activities.observe, request, run=reset, step="observe-1")

    assert (await conversation(database, head))[-1].content == f"{reset} observes"
