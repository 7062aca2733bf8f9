"""Tests TaskQueue: order, discarding, retiring, and taking all."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.core import tombstones
from tasker.options import Priority
from tasker.threads import queue as queues
from tasker.threads.future_log import Ending
from tasker.threads.queue import PARK, RETIRE, TaskQueue
from unit.futures import new
from unit.interrupts import Moments

HIGH, NORMAL, LOW = Priority


def filled(levels: list[int]) -> tuple[TaskQueue, list[Any]]:
    """Makes a queue with one task for each given level, in this order. Returns it and the tasks."""
    queue, tasks = TaskQueue(), [new() for _ in levels]
    for task, level in zip(tasks, levels, strict=True):
        queue.put(task, level)
    return queue, tasks


def drain(queue: TaskQueue) -> list[Any]:
    """Returns what workers get, token by token."""
    taken = []
    while not queue.tokens.empty():
        token = queue.tokens.get()
        taken.append(token if token is RETIRE else queue.take())
    return taken


@given(st.lists(st.sampled_from(list(Priority)), max_size=40))
def test_order(levels: list[int]) -> None:
    """Tasks are taken most urgent level first; first in, first out at the same level."""
    queue, tasks = filled(levels)
    pairs = sorted(enumerate(tasks), key=lambda pair: (levels[pair[0]], pair[0]))
    assert drain(queue) == [task for _, task in pairs]


def test_urgent_task_overtakes_with_an_old_token() -> None:
    """A token is not bound to the task that it was put for: the worker that takes it gets the most urgent task."""
    queue, (low, normal) = filled([LOW, NORMAL])
    queue.tokens.get()
    urgent = new()
    queue.put(urgent, HIGH)
    assert queue.take() is urgent
    assert drain(queue) == [normal, low]


def test_waiting() -> None:
    """waiting() returns the tasks in the order in which they will be taken, and takes none."""
    queue, (first, second, third) = filled([NORMAL, HIGH, NORMAL])
    assert queue.waiting() == [second, first, third]
    assert drain(queue) == [second, first, third]


def test_retire_stands_before_what_is_queued() -> None:
    """A worker without a task takes a Retire first, however many tasks wait; none of them is lost."""
    queue, (first,) = filled([LOW])
    queue.retire(2)
    later = new()
    queue.put(later, HIGH)
    queue.retire(1)
    assert drain(queue) == [RETIRE, RETIRE, RETIRE, later, first]


def test_orders_stand_before_what_is_queued() -> None:
    """Orders to park come after those to retire and before the tokens of tasks; those that were withdrawn stay, and the lot
    refuses the worker that finds one."""
    queue, _ = filled([NORMAL] * 3)
    queue.park(2)
    queue.retire(1)
    tokens = [queue.tokens.get_nowait() for _ in range(6)]
    assert tokens == [RETIRE, PARK, PARK, None, None, None]
    queue.park(1)
    assert queue.lot.enter("a", lambda: None)
    assert not queue.lot.enter("b", lambda: None)
    assert queue.tokens.empty()


def test_retire_while_workers_take() -> None:
    """retire() does not wait for tokens that workers take meanwhile."""
    queue, (first, second) = filled([NORMAL, NORMAL])
    size = queue.tokens.qsize

    class Tokens:
        """Reports one token more than there is, as if a worker had just taken it."""

        put, get, get_nowait = queue.tokens.put, queue.tokens.get, queue.tokens.get_nowait
        empty = queue.tokens.empty

        def qsize(self) -> int:
            """Returns one too many."""
            return size() + 1

    queue.tokens = Tokens()  # type: ignore[assignment]
    queue.retire(1)
    assert drain(queue) == [RETIRE, first, second]


def test_discard() -> None:
    """discard() removes the task together with one token."""
    queue, (first, second, third) = filled([NORMAL, LOW, NORMAL])
    queue.discard(second)
    assert drain(queue) == [first, third]


def test_discard_what_is_not_there() -> None:
    """Discarding a task that a worker has taken removes no other task."""
    queue, (first,) = filled([NORMAL])
    queue.discard(new())
    assert drain(queue) == [first]
    queue.discard(first)
    assert drain(queue) == []


def test_discard_keeps_retire() -> None:
    """Discarding never removes a Retire."""
    queue = TaskQueue()
    queue.retire(1)
    task = new()
    queue.put(task, NORMAL)
    for _ in range(2):
        rest = queue.discard(task)
        if rest is not None:
            rest()
    assert [token for token in drain(queue) if token is RETIRE] == [RETIRE]


@pytest.mark.parametrize("queued", [0, 2])
@pytest.mark.parametrize("retiring", [0, 1, 2])
def test_discard_that_is_interrupted(retiring: int, queued: int) -> None:
    """Wherever Ctrl-C strikes, no Retire is lost, and each task has its token."""
    functions = [TaskQueue.discard, TaskQueue.remove]
    queue, task = TaskQueue(), new()

    def discard() -> None:
        queue.put(task, NORMAL)
        for _ in range(queued):
            queue.put(new(), NORMAL)
        queue.retire(retiring)
        rest = moments.call(lambda: queue.discard(task))
        if rest is not None:
            rest()

    for number in range(200):
        queue, moments = TaskQueue(), Moments(number, functions)
        try:
            discard()
        except KeyboardInterrupt:
            pass
        tokens = [queue.tokens.get() for _ in range(queue.tokens.qsize())]
        assert tokens.count(RETIRE) == retiring, moments.struck
        assert tokens.count(None) >= len(queue.waiting()) >= queued, moments.struck
        if moments.struck is None:
            break
    assert number > 3


def test_discard_from_a_long_queue(monkeypatch: Any) -> None:
    """In a very long queue an ended task stays, and a sweep is due once half of the tasks have ended."""
    monkeypatch.setattr(tombstones, "LONG", 2)
    queue, tasks = filled([NORMAL] * 6)
    assert [queue.discard(task) for task in tasks[1:5]] == [None, None, queue.sweep, None]
    assert drain(queue) == tasks


@given(data=st.data(), levels=st.lists(st.sampled_from(list(Priority)), max_size=40))
def test_sweep(data: Any, levels: list[int]) -> None:
    """A sweep removes ended tasks with their tokens, except at the front of a level, and keeps the order of the
    others."""
    queue, tasks = filled(levels)
    front = {id(next(task for task, level in zip(tasks, levels, strict=True) if level == some)) for some in set(levels)}
    ended = {id(task) for task in tasks if data.draw(st.booleans())}
    before = queue.waiting()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queues, "_FRONT", 1)
        for task in tasks:
            if id(task) in ended:
                task._end(Ending(ValueError()))
        queue.retire(1)
        queue.sweep()
    assert queue.tokens.qsize() == len(queue.waiting()) + 1
    kept = [task for task in before if id(task) not in ended or id(task) in front]
    assert drain(queue) == [RETIRE, *kept]


def test_sweep_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """During a sweep a worker takes the oldest task, and what a submitter queues comes behind the others."""
    monkeypatch.setattr(queues, "_FRONT", 1)
    queue, tasks = filled([NORMAL] * 5)
    later, taken = new(), []

    class Beside(deque[Any]):
        """Lets a worker, which has its token, and a submitter in before the first task is taken from the end."""

        def pop(self) -> Any:  # type: ignore[override]
            """Takes the last task."""
            if not taken:
                taken.append(self.popleft())
                self.append(later)
                queue.tokens.put(None)
            return super().pop()

    level = Beside(tasks)
    queue.levels = (deque(), level, deque())
    assert queue.tokens.get() is None
    queue.sweep()
    assert taken == tasks[:1]
    assert drain(queue) == [*tasks[1:], later]


@pytest.mark.parametrize("taken", [False, True])
def test_sweep_beside_a_submitter_at_its_last_moment(taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is queued while older ones are for a moment only in the sweep comes behind these, unless a worker is so
    fast that it takes it at once."""
    monkeypatch.setattr(queues, "_FRONT", 1)
    queue, tasks = filled([NORMAL] * 5)
    later: list[Any] = []

    class Beside(deque[Any]):
        """Lets two submitters in before the tasks come back, and one afterwards."""

        def submit(self) -> None:
            later.append(new())
            later[-1].id = 100 + len(later)
            self.append(later[-1])
            queue.tokens.put(None)

        def extend(self, tasks: Any) -> None:
            """Adds tasks."""
            self.submit()
            self.submit()
            super().extend(tasks)
            self.submit()

        def remove(self, task: Any) -> None:
            """Removes a task, if it is there."""
            if taken and task is later[0]:
                super().remove(task)
            super().remove(task)

    for number, task in enumerate(tasks):
        task.id = number
    queue.levels = (deque(), Beside(tasks), deque())
    tasks[2]._end(Ending(ValueError()))
    queue.sweep()
    left = drain(queue)
    assert left == [
        tasks[0],
        tasks[1],
        tasks[3],
        tasks[4],
        *(later[1:] if taken else later),
        *([None] if taken else []),
    ]


