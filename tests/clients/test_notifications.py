"""Apprise against a real HTTP server on loopback."""

from datetime import timedelta

import pytest

from durable_agents.clients.notifications import Delivery, Notifier
from durable_agents.models.errors import ConfigurationError
from tests.clients.receiver import receiver


async def send(urls: str, *, timeout_s: float = 5) -> list[Delivery]:
    notifier = Notifier(urls, timeout=timedelta(seconds=timeout_s))
    return [
        await notifier.send(target, title="Done", body="Task <b>1</b> & more")
        for target in notifier.targets
    ]


async def test_a_service_that_takes_it_has_it_once_and_unchanged() -> None:
    async with receiver() as service:
        outcomes = await send(service.url())

    assert outcomes == ["sent"]
    assert [(m["title"], m["message"]) for m in service.messages] == [
        ("Done", "Task <b>1</b> & more")
    ]


@pytest.mark.parametrize("status", [400, 500, 503])
async def test_a_service_that_refuses_is_asked_once(status: int) -> None:
    async with receiver() as service:
        service.statuses = [status]
        outcomes = await send(service.url())

    assert outcomes == ["failed"]
    assert len(service.messages) == 1


async def test_nobody_listens() -> None:
    assert await send("json://127.0.0.1:1/") == ["failed"]


async def test_silence_is_neither_sent_nor_failed() -> None:
    async with receiver() as service:
        service.silent = True
        outcomes = await send(service.url(), timeout_s=0.5)

    assert outcomes == ["uncertain"]
    assert len(service.messages) == 1


async def test_addresses_are_separated_by_commas() -> None:
    async with receiver() as first, receiver() as second:
        outcomes = await send(f"{first.url()}, {second.url('x')}")

    assert outcomes == ["sent", "sent"]
    assert (len(first.messages), len(second.messages)) == (1, 1)


def test_no_address_is_no_target() -> None:
    assert list(Notifier(" ").targets) == []


def test_a_target_tells_no_secret() -> None:
    (target,) = Notifier("json://user:topsecret@127.0.0.1:1/path").targets

    assert target.service == "JSON"
    assert "topsecret" not in repr(target)


@pytest.mark.parametrize(
    "urls", ["nosuch://topsecret", "topsecret", "json://127.0.0.1:1,slack://topsecret"]
)
def test_an_address_that_cannot_be_read_is_named_by_its_place_only(urls: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Notifier(urls)

    assert "NOTIFY_URLS" in raised.value.message
    assert "topsecret" not in raised.value.message
