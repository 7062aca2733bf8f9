"""The default scaling policy, one decision at a time."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasker.control.holding import Level
from tasker.control.scaling import Decision, RatePolicy, Snapshot, Window

EMPTY = Window(0.0, 0.0, 0.0, 10.0)
QUIET = Snapshot(
    worker_count=2,
    max_worker_count=8,
    workers=2,
    ready=2,
    starting=0,
    queued=0,
    running=0,
    oldest_wait=0.0,
    target_wait=0.1,
    recent=EMPTY,
    usual=EMPTY,
    creation_time=None,
    peaks=(),
    useful=None,
)


def needed(*peaks: tuple[float, int]) -> dict[str, Any]:
    """Peaks of the need, and the levels that they leave behind."""
    most = max(count for _, count in peaks)
    last = [max(moment for moment, count in peaks if count >= worker) for worker in range(1, most + 1)]
    return {"peaks": peaks, "levels": tuple(Level(moment) for moment in last)}


def flow(rate: float, service: float, running: float | None = None) -> dict[str, Window]:
    """Both windows of a load that arrives at `rate`, with `service` seconds for a task, completed at the rate at which
    it arrives, or at that of `running` workers."""
    done = rate if running is None else running / service
    return {
        "recent": Window(rate, done, done * service, 1.0),
        "usual": Window(rate, done, done * service, 10.0),
    }


def decide(policy: RatePolicy | None = None, /, now: float = 100.0, **changes: Any) -> Decision:
    """The policy's decision for a quiet pool with these changes; workers are ready unless `ready` says otherwise."""
    changes.setdefault("ready", changes.get("workers", 2))
    return (policy or RatePolicy()).decide(dataclasses.replace(QUIET, **changes), now)


def target(policy: RatePolicy | None = None, /, **changes: Any) -> int:
    """The number of workers that the policy decides on."""
    return decide(policy, **changes).target


def test_nothing_waits() -> None:
    """If nothing waits, the pool does not grow, whatever runs and arrives."""
    assert target(running=2, **flow(1000.0, 0.1)) == 2


def test_one_long_task() -> None:
    """One long task does not add a worker."""
    assert target(running=1, recent=Window(0.0, 0.0, 1.0, 1.0), usual=Window(0.1, 0.0, 1.0, 10.0)) == 2


def test_every_waiting_task_counts_before_anything_completed() -> None:
    """Until a first task has completed, each waiting task needs a worker."""
    assert target(running=2, queued=3) == 5
    assert target(running=2, queued=300) == 8


def test_a_short_backlog_is_left_to_the_present_workers() -> None:
    """A backlog that will be started within target_wait does not grow the pool; with a shorter target_wait it does."""
    load = flow(100.0, 0.02)
    assert target(running=2, queued=10, **load) == 2
    assert target(running=2, queued=11, **load) == 3
    assert target(running=2, queued=10, target_wait=0.05, **load) == 4


def test_at_once_to_what_starts_the_backlog_in_time() -> None:
    """Five workers start ten tasks of 0.05 s within 0.1 s; tasks of 1 s need one worker each, but no more than that."""
    assert target(running=2, queued=10, **flow(0.0, 0.05, 2)) == 5
    assert target(running=2, queued=4, **flow(0.0, 1.0, 2)) == 6
    assert target(running=2, queued=1000, **flow(0.0, 1.0, 2)) == 8


def test_growing_meets_the_arrivals_too() -> None:
    """A backlog grows the pool at least to what the arrivals need, but the reserve beyond the running tasks is limited
    to a standard deviation of the arrivals during a creation, and at least one worker."""
    load = flow(40.0, 0.1)  # keeps four workers busy; Erlang C wants seven
    backlog = {"workers": 3, "running": 4, "queued": 4, **load}
    assert target(**backlog) == 5
    assert target(**backlog, creation_time=0.05) == 6, "two arrive meanwhile"
    assert target(**backlog, creation_time=0.1) == 6, "four do"
    assert target(RatePolicy(spare=9), **backlog, creation_time=0.05, max_worker_count=20) == 7


