"""F2 against a real HTTP server on loopback, which is allowed by its exact address."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from durable_agents.db.drafts import get_draft
from durable_agents.db.engine import Database
from durable_agents.models.external_call import SHOWN_CHARS, ExternalCallInput, ExternalCallResult
from durable_agents.runtime.settings import Settings
from tests.clients.loopback import Answer, Loopback, answer, loopback, stream
from tests.workflows import runs
from tests.workflows.own_workers import own_workers

WORKFLOW = "ExternalCallWorkflow"


@dataclass(frozen=True)
class World:
    """A server that may be called, and one that may not, and workers."""

    client: Client
    server: Loopback
    inside: Loopback

    async def start(self, *answers: Answer, **options: Any) -> WorkflowHandle[Any, Any]:
        """Call an address that gives these answers, one after the other; the last one stays."""
        left = list(answers)

        async def next_answer(writer: Any) -> None:
            await (left.pop(0) if len(left) > 1 else left[0])(writer)

        page = runs.token()
        self.server.answers[f"/{page}"] = next_answer
        options = {"url": f"{self.server.url}/{page}", "initial_delay_s": 0.01, **options}
        request = ExternalCallInput(**options)
        return await runs.start(self.client, WORKFLOW, request, result_type=ExternalCallResult)


@pytest.fixture(scope="module")
async def world(settings: Settings) -> AsyncIterator[World]:
    async with (
        loopback() as server,
        loopback() as inside,
        own_workers(settings, fetch_allow=(server.pair,)) as client,
    ):
        yield World(client, server, inside)


async def test_the_body_comes_back_as_it_was_sent(world: World) -> None:
    handle = await world.start(answer('{"b": "<i>ü</i>"}', kind="application/json"))

    result = await runs.result_of(handle)

    assert (result.status, result.content_type, result.draft) == (200, "application/json", 0)
    assert result.body == '{"b": "<i>ü</i>"}'
    assert result.chars == len(result.body)
    assert (await runs.status_of(handle)).steps == ("fetch url",)


async def test_a_long_body_is_kept_by_reference(world: World, database: Database) -> None:
    text = "word " * 300_000
    handle = await world.start(answer(text))

    result = await runs.result_of(handle)

    assert (result.body, result.chars) == (text[:SHOWN_CHARS], len(text))
    async with database.statement() as connection:
        assert (await get_draft(connection, result.draft)).content == text
    assert sum(event.ByteSize() for event in await runs.events_of(handle)) < 20_000


@pytest.mark.parametrize("status", [400, 401, 404, 410])
async def test_an_answer_of_4xx_is_final(world: World, status: int) -> None:
    handle = await world.start(answer(status=status))

    kind, message = await runs.failure_of(handle)

    assert kind == "HttpStatusError"
    assert message.startswith(f"HTTP {status} from http://127.0.0.1:")
    assert await runs.attempts_of(handle, "fetch-url") == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_what_may_get_better_is_tried_again(world: World, status: int) -> None:
    handle = await world.start(answer(status=status), answer(status=status), answer("at last"))

    result = await runs.result_of(handle)

    assert result.body == "at last"
    assert await runs.attempts_of(handle, "fetch-url") == 3


async def test_five_attempts_unless_the_caller_says_otherwise(world: World) -> None:
    five = await world.start(answer(status=503))
    two = await world.start(answer(status=502), maximum_attempts=2)

    assert await runs.failure_of(five) == (
        "ServiceUnavailableError",
        (await runs.status_of(five)).error,
    )
    assert (await runs.failure_of(two))[1].startswith("HTTP 502 from ")
    assert await runs.attempts_of(five, "fetch-url") == 5
    assert await runs.attempts_of(two, "fetch-url") == 2


async def test_the_policy_is_the_one_the_caller_gives(world: World) -> None:
    handle = await world.start(
        answer("x"), maximum_attempts=7, initial_delay_s=3, maximum_delay_s=11, backoff=1.5
    )
    await runs.result_of(handle)

    events = await runs.events_of(handle)
    policies = [
        event.activity_task_scheduled_event_attributes.retry_policy
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]

    assert [
        (
            policy.maximum_attempts,
            policy.initial_interval.ToSeconds(),
            policy.maximum_interval.ToSeconds(),
            policy.backoff_coefficient,
        )
        for policy in policies
    ] == [(7, 3, 11, 1.5)]


async def test_the_delay_that_the_server_names_wins(world: World) -> None:
    soon = await world.start(
        answer(status=503, retry_after="0"),
        answer("soon"),
        initial_delay_s=600,
        maximum_delay_s=600,
    )
    began = time.monotonic()
    later = await world.start(answer(status=429, retry_after="1"), answer("later"))

    assert (await runs.result_of(soon)).body == "soon"
    assert (await runs.result_of(later)).body == "later"
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://localhost/",
        "http:///etc/passwd",
        "http://user:secret@example.com/",
    ],
)
async def test_an_address_that_may_not_be_reached_is_refused(world: World, url: str) -> None:
    handle = await world.start(answer("x"), url=url)

    kind, message = await runs.failure_of(handle)

    assert kind == "ForbiddenAddressError"
    assert "may not be fetched" in message
    assert await runs.attempts_of(handle, "fetch-url") == 1


async def test_a_redirect_inside_is_refused(world: World) -> None:
    world.inside.answers["/secret"] = answer("secret")
    handle = await world.start(answer(status=302, location=f"{world.inside.url}/secret"))

    kind, message = await runs.failure_of(handle)

    assert kind == "ForbiddenAddressError"
    assert world.inside.pair in message
    assert world.inside.requests == []


async def test_a_body_of_50_mb_is_refused(world: World) -> None:
    handle = await world.start(stream([b"x" * 1_000_000], times=50))

    kind, message = await runs.failure_of(handle)

    assert kind == "ResponseTooLargeError"
    assert "2,000,000 bytes" in message


@pytest.mark.parametrize("kind", ["image/png", "text/plain"])
async def test_a_body_that_is_not_text_is_refused(world: World, kind: str) -> None:
    handle = await world.start(answer(b"\x89PNG\x00\x01", kind=kind))

    assert (await runs.failure_of(handle))[0] == "InputError"


async def test_half_of_a_character_does_no_harm(world: World) -> None:
    handle = await world.start(answer(b"+2AA-" * 2000, kind="text/plain; charset=utf-7"))

    result = await runs.result_of(handle)

    assert result.chars == 2000


async def test_a_call_that_does_not_answer_ends_at_the_deadline(world: World) -> None:
    handle = await world.start(stream([b"."], pause=0.2, times=100), deadline_s=0.7)

    kind, message = await runs.failure_of(handle)

    assert kind == "DeadlineExceededError"
    assert "within 0.7 s" in message


async def test_a_cancelled_run_ends_cancelled(world: World) -> None:
    handle = await world.start(answer(status=503, retry_after="60"))
    await runs.until_step(handle, "fetch url")
    await handle.cancel()

    kind, _ = await runs.failure_of(handle)

    assert kind == "CancelledError"
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED


@pytest.mark.parametrize(
    "given",
    [
        [],
        [{"url": " "}],
        [{"url": 5}],
        [{"url": "file:///etc/passwd"}],
        [{"url": "example.com/page"}],
        [{"url": "http://x", "maximum_attempts": 0}],
        [{"url": "http://x", "backoff": 0.5}],
        [{"url": "http://x", "initial_delay_s": 40}],
        ["http://x"],
    ],
    ids=str,
)
async def test_input_that_does_not_fit_fails_the_run_with_its_reason(
    world: World, given: list[object]
) -> None:
    handle = await runs.start(world.client, WORKFLOW, *given)

    kind, message = await runs.failure_of(handle)

    assert kind in {"ValidationError", "InputError"}
    assert message
