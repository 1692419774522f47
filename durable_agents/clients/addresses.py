"""Which addresses of the network may be fetched from, and who turns names into them."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SHARED = ip_network("100.64.0.0/10")
"""Carrier-grade NAT (RFC 6598); clouds keep metadata services here, too."""
IPV4_COMPATIBLE = IPv6Network("::/96")
NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: an IPv4 address in the last 32 bits, on networks without IPv4 of their own."""
ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""RFC 5214: what stands before an IPv4 address in the last 64 bits, under any prefix."""

# What `ipaddress` takes for global in one of the Python versions that we support, or always.
SPECIAL: tuple[Network, ...] = (
    ip_network("168.63.129.16/32"),  # a public address at which Azure serves secrets of a machine
    ip_network("192.0.0.0/24"),  # IETF protocol assignments
    ip_network("192.88.99.0/24"),  # 6to4 relays, withdrawn by RFC 7526
    ip_network("64:ff9b:1::/48"),  # NAT64 of a site (RFC 8215)
    ip_network("100::/64"),  # discarded
    ip_network("2001::/23"),  # IETF protocol assignments, with Teredo
    ip_network("2002::/16"),  # 6to4: any IPv4 address in disguise
    ip_network("3fff::/20"),  # documentation
    ip_network("5f00::/16"),  # segment routing
    ip_network("fec0::/10"),  # site-local, withdrawn
)


class Resolver(Protocol):
    """Turns a host's name into addresses."""

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """All addresses of a host, the preferred one first.

        Raises:
            OSError: The name cannot be resolved.
        """
        ...


class SystemResolver:
    """Asks the operating system; it also reads the old spellings of IPv4, as `0x7f.1`."""

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """All addresses of a host, as `getaddrinfo` orders them."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:  # a label that is empty or longer than 63 characters
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from error
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def forbidden_kind(address: str) -> str | None:
    """Say what keeps an address from being fetched from.

    Args:
        address: IPv4 or IPv6, in its usual spelling.

    Returns:
        Its kind, as "loopback" or "private"; None for an address of the public internet.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unreadable"
    return _kind(_embedded(parsed) or parsed)


def _embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that traffic to an IPv6 address ends at, where it shows."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    isatap = int(address) >> 32 & 0xFFFF_FFFF in ISATAP
    if isatap or address in NAT64 or (address in IPV4_COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _kind(address: Address) -> str | None:
    kinds = (
        ("loopback", address.is_loopback),
        ("link-local", address.is_link_local),
        ("multicast", address.is_multicast),
        ("unspecified", address.is_unspecified),
        ("shared", address in SHARED),
        ("reserved", address.is_reserved or any(address in network for network in SPECIAL)),
        ("private", not address.is_global),
    )
    return next((kind for kind, holds in kinds if holds), None)
