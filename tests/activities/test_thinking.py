"""The step *think* with a real database and a model that says what it is told to."""

import json

import pytest
from sqlalchemy import text

from activities.conversation import ConversationActivities
from activities.thinking import CUT, ThinkingActivities
from durable_agents.agent.asking import Asker
from durable_agents.agent.prices import Prices
from durable_agents.agent.tools import TOOLS
from durable_agents.clients.completion import ChatAnswer
from durable_agents.clients.model import ChatRequest
from durable_agents.db.engine import Database
from durable_agents.db.threads import find_message
from durable_agents.models.conversation import OpenThreadInput, ThinkInput, Thought, ThreadHead
from durable_agents.models.errors import (
    ModelOutputError,
    ModelUnavailableError,
    UnknownAgentError,
)
from durable_agents.models.status import Usage
from tests.activities.performing import new_run, perform
from tests.fake_model import MODEL, FakeModel, says

CALCULATE = ("calculate", '{"expression": "6 * 7"}')


class Thinking:
    """A thread with a task, and a model that answers as planned."""

    def __init__(self, database: Database, run: str, head: ThreadHead) -> None:
        self.database = database
        self.run = run
        self.head = head
        self.model = FakeModel([])

    async def think(
        self, *plan: ChatAnswer | Exception, model: FakeModel | None = None, attempt: int = 1
    ) -> Thought:
        self.model = asked = model or FakeModel([*plan])
        activities = ThinkingActivities(Asker(asked, self.database, Prices()), self.database)
        request = ThinkInput(agent="assistant", head=self.head.head, task=self.head.head)
        return await perform(
            activities.think, request, run=self.run, step="think-1", attempt=attempt
        )

    async def observations(self) -> list[str]:
        query = text(
            "SELECT content FROM messages WHERE run_id = :run AND role = 'tool' ORDER BY index"
        )
        async with self.database.statement() as connection:
            return list(await connection.scalars(query, {"run": self.run}))

    async def outcomes(self) -> list[str]:
        query = text("SELECT outcome FROM llm_calls WHERE run_id = :run ORDER BY llm_call_id")
        async with self.database.statement() as connection:
            return list(await connection.scalars(query, {"run": self.run}))


@pytest.fixture
async def thinking(database: Database) -> Thinking:
    run = new_run()
    request = OpenThreadInput(text="What is 6 * 7?", agent="assistant")
    opening = ConversationActivities(database).create_thread
    return Thinking(database, run, await perform(opening, request, run=run))


async def test_the_model_sees_its_instructions_the_task_and_its_tools(
    thinking: Thinking,
) -> None:
    await thinking.think(says("42."))

    request = thinking.model.asked[0]
    assert [message["role"] for message in request.messages] == ["system", "user"]
    assert request.messages[1]["content"] == "What is 6 * 7?"
    assert {tool["function"]["name"] for tool in request.tools} == set(TOOLS)


async def test_an_answer_is_stored_and_told(thinking: Thinking) -> None:
    thought = await thinking.think(says("42.", tokens=(100, 20)))

    assert (thought.answer, thought.calls, thought.model) == ("42.", (), MODEL)
    assert thought.usage == Usage(input_tokens=100, output_tokens=20, cost_usd=0.000065, calls=1)
    async with thinking.database.statement() as connection:
        stored = await find_message(connection, thought.message)
    assert (stored.role, stored.content, stored.model) == ("assistant", "42.", MODEL)


async def test_calls_are_told_without_their_arguments(thinking: Thinking) -> None:
    thought = await thinking.think(says("", CALCULATE))

    assert [(call.tool, call.about, call.refused) for call in thought.calls] == [
        ("calculate", "6 * 7", False)
    ]
    assert len(thought.calls[0].digest) == 12
    assert "expression" not in thought.model_dump_json()


