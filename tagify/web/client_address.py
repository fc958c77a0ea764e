"""The client's address, from the connection and from `X-Forwarded-For` of trusted proxies."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_IPV6_PREFIX_BITS = 64
"""IPv6 clients are counted by this prefix: within it a client can choose any address."""


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """The client's address, by `X-Forwarded-For`; None when the request comes from a proxy itself.

    Only entries written by trusted proxies count: they are read from the right, up to the first
    address that is not a trusted proxy. A connection without an address is a Unix socket and is
    trusted: file permissions control who may connect to it.
    """
    address = parse_address(peer) if peer else None
    if address is not None and not _in_networks(address, trusted):
        return _client_key(address)
    hops = [hop.strip() for line in forwarded for hop in line.split(",") if hop.strip()]
    for hop in reversed(hops):
        hop_address = parse_address(hop)
        if hop_address is None:
            return _client_key(address) if address else None
        address = hop_address
        if not _in_networks(address, trusted):
            return _client_key(address)
    return None


def is_trusted_proxy(peer: str | None, trusted: Sequence[Network]) -> bool:
    """Whether the connection comes from a trusted proxy: one of these networks, or a Unix socket."""
    address = parse_address(peer) if peer else None
    return not peer or (address is not None and _in_networks(address, trusted))


def parse_address(text: str) -> Address | None:
    """The address that a text is, in brackets or not; None for any other text."""
    try:
        address = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _in_networks(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _client_key(address: Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_PREFIX_BITS), strict=False))
    return str(address)