def test_sweep_beside_a_worker_that_has_yet_to_take_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds the oldest task afterwards, and each of the others has its token."""
    monkeypatch.setattr(queues, "_FRONT", 0)
    queue, (first, second) = filled([NORMAL, NORMAL])
    queue.tokens.get()
    queue.sweep()
    assert queue.take() is first  # the worker with the token
    assert drain(queue) == [second]


def test_sweep_beside_a_submitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is queued whenever the sweep looks at the tokens keeps its own token."""
    monkeypatch.setattr(queues, "_FRONT", 1)
    queue, tasks = filled([NORMAL] * 4)
    tasks[2]._end(Ending(ValueError()))
    real, later = queue.tokens, []

    class Tokens:
        """Lets a submitter in before the number of tokens is read, each time."""

        put, get, get_nowait, empty = real.put, real.get, real.get_nowait, real.empty

        def qsize(self) -> int:
            """Returns the number of tokens, when one more task has been queued."""
            later.append(new())
            queue.put(later[-1], NORMAL)
            return real.qsize()

    queue.tokens = Tokens()  # type: ignore[assignment]
    queue.sweep()
    queue.tokens = real
    assert later
    assert drain(queue) == [tasks[0], tasks[1], tasks[3], *later]


class Restless(deque[Any]):
    """A level that other threads change whenever it is copied, so many times."""

    left = 0

    def __iter__(self) -> Any:
        """Raises as a deque does that was changed."""
        if self.left:
            self.left -= 1
            raise RuntimeError("deque mutated during iteration")
        return super().__iter__()


