"""PoolProber: the first of a check that returns and a supervisor that gives it up decides about the resource."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tasker.control import events as ev
from tasker.core.ages import Ages
from tasker.core.pool_probing import PoolProbe, PoolProber
from unit.core.fakes import FakeDriver, config


class Pool:
    """Holds what is due."""

    def __init__(self, *due: Any) -> None:
        self.ages = Ages()
        self.due = [*due]

    def take_rested(self, interval: float) -> Any:
        """The first."""
        assert interval == 60.0
        return self.due.pop(0) if self.due else None

    def next_probe_at(self, interval: float) -> float:
        """A little later than after an interval."""
        return 110.0 + interval


class Prober(PoolProber[Any]):
    """Leaves it to the test when a check returns."""

    def __init__(self, *due: Any) -> None:
        self.driver = FakeDriver()
        self.reported: list[ev.Event] = []
        engine: Any = SimpleNamespace(
            config=config(check_resource=bool, check_interval=60.0, check_timeout=2.5),
            counters=self.driver.counters,
            log=self.driver.log,
            now=lambda: 100.0,
            report=self.reported.append,
        )
        self.pool = Pool(*due)
        super().__init__(engine, self.pool)
        self.begun: list[PoolProbe[Any]] = []
        self.interrupted: list[Any] = []

    def abandon(self) -> None:
        """Nothing is waited for here."""

    def _begin(self, probe: PoolProbe[Any]) -> None:
        self.begun.append(probe)

    def _interrupt(self, handle: Any) -> None:
        self.interrupted.append(handle)

    def returned(self, why: str | None) -> bool | None:
        """The check returns; whether the resource serves on."""
        serves_on = self._serves_on(self.begun[-1], why)
        self._over()
        return serves_on


@pytest.fixture
def handle() -> Any:
    """An idle resource."""
    return SimpleNamespace(used=0.0, age=None)


def test_none_is_due() -> None:
    """That is all; it says when to look again."""
    prober = Prober()
    prober.probe()
    assert (prober.begun, prober.reported) == ([], [ev.PoolProbed(170.0)])


def test_a_fit_one_serves_on(handle: Any) -> None:
    """It counts as used now."""
    prober = Prober(handle)
    prober.probe()
    assert prober.reported == []
    assert prober.returned(None) is True
    assert (handle.used, prober.driver.counters.failed_checks) == (100.0, 0)
    assert prober.reported == [ev.PoolProbed(170.0)]


def test_one_that_is_not_fit(handle: Any) -> None:
    """It is counted and logged."""
    prober = Prober(handle)
    prober.probe()
    assert prober.returned("returned False") is False
    assert prober.driver.counters.failed_checks == 1


def test_one_that_is_given_up(handle: Any) -> None:
    """It is counted once, no refresh waits for it, and what it says in the end is for nobody."""
    prober = Prober(handle)
    handle.age = prober.pool.ages.begin()
    prober.pool.ages.outdate()
    prober.probe()
    prober.give_up()
    assert (prober.pool.ages.outdated, prober.interrupted, prober.reported) == (0, [handle], [ev.PoolProbeStuck()])
    why = "check_resource has not returned within check_timeout=2.5 seconds"
    assert prober.driver.logger.lines == [
        ("warning", f"pool: run_task replaces its resource, which was idle: {why}"),
    ]
    assert prober.returned("raised CancelledError") is None
    assert prober.driver.counters.failed_checks == 1
    assert prober.reported[1:] == [ev.PoolProbed(170.0)]


def test_one_that_could_not_begin(handle: Any) -> None:
    """It is tried again after an interval."""
    prober = Prober(handle)
    prober.probe()
    prober._postpone()
    assert prober.reported == [ev.PoolProbed(160.0)]
    prober.give_up()
    assert prober.reported[1:] == []


def test_one_that_is_given_up_too_late(handle: Any) -> None:
    """Nothing follows, whether its report is on the way or was made."""
    prober = Prober(handle)
    prober.probe()
    assert prober._serves_on(prober.begun[0], None) is True
    prober.give_up()
    prober._over()
    prober.give_up()
    assert (prober.reported, prober.interrupted) == ([ev.PoolProbed(170.0)], [])
