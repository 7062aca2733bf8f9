"""The simulated pool: against values computed by hand, queueing theory, and the guarantees of the supervisor."""

from __future__ import annotations

import math
from array import array
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasker.control.scaling import Decision, Snapshot
from tasker.control.view import Plan
from tasker.simulation import arrivals, services
from tasker.simulation.creation import Creation
from tasker.simulation.outcome import Outcome, Sample, TimeSeries, WaitTimes
from tasker.simulation.pool import SimulatedPool
from tasker.simulation.workload import Tasks, Workload


def tasks_of(*pairs: tuple[float, float]) -> Tasks:
    return Tasks(array("d", [arrival for arrival, _ in pairs]), array("d", [service for _, service in pairs]))


def fixed(count: int) -> Plan:
    return Plan(worker_count=count, max_worker_count=count, scales=False)


def run(plan: Plan, tasks: Tasks, duration: float, **options: object) -> Outcome:
    return SimulatedPool(plan, tasks, duration, **options).run()  # type: ignore[arg-type]


def erlang_c(servers: int, offered: float) -> float:
    """Returns the probability that a task has to wait in M/M/c (A. K. Erlang, 1917)."""
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = offered * blocked / (server + offered * blocked)
    used = offered / servers
    return blocked / (1 - used + used * blocked)


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_one_worker_by_hand() -> None:
    """D/D/1 with a task of 1.5 s each second: each waits half a second longer than the one before."""
    outcome = run(fixed(1), tasks_of(*((float(n), 1.5) for n in range(4))), 4.0)
    assert list(outcome.waits) == [0.0, 0.5, 1.0, 1.5]
    assert outcome.finished == outcome.worker_seconds == 6.0


def test_two_workers_by_hand() -> None:
    """First come, first served: the third task gets the worker that is free first."""
    outcome = run(fixed(2), tasks_of((0, 3), (0, 1), (0, 1), (0.5, 1)), 1.0)
    assert list(outcome.waits) == [0.0, 0.0, 1.0, 1.5]
    assert outcome.worker_seconds == 6.0


def test_an_idle_pool_costs_its_base() -> None:
    """Without a task, the base costs the duration of the workload and the destruction of its resources; its creation is
    over before the workload begins."""
    outcome = run(fixed(3), tasks_of(), 10.0, creation=Creation(2.0, destroy_time=0.5))
    assert (outcome.worker_seconds, outcome.finished) == pytest.approx((31.5, 10.5))
    assert outcome.created == 3
    assert len(outcome.waits) == 0
    assert outcome.wait_times().percentile(0.99) == outcome.wait_times().mean == 0.0


class TwoUntilFive:
    """A policy with a second worker from the first tick after the beginning until 5 s."""

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        return Decision(2 if 0.05 < now < 4.95 else 1, "it is that time")


def test_a_burst_by_hand() -> None:
    """The burst worker starts its first task two seconds of creation after the tick that saw the backlog; it costs from
    that tick until it retires."""
    plan = Plan(1, 2, policy=TwoUntilFive())
    outcome = run(plan, tasks_of((0.0, 10.0), (0.05, 1.0)), 20.0, creation=Creation(2.0))
    assert list(outcome.waits) == pytest.approx([0.0, 2.05])
    assert outcome.created == outcome.peak_workers == 2
    assert outcome.worker_seconds == pytest.approx(20.0 + 4.9)


# -- queueing theory ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("servers", "used"), [(1, 0.7), (4, 0.8), (16, 0.9)])
def test_mm_c(servers: int, used: float) -> None:
    """A fixed pool with Poisson arrivals and exponential service times is M/M/c: the share of tasks that wait and the
    mean wait are those of Erlang's formula."""
    rate = servers * used / 0.05
    load = Workload(
        name="M/M/c", arrivals=arrivals.Poisson(rate), services=services.Exponential(0.05), duration=400_000 / rate
    )
    outcome = run(fixed(servers), load.draw(5), load.duration)
    waiting = erlang_c(servers, servers * used)
    waits = WaitTimes(outcome.waits)
    assert waits.share_beyond(0.0) == pytest.approx(waiting, rel=0.04)
    assert waits.mean == pytest.approx(waiting * 0.05 / (servers - servers * used), rel=0.07)
    assert outcome.worker_seconds == pytest.approx(servers * outcome.finished)


# -- what always holds -------------------------------------------------------------------------------------------------


loads = st.lists(st.tuples(st.floats(0, 20), st.floats(0, 3)), max_size=60).map(sorted)


@settings(max_examples=60, deadline=None)
@given(
    load=loads,
    base=st.integers(1, 4),
    more=st.integers(0, 6),
    time=st.sampled_from([0.0, 0.3, 2.0]),
    failing=st.sampled_from([0.0, 0.5]),
    destroy=st.sampled_from([0.0, 0.7]),
    seed=st.integers(0, 5),
)
@example(
    load=[(0.0, 1.0), (0.0, 2.3237917557616563), (1.0, 0.0), (1.05, 0.0)],  # the last two start at the same moment
    base=1,
    more=0,
    time=0.0,
    failing=0.0,
    destroy=0.0,
    seed=0,
)
def test_guarantees(
    load: list[tuple[float, float]], base: int, more: int, time: float, failing: float, destroy: float, seed: int
) -> None:
    """Each task is served exactly once and in order, no worker serves two at a time, the workers never exceed the
    maximum, and the worker-seconds cover the work."""
    tasks = tasks_of(*load)
    creation = Creation(time, failing, None, destroy)
    outcome = run(Plan(base, base + more, creation_backoff=0.01), tasks, 20.0, creation=creation, seed=seed)
    assert len(outcome.waits) == outcome.served + outcome.failed == len(load)
    waits = [
        (at, wait, service) for (at, service), wait in zip(load, outcome.waits, strict=True) if not math.isnan(wait)
    ]
    starts = [at + wait for at, wait, _ in waits]
    assert all(wait >= 0 for _, wait, _ in waits)
    # A start is computed from an arrival and a wait, so it is rounded.
    assert all(before <= after + 1e-9 for before, after in pairwise(starts))
    ends = [start + service for start, (_, _, service) in zip(starts, waits, strict=True)]
    for start in starts:
        assert sum(one <= start < end - 1e-9 for one, end in zip(starts, ends, strict=True)) <= base + more
    assert outcome.peak_workers <= base + more
    assert all(sample.alive <= base + more and sample.running <= sample.ready for sample in outcome.series)
    assert outcome.worker_seconds >= sum(service for *_, service in waits) - 1e-6
    assert outcome.finished >= max(ends, default=20.0) - 1e-9


