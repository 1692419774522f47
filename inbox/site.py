"""Where the page is reached: by which names, and whether over TLS."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Site:
    """The page as browsers name it.

    Args:
        url: Its address, without a slash at the end.
        hosts: The `Host` headers that are meant for it, in small letters.
    """

    url: str
    hosts: frozenset[str]

    @property
    def secure(self) -> bool:
        """Whether browsers reach it over TLS."""
        return self.url.startswith("https://")


def site_of(settings: Settings, host: str, port: int) -> Site:
    """The page that listens on an address of this machine.

    Any name leads here that somebody lets point here (DNS rebinding reaches loopback, too), so
    that only the names that we know of are answered.

    Raises:
        ConfigurationError: It would listen on other than loopback and nobody says as what it is
            reached, or passwords would travel without TLS.
    """
    url = settings.inbox_url.rstrip("/")
    if not url:
        if not is_loopback(host):
            raise ConfigurationError(
                f"The page would be open to others at {host}: set INBOX_URL to the address by "
                "which they reach it (https, through a proxy that ends TLS), or leave INBOX_HOST "
                "at 127.0.0.1."
            )
        url = f"http://{_in_url(host)}:{port}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path:
        raise ConfigurationError(
            f"INBOX_URL ({url}) is not usable: give it as https://NAME or https://NAME:PORT."
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"INBOX_URL ({url}) would send passwords over the network for all to read: "
            "put a proxy with TLS before the page, and give its https address."
        )
    hosts = {parts.netloc.rpartition("@")[2].lower()}
    if is_loopback(parts.hostname):
        hosts |= {f"{name}:{parts.port or 80}" for name in LOOPBACK}
    if is_loopback(host):
        hosts |= {f"{name}:{port}" for name in LOOPBACK}
    return Site(url, frozenset(hosts))


def is_loopback(host: str) -> bool:
    """Whether a name or an address leads to this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
