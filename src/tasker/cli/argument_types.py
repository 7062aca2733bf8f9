"""Types of numeric options, for argparse: each parses a text, and says what is allowed if the text is wrong."""

from __future__ import annotations

import argparse
import codecs
import json
import math
from collections.abc import Callable
from typing import Any


def number(
    convert: Callable[[str], float], least: float, strict: bool, what: str, most: float = math.inf
) -> Callable[[str], Any]:
    """Returns a parser for finite numbers from ``least`` (``strict``: above ``least``) up to ``most``.

    ``what`` describes them in the error message.
    """

    def parse(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not least <= value <= most or (strict and value == least):
            raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}")
        return value

    return parse


def delimiter(text: str) -> bytes:
    """Parses a text that is not empty, with the escapes of Python's texts."""
    try:
        value = codecs.escape_decode(text.encode())[0]
    except ValueError:
        value = b""
    if not value:
        raise argparse.ArgumentTypeError(rf"must be a text such as ';' or '\0', not {text!r}")
    return value


positive: Callable[[str], Any] = number(int, 1, False, "a whole number of at least 1")
non_negative: Callable[[str], Any] = number(int, 0, False, "a whole number of at least 0")
seconds: Callable[[str], Any] = number(float, 0.0, False, "seconds, at least 0")
some_seconds: Callable[[str], Any] = number(float, 0.0, True, "seconds, more than 0")
amount: Callable[[str], Any] = number(float, 0.0, False, "a number of at least 0")


def address(text: str) -> tuple[str | None, int | None]:
    """Parses HOST:PORT, HOST: or :PORT, or a port alone; an IPv6 address stands in brackets. Returns host and port, None for what
    is missing."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""  # an IPv6 address without brackets: where its port begins, nobody can say
    is_port = port.isascii() and port.isdigit() and int(port) < 65536
    if not (is_port and (colon or not host)) and not (colon and host and not port):
        raise argparse.ArgumentTypeError(
            f"must be HOST:PORT or PORT, not {text!r} (without either, put it behind JOB.py)"
        )
    return host or None, int(port) if port else None


def json_object(text: str) -> dict[str, Any]:
    """Parses a JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"must be a JSON object, not {text!r}")
    return value


def setting(text: str) -> tuple[str, Any]:
    """Parses NAME=VALUE. VALUE is decoded if it is JSON, and is text otherwise."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE with a Python name, not {text!r}")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value
