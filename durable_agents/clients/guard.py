"""A transport that reaches public addresses only.

A name is resolved once, every address it has is checked, and the connection goes to an address
that was checked: a name server whose answer changes in between (DNS rebinding) changes nothing.
"""

import socket
import ssl
from collections.abc import Sequence
from functools import cache

import httpx2

from durable_agents.clients.addresses import Resolver, forbidden_kind
from durable_agents.clients.answers import shown
from durable_agents.models.errors import (
    ForbiddenAddressError,
    InputError,
    ServiceUnavailableError,
)

MAX_ADDRESSES = 4  # of one host, tried one after the other
DEFAULT_PORTS = {"http": 80, "https": 443}


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Checks where each request leads before it is sent.

    Args:
        allow: Exact `host:port` pairs, as a URL spells them, that may be reached although their
            address is not public. IPv6 hosts stand in brackets.
        resolver: Who turns names into addresses.
        only: Hosts that alone may be reached, besides those of `allow`: `host`, `host:port`, or
            `.host` for a host and all below it; any public one when left out.
    """

    def __init__(
        self, allow: frozenset[str], resolver: Resolver, only: frozenset[str] = frozenset()
    ) -> None:
        self._allow = allow
        self._only = frozenset(entry.lower() for entry in only)
        self._resolver = resolver
        # Connections are not kept: they are known by address, and must not serve another name.
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._inner = httpx2.AsyncHTTPTransport(
            verify=_tls_context(), trust_env=False, limits=limits
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Check where a request leads, then send it exactly there.

        Raises:
            ForbiddenAddressError: The scheme, the form or one of the addresses is not allowed.
            InputError: There is no such host.
            ServiceUnavailableError: The name cannot be resolved now.
        """
        addresses = await self._checked_addresses(request.url)
        for address in addresses[:-1]:
            try:
                return await self._inner.handle_async_request(_pinned(request, address))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._inner.handle_async_request(_pinned(request, addresses[-1]))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()

    async def _checked_addresses(self, url: httpx2.URL) -> Sequence[str]:
        host, port = url.raw_host.decode("ascii"), _checked_port(url)
        pair = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if self._only and pair not in self._allow and not _is_listed(host, port, self._only):
            raise ForbiddenAddressError(  # before the name is asked for: a query tells things, too
                f"{shown(url)} may not be fetched: FETCH_ONLY does not list its host. "
                f"If it should be reachable, add {host} there."
            )
        addresses = await self._resolved(host, port)
        kind = next(filter(None, map(forbidden_kind, addresses)), None)
        if kind and pair not in self._allow:
            raise ForbiddenAddressError(
                f"{shown(url)} may not be fetched: it leads to an address that is {kind}. "
                f"If it should be reachable, add {pair} to FETCH_ALLOW."
            )
        return addresses[:MAX_ADDRESSES]

    async def _resolved(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolver.addresses(host, port)
        except socket.gaierror as error:
            if error.errno == socket.EAI_NONAME:
                raise InputError(f"There is no host named {host}. Check the address.") from error
            raise ServiceUnavailableError(f"The name {host} cannot be resolved now.") from error
        if not addresses:
            raise InputError(f"The host {host} has no address. Check the address.")
        return addresses


def _is_listed(host: str, port: int, listed: frozenset[str]) -> bool:
    """Whether a list names a host, the host with its port, or one above it with a leading dot."""
    name = host.lower().rstrip(".")
    above = [name[place:] for place, char in enumerate(name) if char == "."]
    return not listed.isdisjoint({name, f"{name}:{port}", f".{name}", *above})


def _checked_port(url: httpx2.URL) -> int:
    if not url.scheme:
        raise ForbiddenAddressError(
            "The address may not be fetched: a whole one has to begin with http:// or https://."
        )
    if url.scheme not in DEFAULT_PORTS or not url.host:
        raise ForbiddenAddressError(
            f"{shown(url)} may not be fetched: only http:// and https:// addresses may."
        )
    if url.userinfo:
        raise ForbiddenAddressError(
            f"{shown(url)} may not be fetched with a user name or a password in its address."
        )
    port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    if not 0 < port < 65536:
        raise ForbiddenAddressError(f"{shown(url)} may not be fetched: {port} is no port.")
    return port


def _pinned(request: httpx2.Request, address: str) -> httpx2.Request:
    """The same request, sent to one address; TLS and the Host header keep the name."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
    )


@cache
def _tls_context() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # 20 ms; SSL_CERT_FILE is honoured