def test_what_is_started_now_must_be_useful_when_it_is_ready() -> None:
    """No resource is made for a backlog that will be gone by the time the resource is ready."""
    backlog = {"running": 2, "queued": 40, **flow(0.0, 0.1, 2)}  # 2 s for two workers
    assert target(**backlog, creation_time=0.0) == 8
    assert target(**backlog, creation_time=1.5) == 3, "what is left then needs fewer"
    assert target(**backlog, creation_time=1.95) == 2, "less than target_wait is left then"
    assert target(**backlog, creation_time=60.0) == 2


def test_what_waited_for_a_creation_is_not_hurried() -> None:
    """If a creation takes long, the backlog that is left after it is to be started within a quarter of that time."""
    backlog = {"running": 2, "queued": 100, **flow(0.0, 0.1, 2)}
    assert target(**backlog, creation_time=2.0) == 8  # of 60 tasks, one of 0.1 s in 0.5 s: 12
    assert target(**backlog, creation_time=2.0, max_worker_count=50) == 12
    assert target(RatePolicy(catch_up=0.5), **backlog, creation_time=2.0, max_worker_count=50) == 6
    assert target(RatePolicy(catch_up=0.0), **backlog, creation_time=2.0, max_worker_count=90) == 60


def test_arrivals_during_a_creation_count() -> None:
    """A backlog that will have grown large by the time a resource is made grows the pool now."""
    load = flow(40.0, 0.1, 2)
    assert target(running=2, queued=2, **load) == 2
    assert target(running=2, queued=2, creation_time=2.0, **load) == 8


def test_workers_that_start_count_for_half() -> None:
    """Workers that are being made count as servers for half of a creation's time."""
    backlog = {"running": 2, "queued": 120, "creation_time": 2.0, **flow(0.0, 0.1, 2)}
    assert target(workers=6, ready=2, starting=4, **backlog) == 8
    backlog["queued"] = 85
    assert target(workers=6, ready=2, starting=4, **backlog, **needed((99.9, 6))) == 6


def test_a_stalled_queue() -> None:
    """If the first task has waited too long, the recent service time counts, provided that it is longer: long tasks
    occupy the workers."""
    stalled = {
        "running": 2,
        "queued": 3,
        "usual": Window(20.0, 20.0, 0.2, 10.0),
        "recent": Window(5.0, 1.0, 2.0, 1.0),
    }
    assert target(**stalled, oldest_wait=0.05) == 2
    assert target(**stalled, oldest_wait=0.5) == 5
    assert target(**{**stalled, "recent": Window(5.0, 0.0, 2.0, 1.0)}, oldest_wait=0.5) == 5
    assert target(**{**stalled, "recent": Window(5.0, 200.0, 1.0, 1.0)}, oldest_wait=0.5) == 2


def test_long_tasks_after_many_short_ones() -> None:
    """If the running tasks are far older than tasks usually take, their age counts, before any of them has ended."""
    sudden = {"running": 2, "queued": 200, "usual": Window(20_000.0, 20_000.0, 2.0, 10.0), "oldest_wait": 0.05}
    assert target(**sudden, running_age=0.05) == 8
    assert target(**sudden, running_age=0.0002) == 2, "as old as they get"
    slow = Window(1.0, 2.0, 2.0, 1.0)
    assert target(**{**sudden, "queued": 1}, running_age=0.01) == 2, "soon started"
    assert target(**{**sudden, "queued": 1, "recent": slow}, running_age=0.01) == 3, "the last second says more"


def test_a_burst_that_is_over_before_a_resource_is_made() -> None:
    """As long as nothing was completed, the age of the running tasks tells whether tasks that have only just begun to wait
    will be started before a resource can be made; once they have waited for target_wait, each needs a worker."""
    burst = {"running": 2, "queued": 45, "running_age": 0.001, "creation_time": 0.15}
    assert target(**burst, oldest_wait=0.002) == 2
    assert decide(**burst, oldest_wait=0.002).why == "45 wait, and are soon started: 2 run on 2 workers, since 1 ms"
    assert target(**burst, oldest_wait=0.2) == 8
    assert target(**{**burst, "running_age": 0.02}, oldest_wait=0.02) == 8, "it takes longer than a creation"
    assert target(**{**burst, "creation_time": None}, oldest_wait=0.002) == 8
    assert target(**{**burst, "running_age": 0.0}, oldest_wait=0.002) == 8, "the age is not known"
    assert target(**burst) == 8, "nor is the wait"
    assert target(**{**burst, "running": 0, "running_age": 0.0}) == 2, "the workers have not taken any yet"


