"""The queue of tokens in which a few idle workers wait and the others are in reserve, with and without the GIL."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from support.waiting import WAIT, Call, wait_until
from tasker import Config, TaskManager
from tasker.threads import lookouts
from tasker.threads.lookouts import LEAST, MANY, MOST, TokensWithLookouts, tokens_for
from tasker.threads.queue import TaskQueue
from unit.interrupts import each_moment


@pytest.fixture
def tokens() -> TokensWithLookouts:
    """A queue of tokens that nobody waits for."""
    return TokensWithLookouts()


def asleep(tokens: TokensWithLookouts, count: int) -> list[Call]:
    """Has so many threads wait for one token each, and returns them when all do."""
    calls = [Call(tokens.get) for _ in range(count)]
    wait_until(lambda: len(tokens._lookouts) + len(tokens._reserve) == count)
    return calls


def wait_for_lookouts(tokens: TokensWithLookouts, count: int) -> None:
    """Returns when there are so many."""
    wait_until(lambda: len(tokens._lookouts) == count)


def sound(tokens: TokensWithLookouts, bells: list[Any]) -> bool:
    """Whether each of the bells is in reserve or has rung, and at least one has if there are any."""
    rung = [bell for bell in bells if bell not in tokens._reserve]
    return not any(bell.locked() for bell in rung) and bool(rung or not bells)


def new_bell() -> Any:
    """The bell of a worker that waits."""
    bell = threading.Lock()
    bell.acquire()
    return bell


class Late(TokensWithLookouts):
    """A token comes just after the first look for one."""

    def get_nowait(self) -> object:
        """See ``SimpleQueue``."""
        self.put("late")
        raise queue.Empty


# -- as a SimpleQueue --------------------------------------------------------------------------------------------------


def test_tokens_are_taken_in_the_order_in_which_they_were_put(tokens: TokensWithLookouts) -> None:
    """By each way to take one."""
    for number in range(4):
        tokens.put(number)
    assert tokens.qsize() == 4
    assert [tokens.get(), tokens.get_nowait(), tokens.get(False), tokens.get(True, 1.0)] == [0, 1, 2, 3]
    assert tokens.empty()


def test_nothing_there(tokens: TokensWithLookouts) -> None:
    """get raises Empty at once or when the time is up, and leaves nobody behind."""
    for block, timeout in [(False, None), (True, 0.0), (True, 0.01)]:
        with pytest.raises(queue.Empty):
            tokens.get(block, timeout)
    assert not tokens._lookouts


def test_a_negative_timeout(tokens: TokensWithLookouts) -> None:
    """It raises as that of SimpleQueue does, and says what it was; without blocking, none is looked at."""
    tokens.put(1)
    with pytest.raises(ValueError, match=r"non-negative number, got -1"):
        tokens.get(True, -1)
    assert tokens.get(False, -1) == 1


@pytest.mark.parametrize(("gil", "workers", "kind"), [
    (True, 1000, queue.SimpleQueue),
    (False, MANY - 1, queue.SimpleQueue),
    (False, MANY, TokensWithLookouts),
])  # fmt: skip
def test_who_gets_a_reserve(gil: bool, workers: int, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many workers without the GIL; all others wait in a plain SimpleQueue."""
    monkeypatch.setattr(lookouts, "_gil", lambda: gil)
    assert type(tokens_for(workers)) is kind
    assert type(TaskQueue(workers).tokens) is kind


# -- lookouts and reserve ----------------------------------------------------------------------------------------------


def test_few_are_lookouts(tokens: TokensWithLookouts) -> None:
    """Of workers that come one after the other, so many wait in the queue, and the others are in reserve."""
    calls: list[Call] = []
    for number in range(1, 3 * MOST):
        calls.append(Call(tokens.get))
        wait_until(lambda: len(tokens._lookouts) + len(tokens._reserve) == len(calls))
        assert len(tokens._lookouts) == min(number, MOST)
    for _ in calls:
        tokens.put("token")
    assert [call.outcome() for call in calls] == ["token"] * len(calls)
    assert not tokens._lookouts
    assert not tokens._reserve


