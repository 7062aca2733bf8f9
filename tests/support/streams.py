"""Reads the stream of a dashboard."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any


def events_of(url: str) -> Iterator[tuple[str, Any]]:
    """Yields the kind and the data of each event, until the server closes the stream."""
    kind = ""
    with urllib.request.urlopen(url + "api/live", timeout=20) as answer:
        for line in answer:
            name, _, value = line.decode().strip().partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)
