"""Probing: what check_resource says, in words, and what is noted of it."""

from __future__ import annotations

import threading

from tasker.core.probing import disuse_of, interval_of, passes, why_unfit
from unit.core.fakes import FakeDriver, config


def test_what_is_not_fit() -> None:
    """Only False and an error speak against a resource: a function without a result says nothing."""
    assert [why_unfit(lambda answer=answer: answer) for answer in (None, True, 0, "")] == [None] * 4  # type: ignore[misc]
    assert why_unfit(lambda: False) == "returned False"

    def fail() -> None:
        raise SystemExit("gone")

    assert why_unfit(fail) == "raised SystemExit: gone"


def test_what_is_noted() -> None:
    """A resource that is not fit is logged and counted."""
    driver = FakeDriver()
    assert passes(driver, "worker w-1", None)
    assert not passes(driver, "worker w-1", "returned False")
    assert driver.counters.failed_checks == 1
    text = "pool: worker w-1 replaces its resource, which was idle: check_resource returned False"
    assert driver.logger.lines == [("warning", text)]


def test_no_check_no_disuse() -> None:
    """It is followed only where there is a check."""
    assert disuse_of(config(), 0.0) is None
    disuse = disuse_of(config(check_resource=bool, check_after_idle=2), 1.0)
    assert disuse is not None
    assert (disuse.due(3.0), disuse.due(3.1)) == (False, True)


def test_an_interval_that_no_lock_can_wait_for() -> None:
    """It is cut to what can be waited for."""
    assert interval_of(config()) is None
    assert interval_of(config(check_resource=bool, check_interval=3)) == 3
    assert interval_of(config(check_resource=bool, check_interval=1e300)) == threading.TIMEOUT_MAX