@pytest.mark.parametrize(("token", "which"), [(None, -1), ("order", 0)])
def test_when_a_worker_is_called(tokens: TokensWithLookouts, token: object, which: int) -> None:
    """Not while there are enough lookouts, so a token wakes one worker. When few are left, the one that came last is called; by
    one that has taken an order, the one that has waited longest. It becomes a lookout."""
    calls = asleep(tokens, MOST + 3)
    others = [*tokens._reserve]
    called = others[which]
    for left in reversed(range(LEAST, MOST)):
        tokens.put(token)
        wait_for_lookouts(tokens, left)
    assert [*tokens._reserve] == others
    tokens.put(token)
    wait_until(lambda: called in tokens._lookouts)
    others.remove(called)
    assert [*tokens._reserve] == others
    assert len(tokens._lookouts) == LEAST
    for _ in range(LEAST + len(others)):
        tokens.put(token)
    assert [call.outcome() for call in calls] == [token] * len(calls)


def test_all_tokens_are_taken_while_those_that_took_one_are_busy(tokens: TokensWithLookouts) -> None:
    """Each worker calls the next one before it runs its task, so as many run at once as there are tokens."""
    all_run = threading.Barrier(41)

    def serve() -> None:
        tokens.get()
        all_run.wait(WAIT)

    calls = [Call(serve) for _ in range(40)]
    wait_until(lambda: len(tokens._lookouts) + len(tokens._reserve) == 40)
    for _ in calls:
        tokens.put(None)
    all_run.wait(WAIT)
    for call in calls:
        call.outcome()


def test_time_is_up_in_reserve(tokens: TokensWithLookouts) -> None:
    """Then the worker is out of it, and a lookout still has its place."""
    calls = asleep(tokens, MOST)
    with pytest.raises(queue.Empty):
        tokens.get(True, 0.01)
    assert not tokens._reserve
    assert len(tokens._lookouts) == MOST
    for _ in calls:
        tokens.put("token")
    assert [call.outcome() for call in calls] == ["token"] * MOST


# -- forced races ------------------------------------------------------------------------------------------------------


class Leaving(set[Any]):
    """The lookouts: all leave as soon as their number was asked for."""

    def __len__(self) -> int:
        count = super().__len__()
        self.clear()
        return count


def test_the_last_lookouts_leave_while_a_worker_goes_into_reserve() -> None:
    """They found nobody to call. So the worker looks once more, and calls itself."""
    tokens = Late()
    tokens._lookouts = Leaving(new_bell() for _ in range(MOST))
    assert Call(tokens.get).outcome() == "late"
    assert not tokens._reserve


class CalledLate(deque[Any]):
    """The reserve: the last lookouts leave and call a worker just before it leaves because its time is up."""

    lookouts: set[Any]

    def remove(self, bell: Any) -> None:
        """See ``deque``."""
        self.lookouts.clear()
        super().remove(bell)
        bell.release()
        super().remove(bell)


def test_a_call_comes_when_the_time_is_up(tokens: TokensWithLookouts) -> None:
    """The worker passes it on."""
    other, reserve = new_bell(), CalledLate()
    tokens._lookouts.update(new_bell() for _ in range(MOST))
    reserve.append(other)
    reserve.lookouts, tokens._reserve = tokens._lookouts, reserve
    with pytest.raises(queue.Empty):
        tokens.get(True, 0.01)
    assert not other.locked()
    assert not tokens._reserve


# -- interrupts --------------------------------------------------------------------------------------------------------

STEPS = (TokensWithLookouts.get, TokensWithLookouts._wait_in_reserve, TokensWithLookouts._call_if_few)


def as_lookout(tokens: Any) -> None:
    """The next ``get`` waits in the queue."""


def in_reserve(tokens: Any) -> None:
    """The next ``get`` goes into reserve, and is called at once."""
    tokens._lookouts = Leaving(new_bell() for _ in range(MOST))


