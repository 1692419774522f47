"""The bodies that fetching reads, and those that it gives up."""

import gzip
from datetime import timedelta

import pytest

from durable_agents.clients.http import FetchedPage, fetch
from durable_agents.models.errors import (
    ResponseTooLargeError,
    ServiceUnavailableError,
)
from tests.clients.loopback import Loopback, answer, get, stream


async def test_a_body_of_50_mb_is_not_read(server: Loopback) -> None:
    server.answers["/huge"] = stream([b"x" * 1_000_000], times=50)

    with pytest.raises(ResponseTooLargeError, match="2,000,000 bytes"):
        await get(server, "/huge")


async def test_a_body_that_says_it_is_too_large_is_not_begun(server: Loopback) -> None:
    server.answers["/huge"] = answer(b"x" * 101)

    with pytest.raises(ResponseTooLargeError):
        await get(server, "/huge", max_bytes=100)


async def test_a_body_of_just_the_limit_is_read(server: Loopback) -> None:
    server.answers["/exact"] = answer(b"x" * 100)

    assert len((await get(server, "/exact", max_bytes=100)).body) == 100


async def test_a_body_that_swells_when_unpacked_is_capped(server: Loopback) -> None:
    server.answers["/bomb"] = answer(gzip.compress(b"\0" * 50_000_000), content_encoding="gzip")

    with pytest.raises(ResponseTooLargeError):
        await get(server, "/bomb")


async def test_a_body_that_cannot_be_unpacked_is_a_failure_of_the_service(
    server: Loopback,
) -> None:
    server.answers["/broken"] = answer(b"not gzip at all", content_encoding="gzip")

    with pytest.raises(ServiceUnavailableError):
        await get(server, "/broken")


async def test_a_server_that_drips_for_ever_is_given_up(server: Loopback) -> None:
    server.answers["/drip"] = stream([b"."], pause=0.05, times=1000)

    with pytest.raises(ServiceUnavailableError, match="did not answer in time"):
        await fetch(
            f"{server.url}/drip",
            allow=frozenset({server.pair}),
            deadline=timedelta(milliseconds=300),
        )


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("", "grün".encode(), "grün"),
        ("", b"\xef\xbb\xbfbom", "bom"),
        ("iso-8859-1", "grün".encode("latin-1"), "grün"),
        ("no-such-charset", "grün".encode(), "grün"),
        ("punycode", b"plain", "plain"),
        ("utf-16", "grün".encode("utf-16"), "grün"),
        ("", '<meta charset="windows-1252">€'.encode("cp1252"), '<meta charset="windows-1252">€'),
        ("", b"\xff broken", "� broken"),
    ],
)
def test_text_is_read_in_its_own_encoding(charset: str, body: bytes, text: str) -> None:
    page = FetchedPage("http://example.com/", 200, "text/html", charset, body)

    assert page.text == text
