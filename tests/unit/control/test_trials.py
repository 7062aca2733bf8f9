"""Trials: whether more workers help, from the throughput of different numbers of workers, on virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasker.control.events import Load
from tasker.control.trials import (
    MAX_AGE,
    MIN_COMPLETIONS,
    MIN_COMPLETIONS_EACH,
    PAUSE_INITIAL,
    PAUSE_MAX,
    PROBE_EVERY,
    Measurement,
    Trials,
    compared,
)

INTERVAL = 0.1


class World:
    """Workers whose throughput is a function of their number, with a queue that is never empty. Their number follows
    the limit that the trials find."""

    def __init__(
        self, throughput: Callable[[int], float], ready: int, *, least: int = 1, creation: float = 0.0
    ) -> None:
        self.throughput = throughput
        self.wanted = self.ready = ready
        self.least = least
        self.creation = creation
        self.trials = Trials(0.0)
        self.now = 0.0
        self.ended = 0.0
        self.queued = 1_000_000
        self.sizes: list[int] = []

    def run(self, seconds: float) -> World:
        """Lets time pass, tick by tick."""
        for _ in range(round(seconds / INTERVAL)):
            self.now += INTERVAL
            self.ended += self.throughput(self.ready) * INTERVAL
            load = Load(self.queued, self.ready, 0, int(self.ended))
            self.trials.sample(self.now, load, self.ready, self.least, self.creation)
            useful = self.trials.useful
            self.ready = max(self.least, self.wanted if useful is None else min(self.wanted, useful))
            self.sizes.append(self.ready)
        return self

    def grow(self, wanted: int) -> World:
        """Sets the number of wanted workers, which are ready at once."""
        self.wanted = self.ready = wanted
        return self


def flat(ready: int) -> float:
    """One worker reaches the maximum throughput."""
    return 200.0


def scaling(ready: int) -> float:
    """Throughput is proportional to the number of workers."""
    return 20.0 * ready


def up_to_four(ready: int) -> float:
    """Throughput is that of a database that serves four at a time."""
    return 50.0 * min(4, ready)


def test_more_do_not_help() -> None:
    """A pool that grew from 2 to 4 workers without completing more tasks goes back to 2."""
    world = World(flat, 2).run(2.0)
    assert world.trials.useful is None
    world.grow(4).run(3.0)
    assert world.trials.useful == 2
    assert world.trials.why == "more workers do not help: 4 completed 200.0/s, 2 had done 200.0/s"


def test_more_help() -> None:
    """A pool whose throughput grows with its workers keeps them, over minutes."""
    world = World(scaling, 2).run(2.0).grow(16).run(20.0)
    assert world.trials.useful is None
    assert set(world.sizes[30:]) == {16}


def test_far_apart_the_middle_is_tried() -> None:
    """After 1 and 16 workers completed the same, 4 are tried, and then 2, because 4 do not help either."""
    world = World(flat, 1).run(3.0).grow(16).run(10.0)
    assert world.trials.useful == 1
    assert [size for size in (16, 4, 2, 1) if size in world.sizes] == [16, 4, 2, 1]


def test_the_middle_can_be_right() -> None:
    """If four workers reach the maximum throughput, four remain, after eight were tried."""
    world = World(up_to_four, 1).run(3.0).grow(16).run(20.0)
    assert world.trials.useful is None, "16 do more than 1"
    world = World(up_to_four, 4).run(3.0).grow(16).run(25.0)
    assert 8 in world.sizes
    assert world.trials.useful == 4


def test_tried_again_after_a_pause_that_doubles() -> None:
    """A limit ends by itself; if more workers do not help again, the next limit holds twice as long."""
    world = World(flat, 2).run(2.0).grow(4).run(3.0)
    lengths = []
    for _ in range(6):
        since = world.now
        while world.trials.useful is not None:
            world.run(INTERVAL)
        lengths.append(world.now - since)
        while world.trials.useful is None:
            world.run(INTERVAL)
        assert world.trials.useful == 2
    assert lengths[0] == pytest.approx(PAUSE_INITIAL, abs=3)
    assert lengths[1] == pytest.approx(2 * PAUSE_INITIAL, abs=3)
    assert lengths[-1] == pytest.approx(PAUSE_MAX, abs=3)


def test_a_pause_is_short_again_once_more_have_helped() -> None:
    """Once more workers help, the pause is as short as at first."""
    world = World(flat, 2).run(2.0).grow(4).run(3.0)
    world.throughput = scaling
    world.run(PAUSE_INITIAL + 10.0)
    assert world.trials.useful is None
    assert world.ready == 4
    world.run(60.0)
    assert world.trials._pause == PAUSE_INITIAL


def test_a_mistake_is_noticed() -> None:
    """If the tasks became longer just when the pool grew, more workers seem not to help. A new measurement of fewer
    workers shows the mistake, and the old one is dropped."""
    world = World(lambda ready: 100.0 * ready, 2).run(2.0)
    world.throughput = lambda ready: 10.0 * ready
    world.grow(8).run(3.0)
    assert 4 in world.sizes, "it stepped back"
    world.run(40.0)
    assert world.trials.useful is None
    assert set(world.sizes[-300:]) == {8}


def test_fewer_are_tried_where_nothing_is_known_of_fewer() -> None:
    """In a pool that had all its workers from the start, half as many are tried; they complete the same, and remain."""
    world = World(flat, 8).run(2.9)
    assert world.trials.useful is None
    world.run(1.0)
    assert world.trials.useful == 4
    assert world.trials.why == "8 workers complete 200.0/s, and it is tried whether fewer do"
    world.run(10.0)
    assert world.trials.useful == 4
    assert world.trials.why == "more workers do not help: 8 completed 200.0/s, 4 had done 200.0/s"


def test_fewer_that_do_less_are_soon_over() -> None:
    """If half as many workers complete half as much, all return as soon as that is certain, and for a minute fewer are
    not tried again."""
    world = World(scaling, 8).run(10.0)
    tried = world.sizes.count(4)
    assert 0 < tried <= 15
    assert world.trials.useful is None
    world.run(PROBE_EVERY - 10)
    assert world.sizes.count(4) == tried
    world.run(2 * MAX_AGE)
    assert world.sizes.count(4) > tried


def test_a_trial_without_a_result_ends() -> None:
    """A trial of fewer workers ends after 20 s if they complete too little to be measured."""
    world = World(flat, 8)
    while world.trials.useful is None:
        world.run(INTERVAL)
    world.throughput = lambda ready: 0.1
    world.run(19.0)
    assert world.trials.useful == 4
    world.run(2.0)
    assert world.trials.useful is None


@pytest.mark.parametrize(
    "world",
    [
        World(flat, 8, least=8),
        World(flat, 8, creation=10.0),
        World(lambda ready: 1.0, 8),
    ],
    ids=["no fewer are allowed", "resources are dear", "too few completions to tell"],
)
def test_fewer_are_not_tried(world: World) -> None:
    """Fewer workers are not tried below the base, more often than every hundred creation times, or without a
    measurement."""
    world.run(20.0)
    assert world.trials.useful is None


def test_no_trial_while_anything_starts() -> None:
    """Fewer workers are not tried while another one starts or has to retire; they are as soon as the pool is
    complete."""
    trials = Trials(0.0)
    for tick in range(1, 200):
        trials.sample(tick / 10, Load(1_000_000, 8, 0, 20 * tick), 8, 1, 0.0, settled=tick > 150)
        assert trials.useful is None or tick > 150
    assert trials.useful == 4


def closed_loop(clients: int, throughput: Callable[[int], float], sizes: dict[int, float], *, least: int = 1) -> Trials:
    """The trials of a pool that `clients` use that each wait for their answer; `sizes`: seconds with so many workers, as
    long as no limit says otherwise."""
    trials, now, ended = Trials(0.0), 0.0, 0.0
    trials.sample(0.01, Load(0, 1, 0, 0), 1, least, 0.0, service=1 / throughput(1))  # when nothing waits
    for size, seconds in sizes.items():
        for _ in range(round(seconds / INTERVAL)):
            now += INTERVAL
            ready = size if trials.useful is None else max(least, min(size, trials.useful))
            busy = min(clients, ready)
            ended += throughput(ready) * INTERVAL
            service = busy / throughput(ready)
            trials.sample(now, Load(clients - busy, busy, 0, int(ended)), ready, least, 0.0, service=service)
    return trials


def thrashing(ready: int) -> float:
    """A database that does best with four connections."""
    return 100.0 * min(ready, 4) if ready <= 4 else 400.0 - 7.0 * (ready - 4)


def test_a_short_backlog_that_never_ends() -> None:
    """Clients that each wait for their answer leave a queue that is shorter than what is completed between two ticks. It
    is seen at each tick all the same, so that more workers that do not help are found out."""
    trials = closed_loop(50, thrashing, {4: 2.0, 32: 12.0})
    assert trials.useful is not None
    assert 4 <= trials.useful <= 8


def test_a_short_backlog_without_a_measurement_of_fewer() -> None:
    """If tasks take several times as long as when nothing waited, fewer workers are tried, down to half more than the
    throughput keeps busy; the backlog need not be long."""
    trials = closed_loop(50, thrashing, {32: 3.2})
    assert trials.useful == 4, "204 are completed a second, and each takes 10 ms if nothing else runs"
    assert "it is tried whether fewer do" in trials.why
    fine = closed_loop(50, lambda ready: 10.0 * ready, {32: 20.0})
    assert fine.useful is None, "each takes 100 ms with any number of workers"


def test_a_trial_that_found_nothing_forgets_the_shortest_time() -> None:
    """Tasks that became longer for good look like a crowd only once: the trial of fewer ends, and the time with it."""
    trials = closed_loop(50, thrashing, {32: 3.2})
    assert trials.useful == 4
    ended = trials._last.load.ended
    for tick in range(33, 235):
        trials.sample(tick / 10, Load(46, 4, 0, ended + tick // 20), 4, 1, 0.0)
    assert trials.useful is None
    assert trials._uncontended is None


def test_more_are_tried_again_in_steps() -> None:
    """When a limit ends, twice as many workers are tried, and not all at once; if those do not help, the limit is back."""
    world = World(lambda ready: 400.0, 2).run(2.0).grow(32).run(12.0)
    assert world.trials.useful == 2
    world.sizes.clear()
    world.run(PAUSE_INITIAL + 5.0)
    assert max(world.sizes) == 4
    assert world.trials.useful == 2


def test_more_that_help_by_now_come_step_by_step() -> None:
    """If twice as many workers do help by now, twice as many again are tried, until there is no limit."""
    world = World(lambda ready: 400.0, 2).run(2.0).grow(32).run(12.0)
    world.throughput = lambda ready: 200.0 * ready
    world.sizes.clear()
    world.run(PAUSE_INITIAL + 30.0)
    assert [size for size in (2, 4, 8, 16, 32) if size in world.sizes] == [2, 4, 8, 16, 32]
    assert world.trials.useful is None


def test_a_step_without_a_verdict_ends() -> None:
    """If a step completes too little to be judged, the next one follows after 20 s."""
    world = World(lambda ready: 400.0, 2).run(2.0).grow(32).run(12.0)
    while world.trials.useful == 2:
        world.run(INTERVAL)
    assert world.trials.useful == 4
    world.throughput = lambda ready: 0.2
    world.sizes.clear()
    world.run(70.0)
    assert [size for size in (4, 8, 16, 32) if size in world.sizes] == [4, 8, 16, 32]
    assert world.trials.useful is None


def test_a_backlog_that_is_nearly_done() -> None:
    """If the queue will be empty soon, fewer workers are not tried."""
    world = World(flat, 8)
    world.queued = 100
    world.run(20.0)
    assert world.trials.useful is None


def test_an_empty_queue_proves_nothing_about_more() -> None:
    """Eight workers that complete no more than two did, because no more tasks arrived, are not limited."""
    trials = Trials(0.0)
    for tick in range(1, 100):
        ready = 2 if tick < 30 else 8
        trials.sample(tick / 10, Load(0, ready, 0, 10 * tick), ready, 1, 0.0)
    assert trials.useful is None


def test_a_queue_that_was_never_full_proves_something_about_fewer() -> None:
    """If two workers completed as much without a backlog as eight with one, two are enough."""
    trials = Trials(0.0)
    for tick in range(1, 100):
        ready, queued = (2, 0) if tick < 30 else (8, 1000)
        trials.sample(tick / 10, Load(queued, ready, 0, 20 * tick), ready, 1, 0.0)
    assert trials.useful == 4


def test_a_lower_bound_that_says_nothing_does_not_stop_a_trial() -> None:
    """A lower bound from one worker that mostly waited for tasks does not prevent a trial of eight instead of
    sixteen."""
    trials = Trials(0.0)
    trials.sample(1.0, Load(2965, 1, 0, 34), 1, 1, 0.0)
    for tick in range(11, 45):
        trials.sample(tick / 10, Load(2000, 16, 0, 34 * (tick - 9)), 16, 1, 0.0)
    assert trials._known[1].rate == 34
    assert trials.useful == 8


def test_idle_times_are_left_out() -> None:
    """Throughput is the completions divided by the time in which there were tasks."""
    trials = Trials(0.0)
    for tick in range(1, 50):
        trials.sample(tick / 10, Load(0, 0, 0, 0), 2, 1, 0.0)
    for tick in range(50, 53):
        trials.sample(tick / 10, Load(0, 1, 0, 20 * (tick - 49)), 2, 1, 0.0)
    assert trials._known[2].rate == pytest.approx(200.0)


def test_growing_within_the_first_tick() -> None:
    """What one worker completed within the first tick, before the others were ready, is measured, too."""
    trials = Trials(0.0)
    trials.sample(0.1, Load(1000, 1, 0, 30), 1, 1, 0.0)
    for tick in range(2, 20):
        trials.sample(tick / 10, Load(1000, 16, 0, 30 * tick), 16, 1, 0.0)
    assert trials.useful == 4


def test_forgetting() -> None:
    """forget() drops the limit and the measurements."""
    world = World(flat, 2).run(2.0).grow(4).run(3.0)
    world.trials.forget()
    assert world.trials.useful is None
    world.run(0.1)
    assert set(world.trials._known) <= {2, 4}


def test_old_measurements_are_forgotten() -> None:
    """A measurement is forgotten after a minute."""
    world = World(flat, 2).run(2.0)
    assert world.trials._known
    world.trials.sample(world.now + MAX_AGE, Load(0, 0, 0, int(world.ended)), 2, 1, 0.0)
    assert not world.trials._known


@pytest.mark.parametrize(
    ("fewer", "more", "verdict"),
    [
        (Measurement(2, 100.0, 1000, 0.0), Measurement(4, 100.0, 1000, 0.0), -1),
        (Measurement(2, 100.0, 1000, 0.0), Measurement(4, 200.0, 1000, 0.0), 1),
        (Measurement(2, 100.0, 1000, 0.0), Measurement(4, 125.0, 1000, 0.0), 0),
        (Measurement(2, 100.0, 16, 0.0), Measurement(4, 100.0, 16, 0.0), 0),
        (Measurement(1, 100.0, 16, 0.0), Measurement(16, 100.0, 48, 0.0), -1),
        (Measurement(2, 100.0, 1000, 0.0), Measurement(4, 100.0, 1000, 0.0, exact=False), 0),
        (Measurement(2, 100.0, 1000, 0.0, exact=False), Measurement(4, 100.0, 1000, 0.0), -1),
        (Measurement(2, 100.0, 1000, 0.0, exact=False), Measurement(4, 200.0, 1000, 0.0), 0),
        (Measurement(15, 510.0, 51, 0.0, exact=False), Measurement(17, 322.0, 300, 0.0), 0),
        (Measurement(2, 100.0, 1000, 0.0), Measurement(4, 200.0, 1000, 0.0, exact=False), 1),
    ],
)
def test_compared(fewer: Measurement, more: Measurement, verdict: int) -> None:
    """Only a difference beyond the errors of both measurements counts; a lower bound counts in one direction only."""
    assert compared(fewer, more) == verdict


def test_a_measurement_takes_some_completions() -> None:
    """A measurement takes three completions for each worker and at least ten: the first tasks to end after a change
    were started before it."""
    assert (MIN_COMPLETIONS, MIN_COMPLETIONS_EACH) == (10, 3)
    world = World(lambda ready: 80.0, 8)
    world.run(0.3)
    assert not world.trials._known
    world.run(0.2)
    assert world.trials._known[8].exact
