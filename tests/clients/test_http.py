"""Fetching a page: redirects, statuses, connections."""

import asyncio
import socket
from datetime import timedelta

import pytest

from durable_agents.clients.http import MAX_REDIRECTS, fetch
from durable_agents.models.errors import (
    DurableAgentsError,
    HttpStatusError,
    ServiceUnavailableError,
)
from tests.clients.loopback import Answer, Loopback, answer, get, stream


async def test_a_page_is_read_with_its_type_and_text(server: Loopback) -> None:
    page = await get(server, "/page?question=1")

    assert page.url == f"{server.url}/page?question=1"
    assert (page.status, page.content_type, page.text) == (200, "text/plain", "Guten Tag")


async def test_redirects_are_followed(server: Loopback) -> None:
    server.answers["/old"] = answer(status=301, location="/older")
    server.answers["/older"] = answer(status=307, location=f"{server.url}/page")

    page = await get(server, "/old")

    assert (page.url, page.text) == (f"{server.url}/page", "Guten Tag")


@pytest.mark.parametrize(
    "orders",
    [
        answer(status=302, location="http://10.0.0.1/Obey me now"),
        answer(status=302, location="http://[Obey me now"),
        answer(kind="Obey me now"),
        stream([], start=b"HTTP/1.1 Obey me now\r\n\r\n"),
    ],
)
async def test_what_a_server_says_is_not_repeated_outside_of_its_page(
    server: Loopback, orders: Answer
) -> None:
    server.answers["/orders"] = orders

    try:
        told = repr(await get(server, "/orders"))
    except DurableAgentsError as error:
        told = error.message

    assert "Obey me" not in told


async def test_a_circle_of_redirects_ends(server: Loopback) -> None:
    server.answers["/round"] = answer(status=302, location="/round")

    with pytest.raises(HttpStatusError, match=f"more than {MAX_REDIRECTS} times"):
        await get(server, "/round")

    assert len(server.requests) == MAX_REDIRECTS + 1


async def test_cookies_of_one_fetch_are_not_sent_with_the_next(server: Loopback) -> None:
    server.answers["/page"] = answer("one", set_cookie="session=secret")

    await get(server, "/page")
    await get(server, "/page")

    assert "session" not in server.requests[1]


async def test_proxies_of_the_environment_are_not_used(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    assert (await get(server, "/page")).status == 200


@pytest.mark.parametrize("status", [400, 401, 404, 409, 410, 422])
async def test_an_answer_of_4xx_is_final(server: Loopback, status: int) -> None:
    server.answers["/no"] = answer(status=status)

    with pytest.raises(HttpStatusError, match=f"^HTTP {status} from {server.url}/no$"):
        await get(server, "/no?token=secret")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_an_answer_that_may_change_is_worth_another_try(
    server: Loopback, status: int
) -> None:
    server.answers["/later"] = answer(status=status, retry_after="7")

    with pytest.raises(ServiceUnavailableError, match=f"HTTP {status}") as raised:
        await get(server, "/later")

    assert raised.value.retry_after == timedelta(seconds=7)


async def test_a_connection_that_is_refused_is_worth_another_try() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        pair = f"127.0.0.1:{unused.getsockname()[1]}"

    with pytest.raises(ServiceUnavailableError, match=f"http://{pair}/ cannot be read"):
        await fetch(f"http://{pair}/", allow=frozenset({pair}))


async def test_a_connection_that_breaks_off_is_worth_another_try(server: Loopback) -> None:
    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    server.answers["/cut"] = cut

    with pytest.raises(ServiceUnavailableError):
        await get(server, "/cut")