@pytest.mark.parametrize("times", [3, 10**6])
def test_levels_that_are_changed_meanwhile(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the GIL a copy fails if another thread changes the level: it is tried again, and done without at last."""
    monkeypatch.setattr(queues, "_FRONT", 0)
    queue, tasks = filled([NORMAL] * 3)
    level = Restless(tasks)
    queue.levels = (deque(), level, deque())
    queue._tombstones.add(3)
    level.left = times
    assert queue.waiting() == tasks
    level.left = times
    assert queue.count(NORMAL) == 3
    level.left = times
    queue.sweep()
    level.left = 0
    assert drain(queue) == tasks


def test_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """count() leaves out the tasks that have ended and stay in the queue."""
    monkeypatch.setattr(tombstones, "LONG", 2)
    queue, tasks = filled([HIGH] * 4)
    assert queue.count(HIGH) == 4
    tasks[1]._end(Ending(ValueError()))
    queue.discard(tasks[1])
    assert queue.count(HIGH) == 3


def test_discard_does_not_compare() -> None:
    """discard() finds tasks by identity."""
    queue, (first, second) = filled([NORMAL, NORMAL])
    queue.discard(second)
    assert queue.waiting() == [first]


def test_take_many() -> None:
    """take_many() removes all tasks, most urgent first, and leaves the Retire tokens
    for the workers."""
    queue, (first, second) = filled([NORMAL, NORMAL])
    queue.retire(1)
    urgent = new()
    queue.put(urgent, HIGH)
    queue.retire(1)
    assert queue.take_many(9) == [urgent, first, second]
    assert queue.waiting() == []
    assert drain(queue) == [RETIRE, RETIRE]
    assert queue.take_many(9) == []


def test_take_many_takes_no_more() -> None:
    """take_many() leaves the rest with its tokens, in order."""
    queue, futures = filled([NORMAL] * 5)
    assert queue.take_many(2) == futures[:2]
    assert queue.tokens.qsize() == 3
    assert queue.take_many(9) == futures[2:]


def test_take_many_leaves_what_a_worker_has_a_token_for() -> None:
    """A worker that has taken a token still finds a task after take_many()."""
    queue, (first, second) = filled([NORMAL, NORMAL])
    queue.tokens.get()
    taken = queue.take_many(9)
    assert taken == [first]
    assert queue.take() is second


@given(st.lists(st.sampled_from(["high", "low", "take", "discard", "retire"]), max_size=60))
def test_a_token_for_each_task(steps: list[str]) -> None:
    """After any steps there are exactly as many task tokens as tasks, and no Retire is lost."""
    queue, retiring = TaskQueue(), 0
    for step in steps:
        if step in ("high", "low"):
            queue.put(new(), HIGH if step == "high" else LOW)
        elif step == "retire":
            queue.retire(1)
            retiring += 1
        elif step == "discard" and queue.waiting():
            if (rest := queue.discard(queue.waiting()[-1])) is not None:
                rest()
        elif step == "take" and not queue.tokens.empty():
            if queue.tokens.get() is RETIRE:
                retiring -= 1
            else:
                queue.take()
    waiting = queue.waiting()
    left = drain(queue)
    assert left.count(RETIRE) == retiring
    assert [task for task in left if task is not RETIRE] == waiting
