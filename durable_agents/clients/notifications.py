"""Sending notifications through Apprise, which knows about a hundred services.

Apprise blocks, so it runs in a thread. It says whether a service took a notification; what it
says of one that stayed silent is not to be relied on, so silence is cut off here, and is neither
taken for sent nor for failed.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from durable_agents.models.errors import ConfigurationError

SEND_TIMEOUT = timedelta(seconds=15)
MARGIN_S = 5  # Apprise keeps the timeout itself; this is for when it does not
CONNECT_TIMEOUT_S = 4.0
# Longer than the timeout: else Apprise would report a service that stays silent as failed.
READ_TIMEOUT_S = 30.0
NAME_DIGITS = 12

Delivery = Literal["sent", "failed", "uncertain"]


@dataclass(frozen=True)
class Target:
    """Where notifications go.

    Attributes:
        name: A digest of the address: known again later, and tells nobody its secrets.
        service: What the service is called.
    """

    name: str
    service: str


class Notifier:
    """Sends to the services that a setting names.

    Args:
        urls: Addresses as Apprise spells them, separated by commas; secret. May be empty.
        timeout: How long a service may take to say that it has a notification.

    Raises:
        ConfigurationError: Apprise cannot read one of them.
    """

    def __init__(self, urls: str, *, timeout: timedelta = SEND_TIMEOUT) -> None:
        self._timeout = timeout
        self._urls: dict[Target, str] = {}
        for place, url in enumerate(_split(urls), 1):
            self._urls[_target(url, place)] = url

    @property
    def targets(self) -> Sequence[Target]:
        """Where notifications go."""
        return tuple(self._urls)

    async def send(self, target: Target, *, title: str, body: str) -> Delivery:
        """Send to one service, once.

        Returns:
            `failed` when there is no connection or the service refuses; `uncertain` when it
            does not answer in time.
        """
        seconds = self._timeout.total_seconds()
        sending = asyncio.to_thread(_send, self._urls[target], title, body, seconds)
        try:
            return await asyncio.wait_for(sending, seconds + MARGIN_S)
        except TimeoutError:
            return "uncertain"


def _split(urls: str) -> list[str]:
    if not urls.strip():
        return []
    from apprise.utils import parse

    library: Any = parse  # half of its types are unknown
    return library.parse_urls(urls)


def _service_of(url: str) -> Any:
    """The service of an address, made anew for each use: Apprise's own throttle would wait."""
    import apprise

    # Nothing is kept on the disk, and secrets are kept out of the log.
    asset = apprise.AppriseAsset(storage_mode="memory", secure_logging=True)
    library: Any = apprise.Apprise  # half of its types are unknown
    return library.instantiate(url, asset=asset)


def _target(url: str, place: int) -> Target:
    service = _service_of(url)
    if service is None:
        raise ConfigurationError(
            f"NOTIFY_URLS is not usable: Apprise cannot read its address number {place}. "
            "Correct it; https://appriseit.com shows how each service is spelled."
        )
    name = hashlib.sha256(url.encode()).hexdigest()[:NAME_DIGITS]
    return Target(name, str(service.service_name))


def _send(url: str, title: str, body: str, timeout_s: float) -> Delivery:
    """Send and wait for the answer, in a thread."""
    import apprise

    service = _service_of(url)
    service.socket_connect_timeout = CONNECT_TIMEOUT_S
    service.socket_read_timeout = max(service.socket_read_timeout or 0, READ_TIMEOUT_S)
    sender: Any = apprise.Apprise()
    sender.add(service)
    result = sender.notify(
        body=body or title,
        title=title if body else "",
        body_format=apprise.NotifyFormat.TEXT,
        timeout=timeout_s,
    )
    if result:
        return "sent"
    return "uncertain" if result.status == apprise.AppriseResultStatus.TIMEOUT else "failed"
