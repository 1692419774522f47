"""The step *act*: observations, failures, and effects that happen once."""

import json
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from activities.conversation import ConversationActivities
from activities.tools import ToolActivities
from durable_agents.agent.tool import Tool, ToolArguments, ToolContext
from durable_agents.agent.tools import TOOLS
from durable_agents.db.engine import Database
from durable_agents.db.threads import NewMessage, Step, append
from durable_agents.models.conversation import OpenThreadInput, ToolCallInput, ToolOutcome
from durable_agents.models.errors import (
    NotFoundError,
    ServiceUnavailableError,
    UnknownCityError,
)
from tests.activities.performing import new_run, perform


class EchoArguments(ToolArguments):
    text: str


async def echo(arguments: EchoArguments, context: ToolContext) -> str:
    if arguments.text == "final":
        raise UnknownCityError("There is no such city.")
    if arguments.text == "transient":
        raise ServiceUnavailableError("It is away.")
    return f"\x00{arguments.text}\ud800"


ECHO = Tool(name="echo", description="Say it again.", arguments=EchoArguments, run=echo)


class Acting:
    """A thought whose first call is to be run."""

    def __init__(self, database: Database, run: str) -> None:
        self.database = database
        self.run = run
        self.message = 0

    async def ask_for(self, tool: str, arguments: dict[str, Any] | str) -> None:
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        opening = ConversationActivities(self.database).create_thread
        head = await perform(opening, OpenThreadInput(text="x"), run=self.run, step="open")
        said = NewMessage(
            role="assistant",
            content="",
            tool_calls=[{"id": "c0", "name": tool, "arguments": written}],
        )
        async with self.database.transaction() as connection:
            self.message = await append(
                connection, Step(self.run, "think-1"), said, parent=head.head
            )

    async def act(
        self, tool: Tool, *, index: int = 0, attempt: int = 1, key: str = "k"
    ) -> ToolOutcome:
        def context(key: str, user_id: str, run_id: str) -> ToolContext:
            return ToolContext(
                database=self.database,
                http=httpx2.AsyncClient(),
                key=key,
                user_id=user_id,
                run_id=run_id,
            )

        activities = ToolActivities(self.database, context, {tool.name: tool})
        call = ToolCallInput(message=self.message, index=index, key=key)
        return await perform(
            activities.activities()[0], call, run=self.run, step="act-1.1", attempt=attempt
        )

    async def observations(self) -> list[str]:
        query = text("SELECT content FROM messages WHERE answers_id = :message")
        async with self.database.statement() as connection:
            return list(await connection.scalars(query, {"message": self.message}))


@pytest.fixture
def acting(database: Database) -> Acting:
    return Acting(database, new_run())


async def test_a_result_is_stored_as_an_observation_and_only_its_length_is_told(
    acting: Acting,
) -> None:
    await acting.ask_for("echo", {"text": "hello"})

    outcome = await acting.act(ECHO)

    assert outcome == ToolOutcome(chars=7)
    assert await acting.observations() == ["\ufffdhello\ufffd"]


async def test_a_second_delivery_leaves_one_observation(acting: Acting) -> None:
    await acting.ask_for("echo", {"text": "hello"})

    first = await acting.act(ECHO)
    second = await acting.act(ECHO, attempt=2)

    assert second == first
    assert len(await acting.observations()) == 1


async def test_a_final_error_is_an_observation(acting: Acting) -> None:
    await acting.ask_for("echo", {"text": "final"})

    outcome = await acting.act(ECHO)

    assert outcome.failed
    assert await acting.observations() == ["Error: There is no such city."]


async def test_a_transient_error_is_raised_for_another_try(acting: Acting) -> None:
    await acting.ask_for("echo", {"text": "transient"})

    with pytest.raises(ServiceUnavailableError):
        await acting.act(ECHO)

    assert await acting.observations() == []


async def test_arguments_that_fit_no_more_are_an_observation(acting: Acting) -> None:
    await acting.ask_for("echo", {"was_called": "text"})

    outcome = await acting.act(ECHO)

    assert outcome.failed
    assert "'text' is missing" in (await acting.observations())[0]


async def test_a_call_that_is_not_there_is_an_error(acting: Acting) -> None:
    await acting.ask_for("echo", {"text": "hello"})

    with pytest.raises(NotFoundError, match="no tool call 3"):
        await acting.act(ECHO, index=3)


async def test_a_ticket_is_filed_once_over_the_attempts_of_a_call(acting: Acting) -> None:
    key = f"{acting.run}/file_ticket/d/1"
    await acting.ask_for("file_ticket", {"subject": "Broken", "description": acting.run})

    await acting.act(TOOLS["file_ticket"], key=key)
    await acting.act(TOOLS["file_ticket"], key=key, attempt=2)

    query = text("SELECT ticket_id FROM tickets WHERE description = :run")
    async with acting.database.statement() as connection:
        numbers = list(await connection.scalars(query, {"run": acting.run}))
    assert len(numbers) == 1
    assert [f"T-{numbers[0]}" in said for said in await acting.observations()] == [True]


async def test_an_attempt_whose_observation_was_lost_reports_the_ticket_of_the_first(
    acting: Acting,
) -> None:
    key = f"{acting.run}/file_ticket/d/1"
    await acting.ask_for("file_ticket", {"subject": "Broken", "description": acting.run})
    await acting.act(TOOLS["file_ticket"], key=key)
    before = await acting.observations()
    async with acting.database.statement() as connection:
        await connection.execute(
            text("DELETE FROM messages WHERE answers_id = :message"), {"message": acting.message}
        )

    await acting.act(TOOLS["file_ticket"], key=key, attempt=2)

    assert await acting.observations() == before