@pytest.mark.parametrize("failing", [0.0, 0.4])
def test_deterministic(failing: float) -> None:
    """The same seed gives the same outcome to the last bit, including failures and backoff; another seed gives another
    outcome."""
    load = Workload(name="w", arrivals=arrivals.Poisson(80), services=services.Exponential(0.1), duration=30)

    def once(seed: int) -> Outcome:
        return run(Plan(2, 12), load.draw(seed), 30, creation=Creation(0.5, failing), seed=seed)

    assert once(1) == once(1)
    assert once(1).waits != once(2).waits


# -- creation that fails -----------------------------------------------------------------------------------------------


def test_an_outage() -> None:
    """During an outage the backlog waits, and creations are tried one at a time and less and less often; the pool grows
    as soon as the outage is over."""
    load = Workload(name="w", arrivals=arrivals.square(10, 200, 20), services=services.Constant(0.05), duration=40)
    plain = run(Plan(2, 16), load.draw(1), 40, creation=Creation(0.1))
    away = run(Plan(2, 16), load.draw(1), 40, creation=Creation(0.1, outage=(5.0, 18.0)))
    assert plain.creation_failures == 0
    assert 3 < away.creation_failures < 20
    assert away.served == plain.served
    assert away.wait_times().longest > 5 > plain.wait_times().longest
    assert max(sample.ready for sample in away.series if 11 < sample.time < 18) == 2
    assert any("could not be made" in line for _, line in away.log)
    assert any("can be made again" in line for _, line in away.log)


def test_a_sudden_load_of_long_tasks_after_many_short_ones() -> None:
    """After minutes of short tasks, a load of long ones has the maximum of workers at the second tick at the latest, as in
    a fresh pool."""
    short = [(number / 2000, 0.0005) for number in range(120_000)]
    long = [(60.0, 1.0)] * 200
    outcome = run(Plan(2, 16), tasks_of(*short, *long), 61.0)
    assert min(sample.time for sample in outcome.series if sample.ready == 16) < 60.25


def test_a_blip_of_parallel_creations() -> None:
    """A load that meets a blip of 0.3 s when it begins has the maximum of workers within two seconds after it."""
    load = Workload(name="w", arrivals=arrivals.spike(5, 400, 5, 10), services=services.Constant(0.04), duration=20)
    outcome = run(Plan(2, 16), load.draw(1), 20, creation=Creation(0.2, outage=(5.0, 5.4)))
    assert outcome.creation_failures > 3
    assert max(sample.ready for sample in outcome.series if sample.time < 7.5) == 16


def test_nothing_can_ever_be_made() -> None:
    """If no resource can be made, stopping gives up the tasks that wait, and the run ends."""
    outcome = run(Plan(2, 4), tasks_of((1, 1), (2, 1)), 5.0, creation=Creation(0.1, failing=1.0))
    assert (outcome.served, outcome.failed, outcome.peak_workers) == (0, 2, 2)
    assert all(map(math.isnan, outcome.waits))
    assert len(outcome.wait_times()) == 0


def test_ready_timeout() -> None:
    """With a creation timeout, only tasks that have waited that long are given up."""
    plan = Plan(1, 1, scales=False, ready_timeout=2.0)
    outcome = run(plan, tasks_of((0, 1), (1, 1), (31, 1)), 34.0, creation=Creation(0.1, outage=(-1.0, 6.5)))
    given_up = [math.isnan(wait) for wait in outcome.waits]
    assert given_up == [True, True, False]
    assert outcome.failed == 2


# -- measuring ---------------------------------------------------------------------------------------------------------


def test_a_series_stays_short_and_keeps_its_peaks() -> None:
    """However many samples are added, at most 2,000 are kept, and the maximum of each number is among them."""
    series = TimeSeries()
    for number in range(123_457):
        series.add(Sample(float(number), 7_000 if number == 54_321 else number % 10, 1, 2, 3))
    assert 1_000 <= len(series.samples) <= 2_000
    assert [sample.time for sample in series.samples] == sorted(sample.time for sample in series.samples)
    (peak,) = [sample.time for sample in series.samples if sample.queued == 7_000]
    assert 54_321 - 123 <= peak <= 54_321


def test_percentiles_are_exact() -> None:
    """A percentile is the smallest value with at least that share of the values at or below it."""
    waits = WaitTimes([float(number) for number in range(100, 0, -1)])
    assert [waits.percentile(share) for share in (0.0, 0.01, 0.07, 0.5, 0.99, 1.0)] == [1, 1, 7, 50, 99, 100]
    assert waits.share_beyond(90.0) == 0.1
    assert (waits.mean, waits.longest) == (50.5, 100.0)