async def test_an_attempt_after_one_that_stored_its_thought_does_not_ask_again(
    thinking: Thinking,
) -> None:
    first = await thinking.think(says("", CALCULATE, ("nothing", "{}")))

    second = await thinking.think(says("something else"), attempt=2)

    assert thinking.model.asked == []
    assert second == first
    assert len(await thinking.observations()) == 1


async def test_an_attempt_after_one_that_failed_asks_again(thinking: Thinking) -> None:
    with pytest.raises(ModelUnavailableError):
        await thinking.think(ModelUnavailableError("It is away."))

    thought = await thinking.think(says("42."), attempt=2)

    assert thought.answer == "42."
    assert await thinking.outcomes() == ["ModelUnavailableError", "ok"]


async def test_an_attempt_that_is_overtaken_tells_the_thought_that_is_stored(
    thinking: Thinking,
) -> None:
    first: list[Thought] = []

    class Overtaken(FakeModel):
        async def chat(self, request: ChatRequest) -> ChatAnswer:
            first.append(await thinking.think(says("", CALCULATE)))
            return await super().chat(request)

    second = await thinking.think(model=Overtaken([says("Two.")]), attempt=2)

    assert second.calls == first[0].calls
    assert second.message == first[0].message
    assert await thinking.outcomes() == ["ok", "ok"]


@pytest.mark.parametrize(
    ("call", "says_why"),
    [
        (("nothing", "{}"), "there is no tool nothing. You can use: calculate"),
        (("", "{}"), "there is no tool (no name)"),
        (("calculate", '{"expression": 1, "more": 2}'), "'more' is not an argument"),
        (("calculate", "{"), "not valid JSON"),
        (("calculate", "[]"), "one JSON object"),
        (("calculate", '{"expression": "1\\u0000"}'), "NUL"),
    ],
)
async def test_a_call_that_cannot_be_run_is_refused_with_the_reason(
    thinking: Thinking, call: tuple[str, str], says_why: str
) -> None:
    thought = await thinking.think(says("", call))

    assert [asked.refused for asked in thought.calls] == [True]
    assert says_why in (await thinking.observations())[0]


async def test_a_tool_that_needs_approval_is_marked(thinking: Thinking) -> None:
    ticket = json.dumps({"subject": "Broken", "description": "It is broken."})

    thought = await thinking.think(says("", ("file_ticket", ticket)))

    assert thought.calls[0].approval


async def test_what_databases_cannot_hold_does_no_harm(thinking: Thinking) -> None:
    thought = await thinking.think(
        says("a\x00b", ("calculate", '{"expression": "1\x00"}'), ("x\x00\ud800", "\x00"))
    )

    assert [call.refused for call in thought.calls] == [True, True]
    async with thinking.database.statement() as connection:
        stored = await find_message(connection, thought.message)
    assert stored.content == "a\ufffdb"


async def test_an_empty_answer_is_asked_for_again(thinking: Thinking) -> None:
    thought = await thinking.think(says(" "), says("42."))

    assert thought.answer == "42."
    assert thought.usage.calls == 2
    assert await thinking.outcomes() == ["ok", "ok"]


async def test_a_model_that_says_nothing_is_given_up(thinking: Thinking) -> None:
    with pytest.raises(ModelOutputError, match="in 3 tries"):
        await thinking.think(says(""))

    assert await thinking.outcomes() == ["ok", "ok", "ok"]


async def test_a_refusal_is_the_answer(thinking: Thinking) -> None:
    thought = await thinking.think(says("", refusal="I would rather not."))

    assert thought.answer == "I would rather not."
    assert len(thinking.model.asked) == 1


async def test_an_answer_that_was_cut_says_so(thinking: Thinking) -> None:
    thought = await thinking.think(says("Once upon", cut=True))

    assert thought.answer == f"Once upon{CUT}"


async def test_an_unknown_agent_is_refused(database: Database) -> None:
    activities = ThinkingActivities(Asker(FakeModel([says("x")]), database, Prices()), database)

    with pytest.raises(UnknownAgentError):
        await perform(activities.think, ThinkInput(agent="nobody", head=1), run=new_run())
