"""The demand: rates, service time, peaks, and the time of creations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.control.demand import USUAL, CreationClock, Demand
from tasker.control.events import Load
from tasker.control.holding import REMEMBERED, Level
from tasker.control.scaling import Window
from unit.control.rig import seat


def test_littles_law() -> None:
    """The service time is the mean number of running tasks divided by the completion rate; the load is the number of
    workers that the arrivals keep busy."""
    window = Window(arrival_rate=20.0, completion_rate=10.0, running=5.0, seconds=1.0)
    assert (window.service_time, window.load) == (0.5, 10.0)


def test_nothing_completed() -> None:
    """If nothing was completed, the service time is unknown and the load is 0."""
    window = Window(20.0, 0.0, 5.0, 1.0)
    assert (window.service_time, window.load) == (None, 0.0)


def test_windows() -> None:
    """Both windows measure four workers that are busy with tasks of 0.4 s; the recent one forgets sooner."""
    demand = Demand(0.0)
    for tick in range(1, 101):
        demand.sample(tick / 10, Load(0, 4, tick, tick))
    assert demand.usual.service_time == pytest.approx(0.4, rel=0.05)
    assert demand.recent.arrival_rate == pytest.approx(10.0)
    for tick in range(101, 121):
        demand.sample(tick / 10, Load(0, 0, 100, 100))
    assert demand.recent == Window(0.0, 0.0, 0.0, pytest.approx(1.0))
    assert demand.usual.seconds == pytest.approx(USUAL)
    assert demand.usual.completion_rate == pytest.approx(8.0)


def test_the_mean_of_both_ends() -> None:
    """The number of running tasks between two ticks is taken to be the mean of both."""
    demand = Demand(0.0)
    demand.sample(1.0, Load(0, 4, 4, 0))
    assert demand.recent.running == pytest.approx(2.0)


def test_peaks() -> None:
    """A need is remembered until one that is as great or greater comes later."""
    demand = Demand(0.0)
    for now, count in [(1.0, 3), (2.0, 8), (3.0, 5), (4.0, 2), (5.0, 5), (6.0, 1)]:
        demand.needed(now, count)
    assert demand.peaks == ((2.0, 8), (5.0, 5), (6.0, 1))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_peaks_are_exact_and_few(needs: list[int]) -> None:
    """For any history and any window, the greatest need is among the peaks, and there are no more peaks than different
    needs."""
    demand = Demand(0.0)
    for now, count in enumerate(needs):
        demand.needed(float(now), count)
    assert len(demand.peaks) <= 7
    for window in range(len(needs)):
        assert max(count for now, count in demand.peaks if now >= window) == max(needs[window:])


def test_creation_time() -> None:
    """The creation time is unknown at first, then the age of the oldest creation, then a mean in which the newest weigh
    most."""
    clock = CreationClock()
    assert clock.seconds(5.0) is None
    clock.begin(seat(1), 5.0)
    clock.begin(seat(2), 6.0)
    assert clock.seconds(7.0) == 2.0
    clock.ready(seat(1), 7.0)
    assert clock.seconds(99.0) == 2.0
    clock.ready(seat(2), 9.0)
    assert clock.seconds(99.0) == pytest.approx(0.7 * 2 + 0.3 * 3)


def test_failed_creations_do_not_count() -> None:
    """The time that a failed creation took is not measured."""
    clock = CreationClock()
    clock.begin(seat(1), 0.0)
    clock.forget(seat(1))
    clock.forget(seat(1))
    assert clock.seconds(9.0) is None


def test_old_creations_are_forgotten() -> None:
    """Even if nothing asks for them, as where nothing scales: a worker may be replaced after each task."""
    clock = CreationClock()
    for number in range(1000):
        clock.begin(seat(number), number * USUAL)
        clock.ready(seat(number), number * USUAL)
    assert len(clock._lately) == 1


def test_levels() -> None:
    """Each worker remembers when it was last needed, and for how long it was not before; gaps that are shorter than a
    creation are left out, and the last 24 stay."""
    demand = Demand(0.0)
    assert demand.levels == ()
    demand.needed(1.0, 3)
    assert demand.levels == (Level(), Level(), Level())
    demand.needed(2.0, 1)
    assert demand.levels == (Level(), Level(1.0), Level(1.0))
    demand.needed(4.0, 2)
    assert demand.levels == (Level(), Level(None, (3.0,)), Level(1.0))
    demand.needed(5.0, 1)
    demand.needed(5.5, 3, shortest=2.0)
    assert demand.levels == (Level(), Level(None, (3.0,)), Level(None, (4.5,)))
    for number in range(100):
        demand.needed(10.0 + 2 * number, 1)
        demand.needed(11.0 + 2 * number, 2)
    assert demand.levels[1] == Level(None, (2.0,) * REMEMBERED)


def test_peakedness() -> None:
    """The variance of the tasks in the pool over their mean: 0 if their number never changes, 1 if nothing is there."""
    demand = Demand(0.0)
    assert demand.peakedness == 1.0
    for tick in range(1, 200):
        demand.sample(tick / 10, Load(1, 4, 0, 0))
    assert demand.peakedness == pytest.approx(0.0, abs=1e-6)
    for tick in range(200, 400):
        demand.sample(tick / 10, Load(10 * (tick % 2), 0, 0, 0))
    assert demand.peakedness == pytest.approx(5.0, rel=0.05)


def test_creations_of_late() -> None:
    """The creations of the last ten seconds are counted, whatever became of them."""
    clock = CreationClock()
    clock.begin(seat(1), 0.0)
    clock.begin(seat(2), 5.0)
    clock.forget(seat(2))
    assert [clock.begun_lately(now) for now in (5.0, 9.9, 10.0, 15.0)] == [2, 2, 1, 0]