@pytest.mark.parametrize(("prepare", "others"), [(as_lookout, 0), (as_lookout, 2), (in_reserve, 0), (in_reserve, 2)])
def test_an_interrupt_leaves_nothing_behind(prepare: Callable[[Any], None], others: int) -> None:
    """Wherever it strikes ``get``: the worker is neither a lookout nor in reserve, nobody sleeps uncalled whom no call can reach,
    and after ``mend`` somebody looks out for the next token."""
    made: list[tuple[TokensWithLookouts, list[Any]]] = []

    def get() -> object:
        tokens, bells = Late(), [new_bell() for _ in range(others)]
        made.append((tokens, bells))
        prepare(tokens)
        tokens._reserve += bells
        return tokens.get()

    struck = []
    for where, value, error in each_moment(get, *STEPS):
        tokens, bells = made[-1]
        assert (value == "late") == (where is None), where
        assert where is None or isinstance(error, KeyboardInterrupt), where
        tokens._lookouts = set(tokens._lookouts)
        if where is not None and where.startswith("TokensWithLookouts.get") and len(tokens._lookouts) == MOST:
            tokens._lookouts.clear()  # it struck before the first look at them, so they are all there
        assert not tokens._lookouts, where
        assert set(tokens._reserve) <= set(bells), where
        tokens.mend()
        assert sound(tokens, bells), where
        struck.append(where)
    assert len(struck) > 5, "as many moments as the interpreter asks for signals in"


@pytest.mark.parametrize("others", [0, MOST])
def test_an_interrupt_when_the_time_is_up(others: int) -> None:
    """The same for a ``get`` that takes nothing, as a lookout or in reserve."""
    made: list[tuple[TokensWithLookouts, set[Any]]] = []

    def get() -> object:
        tokens, bells = TokensWithLookouts(), {new_bell() for _ in range(others)}
        made.append((tokens, bells))
        tokens._lookouts |= bells
        return tokens.get(True, 0.001)

    for where, _, error in each_moment(get, *STEPS):
        tokens, bells = made[-1]
        assert isinstance(error, KeyboardInterrupt if where else queue.Empty), where
        assert not tokens._reserve, where
        assert tokens._lookouts == bells, where


@pytest.mark.parametrize("prepare", [as_lookout, in_reserve])
def test_put_in_a_signal_handler_that_strikes_get(prepare: Callable[[Any], None]) -> None:
    """Wherever it strikes, ``get`` returns, and each token is there or was taken."""
    made: list[TokensWithLookouts] = []

    def get() -> object:
        made.append(Late())
        prepare(made[-1])
        return made[-1].get()

    for where, value, error in each_moment(get, *STEPS, reenter=lambda: made[-1].put("reentered")):
        assert error is None, where
        rest = []
        while not made[-1].empty():
            rest.append(queue.SimpleQueue.get_nowait(made[-1]))
        assert sorted([value, *rest]) == (["late", "reentered"] if where else ["late"]), where


def test_a_token_in_place_of_a_lost_one_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What replaces it also has a worker called if the exception has struck the last lookout before it called one."""
    monkeypatch.setattr(lookouts, "_gil", lambda: False)
    tasks, bell = TaskQueue(MANY), new_bell()
    tokens: Any = tasks.tokens
    tokens._reserve.append(bell)
    tasks.replace_token()
    assert not bell.locked()
    assert tokens.qsize() == 1


# -- in a pool ---------------------------------------------------------------------------------------------------------


def waits(ctx: Any, resource: object, all_run: threading.Barrier) -> int:
    """A task that ends when all run."""
    return all_run.wait(WAIT)


def test_a_pool_with_a_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its workers run tasks at the same time, again and again, and all end."""
    monkeypatch.setattr(lookouts, "_gil", lambda: False)
    with TaskManager(Config(on_create=object, worker_count=MANY)) as manager:
        tokens: Any = manager._engine.queue.tokens
        assert isinstance(tokens, TokensWithLookouts)
        for _ in range(3):
            wait_until(lambda: len(tokens._lookouts) + len(tokens._reserve) == MANY)
            all_run = threading.Barrier(MANY)
            futures = [manager.submit(waits, all_run) for _ in range(MANY)]
            assert sorted(future.result(WAIT) for future in futures) == list(range(MANY))
        manager.refresh().result(WAIT)  # each worker is called by a token that all others pass on
    assert not tokens._lookouts
    assert not tokens._reserve