def test_the_arrivals_of_a_young_pool_may_be_one_burst() -> None:
    """In the first half second of a pool, arrivals are not taken to go on: only what waits counts."""
    burst = {"worker_count": 5, "running": 5, "queued": 33, "creation_time": 0.15, "oldest_wait": 0.005, "workers": 5}
    young, older = Window(500.0, 120.0, 2.4, 0.1), Window(500.0, 120.0, 2.4, 1.0)
    assert target(**burst, recent=young, usual=young) == 5
    assert target(**burst, recent=older, usual=older) == 8


def test_an_outage_divides_by_the_workers_that_are_there() -> None:
    """While creations fail, the wait is that for the workers that exist, however many are wanted."""
    outage = {"workers": 8, "ready": 2, "running": 2, "queued": 10, **flow(20.0, 0.1, 2)}
    assert "10 wait, and would wait 500 ms" in decide(**outage).why


CALM = {"workers": 8, "ready": 8}
IDLE = tuple(Level(99.0, (30.0,) * 6) for _ in range(6))
"""Six workers that were last needed a second ago, and are needed again each 30 s."""


def test_idle_gaps_are_learned() -> None:
    """A worker that is always needed again within a second and a half is kept for so long; one that is not needed for half
    a minute each time is let go."""
    gaps = {"creation_time": 0.5}
    assert target(**CALM, levels=(Level(98.8, (1.2,) * 6),) * 6, **gaps) == 6
    assert target(**CALM, levels=IDLE, **gaps) == 2


def test_workers_are_made_before_they_are_needed() -> None:
    """Workers that are needed at regular intervals are made shortly before, though nothing waits, and let go if they were
    not needed after all; a limit of usefulness holds for them, too."""
    lull = {"levels": IDLE, "creation_time": 0.5}
    assert target(**lull, now=120.0) == 2
    assert target(**lull, now=128.5) == 6
    assert decide(**lull, now=128.5).why.startswith("6 are likely to be needed soon, as they were before; ")
    assert target(**lull, now=128.5, useful=4, useful_why="so it was") == 4
    assert target(**lull, **CALM, now=140.0) == 2


def test_reserve() -> None:
    """A reserve is for arrivals that come in bursts: all of what Hayward's approximation asks for, or half of it; it is
    kept, and made, while nothing waits."""
    load = {"workers": 5, "running": 4, "max_worker_count": 40, **flow(40.0, 0.1)}
    none, half, full = (RatePolicy(reserve=reserve) for reserve in ("none", "half", "full"))
    assert [target(policy, **load, peakedness=1.0) for policy in (none, half, full)] == [5, 6, 7]
    assert [target(policy, **load, peakedness=4.0) for policy in (none, half, full)] == [5, 11, 16]
    assert target(full, **{**load, "max_worker_count": 10}, peakedness=4.0) == 10
    assert target(full, **{**load, "workers": 20}, peakedness=0.0) >= 5, "regular arrivals need no less than without"
    assert target(full, **load, peakedness=4.0, useful=6, useful_why="so it was") == 6


def test_creations_are_not_too_frequent() -> None:
    """In ten seconds no more workers are made than three times the maximum. Then the pool grows no further, and keeps what
    it has; the base is made in any case."""
    backlog = {"running": 2, "queued": 1000, **flow(0.0, 1.0, 2)}
    assert target(**backlog, created=19) == 7
    assert target(**backlog, created=24) == 2
    assert decide(**backlog, created=24).why.startswith("24 were made in 10 s, which is the most; 1000 wait")
    assert target(RatePolicy(creations=0.0), **backlog) == 2
    assert target(**backlog, created=24, workers=5, ready=3, starting=1) == 5
    assert target(**backlog, created=24, worker_count=4, workers=2) == 4
    lull = {**CALM, "levels": (Level(99.9),) * 6, "creation_time": 0.5}
    assert target(**lull, created=23) == 6
    assert target(**lull, created=24) == 8
    assert "so what is there is kept" in decide(**lull, created=24).why


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({**needed((98.9, 8))}, 2),
        ({**needed((99.1, 8))}, 8),
        ({**needed((98.9, 8), (99.5, 5))}, 5),
        ({**needed((98.9, 8), (99.5, 5)), "running": 6}, 6),
        ({**needed((97.1, 8)), "creation_time": 1.0}, 8),
        ({**needed((96.9, 8)), "creation_time": 1.0}, 2),
        ({**needed((50.0, 8)), "creation_time": 1e6}, 8),
        ({**needed((39.9, 8)), "creation_time": 1e6}, 2),
        ({**needed((98.5, 8)), "usual": Window(0.0, 1.0, 1.0, 10.0)}, 8),
        ({**needed((97.9, 8)), "usual": Window(0.0, 1.0, 1.0, 10.0)}, 2),
    ],
)
def test_shrinks_to_the_recent_peak(changes: dict[str, Any], kept: int) -> None:
    """The pool shrinks to the greatest need of the last second, of two service times or of three creation times,
    whichever is longest, but of a minute at most."""
    assert target(**CALM, **changes) == kept


