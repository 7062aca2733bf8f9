"""The default scaling policy, one decision at a time."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.control.scaling import RatePolicy, Snapshot

QUIET = Snapshot(
    worker_count=2,
    max_worker_count=8,
    workers=2,
    queued=0,
    running=0,
    arrival_rate=0.0,
    completion_rate=0.0,
    calm_since=None,
    calm_peak=0,
)


RATES = st.just(0.0) | st.floats(0.01, 1e7)


def target(now: float = 100.0, **changes: Any) -> int:
    """What the policy decides on a quiet pool with these changes."""
    return RatePolicy().decide(dataclasses.replace(QUIET, **changes), now).target


def test_nothing_waits() -> None:
    """Where nothing waits, nothing grows, whatever runs and arrives."""
    assert target(running=2, arrival_rate=1000.0, completion_rate=1.0) == 2


def test_one_long_task() -> None:
    """One task that runs for long is no reason for a second worker."""
    assert target(running=1) == 2


def test_every_waiting_task_counts_before_anything_completed() -> None:
    """Without a completion to measure by, each waiting task wants a worker."""
    assert target(running=2, queued=3) == 5
    assert target(running=0, queued=1, completion_rate=5.0) == 2


def test_never_fewer_while_something_waits() -> None:
    """With a backlog the pool keeps at least the workers that it has."""
    assert target(workers=6, running=1, queued=1) == 6
    assert target(workers=6, running=6, queued=50, completion_rate=100.0, arrival_rate=1.0) == 6


def test_a_short_backlog_is_left_to_the_present_workers() -> None:
    """A backlog that will have been started within 0.1 s does not grow the pool."""
    assert target(running=2, queued=10, completion_rate=100.0, arrival_rate=100.0) == 2


def test_littles_law() -> None:
    """The target is what the arrivals need, and what works the backlog off in a second."""
    # Two workers complete 5/s each; 20/s arrive and 10 wait: 30/s need 6 workers.
    assert target(running=2, queued=10, completion_rate=10.0, arrival_rate=20.0) == 6


def test_more_running_than_workers() -> None:
    """Tasks of run_task do not make a worker look slower than it is."""
    assert target(workers=2, running=20, queued=10, completion_rate=10.0, arrival_rate=20.0) == 6
    assert target(workers=0, running=20, queued=10, completion_rate=10.0, arrival_rate=20.0) == 3


def test_shrinks_after_a_calm_second() -> None:
    """After a second in which nothing waited, the pool shrinks to what was in use."""
    assert target(workers=8, calm_since=99.0, calm_peak=5) == 5
    assert target(workers=8, calm_since=99.0, calm_peak=0) == 2
    assert target(workers=8, calm_since=99.01, calm_peak=0) == 8
    assert target(workers=8, calm_since=None) == 8


def test_busy_workers_are_kept() -> None:
    """A calm pool whose workers were all in use at once does not shrink."""
    assert target(workers=8, calm_since=0.0, calm_peak=8) == 8
    assert target(workers=8, calm_since=0.0, calm_peak=20) == 8


def test_says_why() -> None:
    """The decision names its numbers."""
    grown = RatePolicy().decide(dataclasses.replace(QUIET, queued=3, running=2), 0.0)
    assert grown.why == "3 wait, 2 run, none was completed lately"
    shrunk = RatePolicy().decide(dataclasses.replace(QUIET, workers=4, calm_since=0.0), 2.0)
    assert shrunk.why == "nothing has waited for 2.0 s, 0 ran"


def test_thresholds_can_be_set() -> None:
    """wait, catch_up and calm are the policy's fields."""
    policy = RatePolicy(wait=0.0, catch_up=10.0, calm=5.0)
    waiting = dataclasses.replace(QUIET, running=2, queued=100, completion_rate=10.0)
    assert policy.decide(waiting, 0.0).target == 2
    calm = dataclasses.replace(QUIET, workers=4, calm_since=0.0)
    assert policy.decide(calm, 4.9).target == 4
    assert policy.decide(calm, 5.0).target == 2


def test_frozen() -> None:
    """A policy keeps nothing between two calls; one object may serve several managers."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        RatePolicy().wait = 1.0  # type: ignore[misc]


@given(
    workers=st.integers(0, 50),
    queued=st.integers(0, 10_000),
    running=st.integers(0, 100),
    arrival_rate=RATES,
    completion_rate=RATES,
    calm_since=st.none() | st.floats(0, 100),
    calm_peak=st.integers(0, 100),
)
def test_never_shrinks_with_a_backlog_nor_grows_without(**numbers: Any) -> None:
    """For any numbers: a backlog never shrinks the pool, and no backlog never grows it."""
    decided = target(**numbers)
    if numbers["queued"]:
        assert decided >= numbers["workers"]
    else:
        assert decided <= numbers["workers"]
