"""The options of a dashboard, checked."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from tasker.errors import ConfigError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SHORTEST_TOKEN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``app`` and ``serve`` were given, checked."""

    token: str | None = None
    allowed_hosts: tuple[str, ...] = LOOPBACK
    any_address: bool = False
    """Whether a ``Host`` that is an address is allowed: no name stands for it, so none can be rebound to it."""
    authenticated: bool = False
    allow_control: bool = False
    show_arguments: bool = False


def is_loopback(host: str) -> bool:
    """Returns whether a host, as a name or an address, is this machine alone."""
    if host.lower() == "localhost":
        return True
    address = address_of(host)
    return address is not None and address.is_loopback


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Returns a host as an address; None if it is a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def checked_token(token: object) -> str | None:
    """Returns a token. Raises ``ConfigError`` if it is not one, without showing it."""
    if token is None:
        return None
    if not isinstance(token, str) or len(token) < SHORTEST_TOKEN:
        raise ConfigError(
            f"token must be None or text of at least {SHORTEST_TOKEN} characters, as secrets.token_urlsafe() returns"
        )
    return token


def checked_hosts(hosts: object) -> tuple[str, ...]:
    """Returns the names of hosts in small letters. Raises ``ConfigError`` if they are no sequence of names."""
    if isinstance(hosts, str) or not isinstance(hosts, Sequence):
        raise ConfigError(f"allowed_hosts must be a list of host names without ports, got {hosts!r}")
    for host in hosts:
        if not isinstance(host, str) or not host or any(mark in host for mark in "/*@ "):
            raise ConfigError(f"allowed_hosts must have host names without ports, got {host!r}")
    return tuple(host.strip("[]").lower() for host in hosts)


def checked_flag(name: str, value: object) -> bool:
    """Returns a flag. Raises ``ConfigError`` if it is not one."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, got {value!r}")
    return value
