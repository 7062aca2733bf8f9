"""--rate and --delay: items are spread evenly, whatever the workers do."""

from __future__ import annotations

import argparse
import signal

import pytest

from tasker.cli.run.in_flight import InFlightItems
from tasker.cli.run.pacing import LEAD_S, LOOK_S, Pacing, rate

from .conftest import Workshop, wait_for
from .jobfiles import SQUARE


class Clock:
    """Time that passes only where something waits for it, and workers that are busy until a moment."""

    def __init__(self) -> None:
        self.now = 100.0
        self.busy_until = 0.0
        self.stops_at = float("inf")
        self.waiting = 0

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.now >= self.stops_at

    def still_waiting(self) -> int:
        if self.now >= self.busy_until:
            self.waiting = 0
        return self.waiting


def test_items_are_spread_evenly() -> None:
    clock = Clock()
    pacing = Pacing(0.5, clock.wait, lambda: clock.now)
    turns = []
    for _ in range(4):
        assert pacing.await_turn(clock.still_waiting)
        turns.append(clock.now)
    assert turns == [100.0, 100.5, 101.0, 101.5]


def test_a_pause_of_the_input_is_not_made_up_for() -> None:
    clock = Clock()
    pacing = Pacing(0.5, clock.wait, lambda: clock.now)
    assert pacing.await_turn(clock.still_waiting)
    clock.now += 60
    turns = []
    for _ in range(3):
        assert pacing.await_turn(clock.still_waiting)
        turns.append(clock.now)
    assert turns == [160.0, 160.5, 161.0]


def test_no_burst_follows_when_workers_are_free_again() -> None:
    """The item behind one that had to wait for a worker comes a whole interval after that has begun."""
    clock = Clock()
    pacing = Pacing(0.5, clock.wait, lambda: clock.now)
    assert pacing.await_turn(clock.still_waiting)
    clock.waiting, clock.busy_until = 1, 110.0
    assert pacing.await_turn(clock.still_waiting)
    assert 110.5 <= clock.now <= 110.5 + LOOK_S


def test_a_high_rate_is_kept_although_each_wait_is_late() -> None:
    clock = Clock()

    def late(seconds: float) -> bool:
        return clock.wait(seconds + 0.001)

    pacing = Pacing(0.0005, late, lambda: clock.now)
    for _ in range(10_000):
        assert pacing.await_turn(clock.still_waiting)
    assert clock.now - 100.0 == pytest.approx(5.0, abs=2 * LEAD_S)


@pytest.mark.parametrize("waiting", [0, 1])
def test_a_stop_ends_the_wait(waiting: int) -> None:
    clock = Clock()
    pacing = Pacing(5.0, clock.wait, lambda: clock.now)
    assert pacing.await_turn(clock.still_waiting)
    clock.waiting, clock.busy_until, clock.stops_at = waiting, 1e9, 101.0
    assert not pacing.await_turn(clock.still_waiting)


def test_a_pause_ends_when_the_run_is_stopped() -> None:
    in_flight = InFlightItems(10, 5)
    assert not in_flight.pause(0.001)
    in_flight.close()
    assert in_flight.pause(1e6)


@pytest.mark.parametrize(("text", "interval"), [("10", 0.1), ("4/s", 0.25), ("120/m", 0.5), ("0.5/h", 7200.0)])
def test_rates(text: str, interval: float) -> None:
    assert rate(text) == interval


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1/d", "1/", "/s", "nan", "inf", "1e-320"])
def test_no_rates(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be a number of items"):
        rate(text)


@pytest.mark.parametrize("more", [(), ("--timeout", 60), ("--backend", "process")])
def test_a_run_starts_so_many_items_at_most(shop: Workshop, more: tuple[object, ...]) -> None:
    """With the longer of both, if both are given. By what the lines say of the starts."""
    if "process" in more:
        pytest.importorskip("cloudpickle")
        pytest.importorskip("psutil")
    shop.write("jobs.py", SQUARE)
    shop.numbers(12)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--rate", "40", "--delay", "0.01", *more)
    assert done.returncode == 0, done.stderr
    starts = sorted(record["started_at"] for record in shop.records())
    # On a busy machine a worker may be late for one, and then the next one is nearer.
    assert starts[-1] - starts[0] >= 11 * 0.025 - 0.05 - 0.2 * (starts[-1] - starts[0])


def test_ctrl_c_ends_a_long_delay(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(5)
    process = shop.start("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--delay", 1000)
    wait_for(lambda: shop.lines() == 1, "the first item")
    process.send_signal(signal.SIGINT)
    wait_for(lambda: process.poll() is not None, "the end")
    assert process.returncode == 130
    assert shop.results() == {0: 0}
