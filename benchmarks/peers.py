"""The peers: their modules and versions, and those that are not installed."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any

from benchmarks.runner import Absent

PEERS = ("joblib", "loky", "pebble", "mpire", "deadpool", "aiojobs", "aiometer", "ray")
_DISTRIBUTIONS = {"deadpool": "deadpool-executor"}
"""Where it is not named as its module."""


class Missing(Exception):
    """A peer is not installed."""


def load(name: str) -> Any:
    """Returns the peer's module, as ``Any``, so that the suite type-checks with and without it. Raises ``Missing``."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Missing(
            f"{_DISTRIBUTIONS.get(name, name)} is not installed (the extra `bench` installs it): {error}"
        ) from error


def absent(*names: str) -> list[Absent]:
    """Returns the peers that are not installed."""
    missing = []
    for name in names:
        try:
            load(name)
        except Missing as error:
            missing.append(Absent(name, str(error)))
    return missing


def versions() -> dict[str, str]:
    """Returns the version of each peer, or that it is not installed."""
    found = {}
    for name in PEERS:
        try:
            found[name] = metadata.version(_DISTRIBUTIONS.get(name, name))
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
