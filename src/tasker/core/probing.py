"""Probing: what ``check_resource`` says of a resource that is idle, and what is noted of that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from tasker.config import Config
from tasker.control.disuse import Disuse
from tasker.core.counters import Counters
from tasker.logs import GuardedLogger, describe

RETURNED_FALSE = "returned False"


class ProbingEngine(Protocol):
    """The part of an engine that is used here."""

    @property
    def counters(self) -> Counters: ...
    @property
    def log(self) -> GuardedLogger: ...


def disuse_of(config: Config[Any], now: float) -> Disuse | None:
    """Returns how long a resource that was made ``now`` may be idle; None: it is never checked."""
    return None if config.check_resource is None else Disuse(config.check_after_idle, now, config.check_interval)


def interval_of(config: Config[Any]) -> float | None:
    """Returns the seconds between two checks of a resource for which no task waits, as far as a lock can wait; None: none."""
    return None if config.check_interval is None else min(config.check_interval, threading.TIMEOUT_MAX)


def fault_of(error: BaseException) -> str:
    """Returns why a resource is replaced if ``check_resource`` has raised that."""
    return f"raised {describe(error)}"


def why_unfit(check: Callable[[], object]) -> str | None:
    """Makes the call of ``check_resource``. Returns why the resource is to be replaced, or None."""
    try:
        return RETURNED_FALSE if check() is False else None
    except BaseException as error:
        return fault_of(error)


def passes(engine: ProbingEngine, owner: str, why: str | None) -> bool:
    """Returns whether a resource may be used, and logs and counts it if it may not. ``owner``: whose resource it is."""
    if why is None:
        return True
    engine.counters.add("failed_checks")
    engine.log.log("warning", "%s replaces its resource, which was idle: check_resource %s", owner, why)
    return False
