"""Where fetching may go: addresses, names, redirects."""

import socket
from collections.abc import Sequence

import pytest

from durable_agents.clients.http import fetch
from durable_agents.models.errors import (
    ForbiddenAddressError,
    InputError,
    ServiceUnavailableError,
)
from tests.clients.loopback import FakeResolver, Loopback, answer, get


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


@pytest.mark.parametrize("url", ["", "example.com/page", "/page?key=secret"])
async def test_an_address_that_is_not_whole_is_refused_by_what_it_lacks(url: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="begin with http:// or https://") as refused:
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
