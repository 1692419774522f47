"""Server-side request forgery: every way to name what lies inside, in one table.

`names` is what a name server of the attacker says, one answer a question.
"""

from dataclasses import dataclass, field

import pytest

from durable_agents.clients.addresses import SystemResolver
from durable_agents.clients.http import fetch
from durable_agents.models.errors import ForbiddenAddressError, InputError
from tests.clients.loopback import FakeResolver, Loopback, answer

PUBLIC = "93.184.216.34"


@dataclass(frozen=True)
class Attack:
    url: str
    names: list[list[str]] = field(default_factory=list[list[str]])


ATTACKS = {
    "loopback": Attack("http://127.0.0.1/"),
    "all of loopback": Attack("http://127.200.3.4/"),
    "localhost": Attack("http://localhost/"),
    "localhost with a dot": Attack("http://localhost./"),
    "in capitals": Attack("HTTP://LOCALHOST/"),
    "unspecified": Attack("http://0.0.0.0/"),
    "zero": Attack("http://0/"),
    "private 10": Attack("http://10.0.0.1/"),
    "private 172": Attack("http://172.16.254.1/"),
    "private 192": Attack("http://192.168.1.1/"),
    "carrier-grade NAT": Attack("http://100.64.0.1/"),
    "link-local": Attack("http://169.254.1.1/"),
    "metadata of most clouds": Attack("http://169.254.169.254/latest/meta-data/iam/"),
    "metadata of Alibaba": Attack("http://100.100.100.200/latest/meta-data/"),
    "metadata of Azure's hosts": Attack("http://168.63.129.16/machine/"),
    "metadata of Oracle": Attack("http://192.0.0.192/latest/"),
    "metadata of AWS by IPv6": Attack("http://[fd00:ec2::254]/latest/meta-data/"),
    "metadata by name": Attack("http://metadata.test/", [["169.254.169.254"]]),
    "multicast": Attack("http://224.0.0.1/"),
    "broadcast": Attack("http://255.255.255.255/"),
    "documentation": Attack("http://192.0.2.1/"),
    "benchmarks": Attack("http://198.18.0.1/"),
    "decimal": Attack("http://2130706433/"),
    "decimal metadata": Attack("http://2852039166/"),
    "octal": Attack("http://017700000001/"),
    "octal parts": Attack("http://0177.0.0.1/"),
    "hexadecimal": Attack("http://0x7f000001/"),
    "hexadecimal parts": Attack("http://0x7f.0x0.0x0.0x1/"),
    "mixed": Attack("http://0x7f.1/"),
    "two parts": Attack("http://127.1/"),
    "three parts": Attack("http://127.0.1/"),
    "with a trailing dot": Attack("http://127.0.0.1./"),
    "percent-encoded": Attack("http://%31%32%37.0.0.1/"),
    "circled digits": Attack("http://①②⑦.⓪.⓪.①/"),
    "full-width digits": Attack("http://１２７.０.０.１/"),  # noqa: RUF001 - the attack
    "IPv6 loopback": Attack("http://[::1]/"),
    "IPv6 written out": Attack("http://[0:0:0:0:0:0:0:1]/"),
    "IPv6 unspecified": Attack("http://[::]/"),
    "IPv6 link-local": Attack("http://[fe80::1]/"),
    "IPv6 with a zone": Attack("http://[fe80::1%25eth0]/"),
    "IPv6 unique local": Attack("http://[fc00::1]/"),
    "IPv6 site-local": Attack("http://[fec0::1]/"),
    "IPv4-mapped": Attack("http://[::ffff:127.0.0.1]/"),
    "IPv4-mapped in hexadecimal": Attack("http://[::ffff:a9fe:a9fe]/"),
    "IPv4-translated": Attack("http://[::ffff:0:127.0.0.1]/"),
    "IPv4-compatible": Attack("http://[::127.0.0.1]/"),
    "NAT64": Attack("http://[64:ff9b::169.254.169.254]/"),
    "NAT64 of a site": Attack("http://[64:ff9b:1::10.0.0.1]/"),
    "6to4": Attack("http://[2002:7f00:1::]/"),
    "Teredo": Attack("http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/"),
    "ISATAP": Attack("http://isatap.test/", [["2001:470::5efe:7f00:1"]]),
    "a name that points inside": Attack("http://inside.test/", [["10.1.2.3"]]),
    "a name that points inside, too": Attack("http://both.test/", [[PUBLIC, "10.1.2.3"]]),
    "a name that points inside by IPv6": Attack("http://six.test/", [["::1"]]),
    "user information": Attack(f"http://{PUBLIC}@127.0.0.1/"),
    "a password": Attack("http://user:secret@example.test/", [[PUBLIC]]),
    "a backslash": Attack("http://127.0.0.1\\@example.test/", [[PUBLIC]]),
    "a fragment": Attack("http://127.0.0.1#@example.test/", [["127.0.0.1"]]),
    "a line break": Attack("http://example.test\r\nHost: x/", [[PUBLIC]]),
    "port 0": Attack("http://example.test:0/", [[PUBLIC]]),
    "a file": Attack("file:///etc/passwd"),
    "FTP": Attack("ftp://example.test/", [[PUBLIC]]),
    "gopher": Attack("gopher://127.0.0.1:6379/_FLUSHALL"),
    "dict": Attack("dict://127.0.0.1:11211/stats"),
    "data": Attack("data:text/html,hello"),
    "javascript": Attack("javascript:alert(1)"),
    "a Unix socket": Attack("http+unix://%2Fvar%2Frun%2Fdocker.sock/info"),
    "no scheme": Attack("127.0.0.1/"),
    "no host": Attack("http:///etc/passwd"),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_nothing_inside_is_fetched_however_it_is_named(attack: Attack) -> None:
    resolver = FakeResolver(list(attack.names)) if attack.names else SystemResolver()

    with pytest.raises((ForbiddenAddressError, InputError)) as refused:
        await fetch(attack.url, resolver=resolver)

    assert "secret" not in refused.value.message


RELATIVE = {"no scheme", "no host"}  # as the target of a redirect: a page of the same server


@pytest.mark.parametrize("name", sorted(ATTACKS.keys() - RELATIVE))
async def test_no_redirect_leads_inside(server: Loopback, name: str) -> None:
    attack, start = ATTACKS[name], f"start.test:{server.port}"
    location = attack.url.replace("\r\n", "%0d%0a")
    server.answers["/away"] = answer(status=302, location=location)
    names = FakeResolver([["127.0.0.1"], *attack.names])
    resolver = names if attack.names else _FirstThen(names)

    with pytest.raises((ForbiddenAddressError, InputError)):
        await fetch(f"http://{start}/away", allow=frozenset({start}), resolver=resolver)

    assert len(server.requests) == 1


class _FirstThen(SystemResolver):
    """The first name is the attacker's own server; the others are what they say."""

    def __init__(self, first: FakeResolver) -> None:
        self._first = first

    async def addresses(self, host: str, port: int) -> "list[str]":
        if host == "start.test":
            return list(await self._first.addresses(host, port))
        return list(await super().addresses(host, port))


@pytest.mark.parametrize(
    ("listed", "url", "reached"),
    [
        ("pages.test", "http://pages.test:{port}/page", True),
        ("PAGES.test", "http://pages.test:{port}/page", True),
        ("pages.test:{port}", "http://pages.test:{port}/page", True),
        (".pages.test", "http://pages.test:{port}/page", True),
        (".pages.test", "http://deep.in.pages.test:{port}/page", True),
        ("pages.test", "http://pages.test.:{port}/page", True),
        ("pages.test", "http://deep.pages.test:{port}/page", False),
        ("pages.test:1", "http://pages.test:{port}/page", False),
        (".pages.test", "http://otherpages.test:{port}/page", False),
        ("pages.test", "http://pages.test.evil.test:{port}/page", False),
        ("pages.test", "http://evil.test:{port}/?pages.test", False),
    ],
)
async def test_with_a_list_of_hosts_nothing_else_is_reached(
    server: Loopback, listed: str, url: str, reached: bool
) -> None:
    resolver = _Public()
    target, only = url.format(port=server.port), frozenset({listed.format(port=server.port)})

    with pytest.raises(ForbiddenAddressError) as refused:  # all names lead to loopback here
        await fetch(target, only=only, resolver=resolver)

    assert ("FETCH_ONLY" not in refused.value.message) == reached
    assert bool(resolver.asked) == reached  # a name may carry what was stolen: it is not asked for


class _Public(FakeResolver):
    def __init__(self) -> None:
        super().__init__([["127.0.0.1"]])


async def test_a_redirect_leaves_the_list_no_more_than_a_first_request(server: Loopback) -> None:
    server.answers["/away"] = answer(status=302, location="http://evil.test/?stolen=1")
    start = f"start.test:{server.port}"
    resolver = FakeResolver([["127.0.0.1"], [PUBLIC]])

    with pytest.raises(ForbiddenAddressError, match="FETCH_ONLY"):
        await fetch(
            f"http://{start}/away",
            allow=frozenset({start}),
            only=frozenset({"start.test"}),
            resolver=resolver,
        )

    assert resolver.asked == ["start.test"]


async def test_what_is_allowed_by_name_needs_no_entry_in_the_list(server: Loopback) -> None:
    page = await fetch(
        f"{server.url}/page", allow=frozenset({server.pair}), only=frozenset({"pages.test"})
    )

    assert page.status == 200
