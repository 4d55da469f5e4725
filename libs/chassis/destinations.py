"""Where customers may have us connect to: public addresses only, so that nobody reaches our inside through us.

Webhooks and senders' providers are held to it: by their settings, when these are written, and by the address, whenever
one is connected to. The lists are explicit, because `ipaddress.is_global` calls NAT64 and multicast addresses global. A
mapped or NAT64 address is as good or bad as the IPv4 address inside; other ways to put one inside (6to4, Teredo) are
refused.
"""

import re
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

MAX_URL_LENGTH = 2000

Address = IPv4Address | IPv6Address
# Where connections may go besides the public Internet.
Networks = tuple[IPv4Network | IPv6Network, ...]

REFUSED_V4 = [
    IPv4Network(one)
    for one in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT; Alibaba's metadata at 100.100.100.200
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; most clouds' metadata at 169.254.169.254
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata at 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "168.63.129.16/32",  # Azure's host
    )
]
# All that is not in the Internet's own 2000::/3, and of that what is not the Internet.
INTERNET_V6 = IPv6Network("2000::/3")
REFUSED_V6 = [
    IPv6Network(one)
    for one in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3fff::/20",
    )
]
NAT64 = IPv6Network("64:ff9b::/96")
# A last label of digits, or 0x and digits: resolvers read such a name as an IPv4 address, each in a way of its own.
NUMERIC = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$", re.IGNORECASE)
# The characters of RFC 3986.
WRITTEN = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?", re.IGNORECASE)


class Refused(ValueError):
    """The reason, for a person."""


class RefusedAddress(OSError):
    """A name led where no connection may."""


def read_networks(text: str) -> Networks:
    """`10.1.2.0/24, ::1/128`. Raises ValueError."""
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


def guarded_socket(allowed: Networks) -> Callable[[Any], socket.socket]:
    """Makes the socket for one entry of getaddrinfo, just before it is connected, so that what a name leads to cannot
    change in between. It raises RefusedAddress."""

    def make(info: Any) -> socket.socket:
        kind, variant, protocol, _, (host, *_) = info
        try:
            check_address(ip_address(host), allowed=allowed)
        except ValueError as error:
            raise RefusedAddress(str(error)) from error
        return socket.socket(kind, variant, protocol)

    return make


def check_address(address: Address, *, allowed: Networks = ()) -> None:
    """Raises Refused where it is not on the public Internet, nor in a network that is allowed besides."""
    if any(address in network for network in allowed):
        return
    if isinstance(address, IPv4Address):
        if any(address in network for network in REFUSED_V4):
            raise Refused("the address is not on the public Internet")
        return
    inner = embedded(address)
    if inner is not None:
        check_address(inner, allowed=allowed)
    elif address not in INTERNET_V6 or any(address in network for network in REFUSED_V6):
        raise Refused("the address is not on the public Internet")


def embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that it leads to, as ::ffff:198.51.100.1 and a NAT64's do."""
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


def read_url(text: str, *, plain: bool) -> str:
    """The host of a URL that we may post to. plain: http:// is taken too. Raises Refused.

    A literal address is checked here; what a name leads to is checked whenever it is connected to.
    """
    if len(text) > MAX_URL_LENGTH or not WRITTEN.fullmatch(text):
        raise Refused(f"a URL has up to {MAX_URL_LENGTH:,} characters, printable ASCII and percent-encoded beyond that")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Refused("this is no URL") from error
    if parts.scheme != "https" and not (plain and parts.scheme == "http"):
        raise Refused("the URL begins with https://")
    if parts.username is not None or parts.password is not None:
        raise Refused("the URL carries no user or password")
    if parts.fragment or text.endswith("#"):
        raise Refused("the URL has no fragment")
    if not host or port == 0:
        raise Refused("the URL names no host" if not host else "the URL's port is 1 to 65535")
    return host


def check_host(host: str, *, allowed: Networks = ()) -> None:
    """Raises Refused for a literal address that is not public, and for names that never lead to a public one.

    allowed: networks whose addresses will do, and then any name: it may lead there.
    """
    address = literal(host)
    if address is not None:
        check_address(address, allowed=allowed)
    elif NUMERIC.search(host):
        raise Refused("the host is a number; write an IPv4 address in four decimal parts")
    elif len(host) > 253 or not NAME.fullmatch(host):
        raise Refused("the host is no domain name")
    elif not allowed and is_inside(host):
        raise Refused("the host is not a name of the public Internet")


def is_inside(name: str) -> bool:
    name = name.rstrip(".").lower()
    return "." not in name or name.endswith((".localhost", ".local", ".internal"))


def literal(host: str) -> Address | None:
    """None where it is a name."""
    try:
        found = ip_address(host)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        raise Refused("the address is not on the public Internet")
    return found
