"""Who asks: the address of the client, as far as it can be believed."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_SITE_BITS = 64
"""An IPv6 client has as many addresses as it likes below these bits."""


def client_of(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """The client behind a connection, by `X-Forwarded-For`; None where it is one of the proxies itself.

    Only what a trusted proxy has written is believed: from the right, up to the first address
    that is no proxy's. A connection without an address is a Unix socket, whose other end its
    permissions decide about.
    """
    at = _address(peer) if peer else None
    if at is not None and not _among(at, trusted):
        return _name(at)
    hops = [hop.strip() for line in forwarded for hop in line.split(",") if hop.strip()]
    for hop in reversed(hops):
        found = _address(hop)
        if found is None:
            return _name(at) if at else None
        at = found
        if not _among(at, trusted):
            return _name(at)
    return None


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _among(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _name(address: Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _SITE_BITS), strict=False))
    return str(address)