def test_shrinks_while_a_little_waits() -> None:
    """A queue that is never empty, but whose tasks never wait too long, does not keep workers that are not needed."""
    assert target(workers=8, running=2, queued=1, **flow(20.0, 0.1)) == 3
    assert target(workers=8, running=8, queued=1000, **flow(20.0, 0.1, 8)) == 8


def test_a_changed_rate_is_believed() -> None:
    """A recent rate that differs by more than chance corrects the usual one, up and down."""
    usual = Window(100.0, 100.0, 10.0, 10.0)
    policy = RatePolicy(spare=100)
    assert "run, at most 2.0/s arrive" in decide(policy, recent=Window(0.0, 0.0, 0.0, 1.0), usual=usual).why
    assert "run, at least 143.8/s arrive" in decide(policy, recent=Window(170.0, 100.0, 10.0, 1.0), usual=usual).why
    assert "run, 100.0/s arrive" in decide(policy, recent=Window(110.0, 100.0, 10.0, 1.0), usual=usual).why
    assert "100.0/s arrive" in decide(policy, recent=Window(0.0, 0.0, 0.0, 0.0), usual=usual).why


def test_creations_that_have_not_begun_are_dropped() -> None:
    """Workers that could not be started yet are dropped once they are not needed."""
    assert target(workers=8, ready=2, starting=1, **needed((99.9, 8))) == 3
    assert target(workers=8, ready=2, starting=1, running=5, **needed((99.9, 8))) == 5
    assert decide(workers=8, ready=2, starting=1, **needed((99.9, 8))).why.startswith("5 more are no longer needed; ")


def test_not_more_than_helps() -> None:
    """More workers than are useful are neither requested nor kept, except for the base."""
    backlog = {"running": 4, "queued": 1000, **flow(0.0, 1.0, 4)}
    known = {"useful": 4, "useful_why": "more workers do not help: so it was"}
    assert target(workers=4, **backlog, **known) == 4
    assert target(workers=8, **backlog, **known) == 4
    assert target(workers=2, **backlog, **known) == 4
    assert decide(workers=8, **backlog, **known).why.startswith("more workers do not help: so it was; 1000 wait")
    assert target(workers=8, worker_count=6, **backlog, **known) == 6
    assert target(workers=3, running=2, queued=1, **needed((99.9, 3)), **flow(20.0, 0.01), **known) == 3
    assert target(RatePolicy(trials=False), workers=4, **backlog, **known) == 8


def test_says_why() -> None:
    """The decision names its numbers."""
    assert decide(queued=3, running=2).why == "3 wait, 2 run, none was completed lately"
    assert decide().why == "nothing waits, 0 run, none was completed lately"
    said = decide(running=2, queued=40, creation_time=0.5, **flow(20.0, 0.1, 2)).why
    assert said == (
        "40 wait, and would wait 2.0 s more when new workers are ready, which needs 32 workers; "
        "2 run, 20.0/s arrive and take 100 ms each, which needs 4"
    )
    assert "would wait 2.0 s, which needs 40 workers; " in decide(running=2, queued=40, **flow(20.0, 0.1, 2)).why
    assert decide(running=2, queued=1, **flow(20.0, 0.1, 2)).why.startswith("1 wait, and will be started within 50 ms")
    assert decide(**CALM).why.startswith("more than 2 are not worth keeping; nothing waits")


def test_the_need_can_differ_from_the_target() -> None:
    """The need is what the load needs now, whether the target is more (not yet shrunk) or less (limited)."""
    assert decide(**CALM, **needed((99.9, 8))).need == 2
    assert decide(running=4, queued=1000, useful=4, workers=4).need == 8


