"""Tests the pure parts of the process backend: how much is sent ahead, when resources are recycled, and how an idle
worker is notified that its process has died."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("cloudpickle")
pytest.importorskip("psutil")

from support.waiting import Call, wait_until
from tasker import Config, ProcessBackend
from tasker.process.parent.session import ending
from tasker.remote.prefetch import BYTES, OVERHEAD, TARGET, Prefetch
from tasker.remote.recycling import RecycleLimits
from tasker.remote.targeted_wakeup import Called, TargetedWakeup
from tasker.threads.queue import CHECK_SESSION, RETIRE, TaskQueue


def measured(seconds: float) -> Prefetch:
    """Returns a Prefetch that has measured tasks of that length."""
    ahead = Prefetch(allowed=True)
    ahead.took(seconds)
    return ahead


def test_one_at_a_time_before_anything_is_known() -> None:
    """Sends one task at a time while the length of tasks is unknown: it could be long."""
    assert Prefetch(allowed=True).in_hand(queued=1000, workers=2) == 1


def test_never_where_it_is_not_allowed() -> None:
    """Sends nothing ahead with `pipeline=False`."""
    ahead = Prefetch(allowed=False)
    ahead.took(1e-6)
    assert ahead.in_hand(queued=1000, workers=2) == 1


@pytest.mark.parametrize(
    ("seconds", "tasks"), [(0.0, 1000), (1e-6, 750), (TARGET / 10 - OVERHEAD, 10), (TARGET, 1), (1.0, 1)]
)
def test_a_batch_is_short_in_time(seconds: float, tasks: int) -> None:
    """Sends as many tasks ahead as take the target time, with what the way there and back costs."""
    assert measured(seconds).in_hand(queued=10_000, workers=2) == tasks


def test_a_fair_share() -> None:
    """A child does not get tasks that another one could begin at once."""
    assert measured(1e-6).in_hand(queued=7, workers=3) == 2
    assert measured(1e-6).in_hand(queued=2, workers=3) == 1


def test_large_tasks_are_not_piled_up() -> None:
    """The number of bytes that are sent ahead is bounded."""
    ahead = measured(1e-6)
    ahead.weighed(BYTES / 4)
    assert ahead.in_hand(queued=1000, workers=1) == 4


def test_a_slow_task_is_noticed_at_once() -> None:
    """A task that takes ten times as long as expected changes the estimate at once."""
    ahead = measured(1e-5)
    ahead.took(1.0)
    assert ahead.in_hand(queued=1000, workers=1) == 1
    ahead = measured(1e-5)
    ahead.slow()
    assert ahead.in_hand(queued=1000, workers=1) == 1


def test_wear() -> None:
    """A resource is recycled after a number of tasks, or above an amount of memory."""
    recycle_limits = RecycleLimits(ProcessBackend(max_tasks=2))
    assert recycle_limits.remaining(9) == 2
    recycle_limits.served = 1
    assert (recycle_limits.remaining(9), recycle_limits.reached()) == (1, False)
    recycle_limits.served = 2
    assert recycle_limits.reached()
    large = RecycleLimits(ProcessBackend(max_rss=1))
    assert not large.reached()
    large.large = True
    assert large.reached()
    unfit = RecycleLimits(ProcessBackend())
    unfit.unfit = True
    assert unfit.reached()


def test_wear_by_either_configuration() -> None:
    """Of the limits of the backend and of the manager, the first that is reached counts."""
    config = Config(on_create=object, worker_count=1, max_tasks_per_resource=3)
    assert RecycleLimits(ProcessBackend(max_tasks=2), config).remaining(9) == 2
    assert RecycleLimits(ProcessBackend(max_tasks=5), config).remaining(9) == 3
    assert RecycleLimits(ProcessBackend(), config).remaining(9) == 3
    aged = Config(on_create=object, worker_count=1, max_resource_lifetime=1e-9)
    assert RecycleLimits(ProcessBackend(max_age=1e9), aged).reached()


@pytest.mark.parametrize(
    ("status", "words"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "signal SIGKILL"), (-250, "signal 250")]
)
def test_ending_in_words(status: int, words: str) -> None:
    """The exit of a process is described in words."""
    assert ending(status) == words


class Member:
    """Stands for a host whose session can die."""

    def __init__(self) -> None:
        self.dead = threading.Event()

    def called(self) -> bool:
        return self.dead.is_set()


def waiting(wakeup: TargetedWakeup, *members: Member) -> list[Call]:
    """Has each member wait for a token in a thread of its own."""
    calls = [Call(wakeup.next_token, member) for member in members]
    wait_until(lambda: len(wakeup._waiting) == len(members))
    return calls


def test_the_dead_one_is_found_among_the_living() -> None:
    """Whichever worker takes the wakeup, the worker that it is for gets it; the others go on waiting, and get the next
    tokens."""
    queue = TaskQueue()
    wakeup = TargetedWakeup(queue.tokens, CHECK_SESSION)
    members = [Member() for _ in range(5)]
    calls = waiting(wakeup, *members)
    for dead in (3, 1):
        members[dead].dead.set()
        wakeup.wake(members[dead])
        with pytest.raises(Called):
            calls[dead].outcome(10)
    queue.tokens.put(None)
    for _ in range(2):
        queue.tokens.put(RETIRE)
    assert sorted(map(str, [calls[alive].outcome(10) for alive in (0, 2, 4)])) == sorted(
        map(str, [None, RETIRE, RETIRE])
    )


def test_one_that_does_not_wait_is_not_woken() -> None:
    """A worker whose session is dead notices it before it waits."""
    queue = TaskQueue()
    wakeup = TargetedWakeup(queue.tokens, CHECK_SESSION)
    member = Member()
    member.dead.set()
    wakeup.wake(member)
    assert queue.tokens.empty()
    with pytest.raises(Called):
        wakeup.next_token(member)


def test_a_token_in_dead_hands_goes_back() -> None:
    """A token that a worker with a dead session takes goes back, so that its task is not lost."""
    queue = TaskQueue()
    wakeup = TargetedWakeup(queue.tokens, CHECK_SESSION)
    member = Member()
    (call,) = waiting(wakeup, member)
    member.dead.set()
    queue.tokens.put(None)
    with pytest.raises(Called):
        call.outcome(10)
    assert queue.tokens.get_nowait() is None


def test_retiring_leaves_a_wakeup_where_it_is() -> None:
    """retire() rearranges the tokens without losing a wakeup."""
    queue = TaskQueue()
    queue.tokens.put(CHECK_SESSION)
    queue.retire(1)
    assert [queue.tokens.get_nowait() for _ in range(2)] == [CHECK_SESSION, RETIRE]
