import asyncio
import gzip
import socket
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta

import pytest

from durable_agents.clients.http import MAX_BYTES, MAX_REDIRECTS, FetchedPage, fetch
from durable_agents.models.errors import (
    DurableAgentsError,
    ForbiddenAddressError,
    HttpStatusError,
    InputError,
    ResponseTooLargeError,
    ServiceUnavailableError,
)
from tests.clients.loopback import Answer, FakeResolver, Loopback, answer, loopback, stream


@pytest.fixture
async def server() -> AsyncGenerator[Loopback]:
    async with loopback(page=answer("Guten Tag", kind="Text/Plain; charset=UTF-8")) as running:
        yield running


async def get(server: Loopback, path: str, *, max_bytes: int = MAX_BYTES) -> FetchedPage:
    allow = frozenset({server.pair})
    return await fetch(f"{server.url}{path}", allow=allow, max_bytes=max_bytes)


async def test_a_page_is_read_with_its_type_and_text(server: Loopback) -> None:
    page = await get(server, "/page?question=1")

    assert page.url == f"{server.url}/page?question=1"
    assert (page.status, page.content_type, page.text) == (200, "text/plain", "Guten Tag")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://192.168.0.1:8080/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::127.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "https://127.0.0.1/",
        "http://224.0.0.1/",
    ],
)
async def test_an_address_inside_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="may not be fetched: it leads to an address"):
        await fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "javascript:alert(1)",
        "example.com",
        "//example.com/",
        "http://",
        "http:///path",
        "",
        "http://user:secret@example.com/",
        "http://127.0.0.1\\@example.com/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://exa\nmple.com/",
        "http://0177.0.0.1/",
        "http://[::1/",
        "http://①②⑦.⓪.⓪.①/",
    ],
)
async def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenAddressError) as refused:
        await fetch(url, resolver=FakeResolver([["93.184.216.34"]]))

    assert "secret" not in refused.value.message


async def test_the_allow_list_holds_for_the_exact_port_and_spelling(server: Loopback) -> None:
    allow = frozenset({"127.0.0.1:1", f"localhost:{server.port}"})

    with pytest.raises(ForbiddenAddressError, match=f"add {server.pair} to FETCH_ALLOW"):
        await fetch(f"{server.url}/page", allow=allow)


async def test_a_name_with_one_address_inside_is_refused_as_a_whole() -> None:
    resolver = FakeResolver([["93.184.216.34", "10.0.0.7"]])

    with pytest.raises(ForbiddenAddressError, match="private") as refused:
        await fetch("http://mixed.test/", resolver=resolver)

    assert "10.0.0.7" not in refused.value.message


async def test_a_name_is_resolved_once_and_the_connection_goes_where_it_pointed(
    server: Loopback,
) -> None:
    resolver = FakeResolver([["127.0.0.1"], ["127.0.0.66"]])  # the second answer would rebind
    url = f"http://pinned.test:{server.port}/page"

    page = await fetch(url, allow=frozenset({f"pinned.test:{server.port}"}), resolver=resolver)

    assert (page.url, page.text) == (url, "Guten Tag")
    assert resolver.asked == ["pinned.test"]
    assert f"Host: pinned.test:{server.port}" in server.requests[0]


async def test_a_name_that_points_inside_the_second_time_is_refused_after_a_redirect(
    server: Loopback,
) -> None:
    public_then_private = FakeResolver([["127.0.0.1"], ["127.0.0.1"]])
    server.answers["/page"] = answer(status=302, location="http://rebound.test/")
    allow = frozenset({f"start.test:{server.port}"})

    with pytest.raises(ForbiddenAddressError, match=r"rebound\.test"):
        await fetch(
            f"http://start.test:{server.port}/page", allow=allow, resolver=public_then_private
        )


async def test_another_address_of_the_host_is_tried_when_one_does_not_answer(
    server: Loopback,
) -> None:
    resolver = FakeResolver([["::1", "127.0.0.1"]])  # nobody listens at the first

    page = await fetch(
        f"http://two.test:{server.port}/page",
        allow=frozenset({f"two.test:{server.port}"}),
        resolver=resolver,
    )

    assert page.status == 200


async def test_redirects_are_followed(server: Loopback) -> None:
    server.answers["/old"] = answer(status=301, location="/older")
    server.answers["/older"] = answer(status=307, location=f"{server.url}/page")

    page = await get(server, "/old")

    assert (page.url, page.text) == (f"{server.url}/page", "Guten Tag")


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/",
        "//localhost:1/",
        "file:///etc/passwd",
        "http://[::1",
        "http://u:p@h/",
    ],
)
async def test_a_redirect_to_where_fetching_may_not_go_is_refused(
    server: Loopback, location: str
) -> None:
    server.answers["/away"] = answer(status=302, location=location)

    with pytest.raises(ForbiddenAddressError):
        await get(server, "/away")


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


class FailingResolver:
    def __init__(self, code: int) -> None:
        self.code = code

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(self.code, "no")


async def test_a_host_that_does_not_exist_is_final() -> None:
    with pytest.raises(InputError, match=r"There is no host named nowhere\.test"):
        await fetch("http://nowhere.test/", resolver=FailingResolver(socket.EAI_NONAME))


async def test_a_name_server_that_fails_is_worth_another_try() -> None:
    with pytest.raises(ServiceUnavailableError, match="cannot be resolved now"):
        await fetch("http://somewhere.test/", resolver=FailingResolver(socket.EAI_AGAIN))


async def test_a_label_that_is_too_long_is_no_host() -> None:
    with pytest.raises(InputError):
        await fetch(f"http://{'a' * 300}.example/")


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