def test_frozen() -> None:
    """A policy keeps no state between calls, so one object may serve several managers."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        RatePolicy().hold = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    "wrong",
    [
        {"risk": 0.0},
        {"risk": 1.0},
        {"risk": float("nan")},
        {"spare": -1},
        {"catch_up": -0.1},
        {"hold": -0.1},
        {"hold": float("inf")},
        {"hold_services": float("nan")},
        {"hold_creations": -1.0},
        {"hold_most": -1.0},
        {"creations": -1.0},
        {"reserve": "some"},
    ],
)
def test_wrong_numbers(wrong: dict[str, Any]) -> None:
    """A number out of its range raises a ValueError that names the option and the number."""
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"RatePolicy\.{name} must be .*, got {wrong[name]!r}"):
        RatePolicy(**wrong)


RATES = st.just(0.0) | st.floats(0.01, 1e7)
WINDOWS = st.builds(Window, RATES, RATES, st.floats(0, 100), st.just(0.0) | st.floats(0.01, 10.0))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Any snapshot whose numbers are consistent."""
    base = draw(st.integers(1, 10))
    most = base + draw(st.integers(0, 40))
    workers = draw(st.integers(base, most))
    ready = draw(st.integers(0, workers))
    queued = draw(st.integers(0, 10_000))
    times = sorted(draw(st.lists(st.floats(0, 100), max_size=4)))
    needs = sorted(draw(st.lists(st.integers(0, most), min_size=len(times), max_size=len(times))), reverse=True)
    return Snapshot(
        worker_count=base,
        max_worker_count=most,
        workers=workers,
        ready=ready,
        starting=draw(st.integers(0, workers - ready)),
        queued=queued,
        running=draw(st.integers(0, ready)),
        oldest_wait=draw(st.floats(0, 100)) if queued else 0.0,
        target_wait=draw(st.floats(0.001, 10.0)),
        recent=draw(WINDOWS),
        usual=draw(WINDOWS),
        creation_time=draw(st.none() | st.floats(0, 1000)),
        peaks=tuple(zip(times, needs, strict=True)),
        useful=draw(st.none() | st.integers(1, 60)),
    )


@given(snapshots())
def test_within_the_bounds(snapshot: Snapshot) -> None:
    """For any numbers, target and need are never above the maximum or below the base."""
    decision = RatePolicy().decide(snapshot, 100.0)
    assert snapshot.worker_count <= decision.target <= snapshot.max_worker_count
    assert decision.need is not None
    assert snapshot.worker_count <= decision.need <= snapshot.max_worker_count


@given(snapshots())
@example(  # fewer workers than the usual load needs, and none of them has begun: nothing to drop
    Snapshot(
        worker_count=1,
        max_worker_count=2,
        workers=1,
        ready=0,
        starting=0,
        queued=0,
        running=0,
        oldest_wait=0.0,
        target_wait=1.0,
        recent=Window(0.0, 0.0, 0.0, 0.0),
        usual=Window(2.0, 1.0, 1.0, 0.0),
        creation_time=1.0,
        peaks=(),
        useful=None,
        useful_why="",
    )
)
def test_no_growth_without_waiting(snapshot: Snapshot) -> None:
    """For any numbers, the pool does not grow while nothing waits."""
    assert RatePolicy().decide(dataclasses.replace(snapshot, queued=0), 100.0).target <= snapshot.workers


@given(snapshots(), st.integers(1, 1000))
def test_more_backlog_never_means_fewer(snapshot: Snapshot, more: int) -> None:
    """For any numbers, a longer queue never gets fewer workers."""
    longer = dataclasses.replace(snapshot, queued=snapshot.queued + more)
    policy = RatePolicy()
    if snapshot.queued:
        assert policy.decide(longer, 100.0).target >= policy.decide(snapshot, 100.0).target


@given(snapshots())
def test_waits_too_long_never_shrinks(snapshot: Snapshot) -> None:
    """For any numbers, a pool whose tasks wait too long does not shrink, except to a limit."""
    policy = RatePolicy(trials=False)
    waiting = dataclasses.replace(snapshot, queued=10_000, usual=EMPTY, oldest_wait=2 * snapshot.target_wait)
    assert policy.decide(waiting, 100.0).target >= snapshot.workers
