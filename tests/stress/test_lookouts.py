"""Many workers that wait for tokens, some struck by exceptions or out of time: each token is taken, and nobody sleeps beside one."""

from __future__ import annotations

import ctypes
import os
import queue
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator

import pytest

from support.waiting import Call
from tasker.threads.lookouts import TokensWithLookouts

pytestmark = pytest.mark.stress
TOKENS = int(os.environ.get("TASKER_STRESS", "40000"))
WORKERS = 60
END = object()
"""A token: ends the worker that takes it."""


class Struck(Exception):
    """Comes from outside, at any moment."""


class Worker:
    """A thread that takes tokens, as a worker of a pool does."""

    def __init__(self, tokens: TokensWithLookouts, seed: int) -> None:
        self.taken: list[object] = []
        self.lost = 0
        self.timeouts = 0
        self.ended = False
        self.armed = False
        """Whether it may be struck: no second time before it has seen to the first one."""
        self._tokens = tokens
        self._rng = random.Random(seed)

    def run(self) -> None:
        """Takes tokens until one is ``END``."""
        while not self.ended:
            try:
                self.armed = True
                while not self.ended:
                    self._take()
            except Struck:
                # As a worker that is lost does. A token too many does no harm.
                self.lost += 1
                self._tokens.put(None)
                self._tokens.mend()

    def _take(self) -> None:
        try:
            # By a step of an iterator: what is taken is in the books, or was lost before ``get`` returned it.
            for token in map(self._tokens.get, (True,), (self._rng.choice((None, None, 0.0005)),)):
                self.taken.append(token)
                self.ended = token is END
        except queue.Empty:
            self.timeouts += 1
        if not self._rng.randrange(20):
            time.sleep(0)  # as a task during which others run


@pytest.fixture(autouse=True)
def hasty() -> Iterator[None]:
    """Threads switch all the time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def strike(workers: list[Worker], calls: list[Call], over: threading.Event) -> None:
    """Raises in a worker now and then."""
    rng = random.Random(7)
    while not over.wait(0.001):
        worker, call = rng.choice([*zip(workers, calls, strict=True)])
        if worker.armed:
            worker.armed = False
            ident = ctypes.c_ulong(call._thread.ident or 0)
            assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Struck)) == 1


@pytest.mark.parametrize("struck", [False, True])
def test_each_token_is_taken(struck: bool) -> None:
    """By one worker, as long as none is struck; by at most one, if some are, and then all others go on, too."""
    tokens, over = TokensWithLookouts(), threading.Event()
    workers = [Worker(tokens, seed) for seed in range(WORKERS)]
    calls = [Call(worker.run) for worker in workers]
    striker = Call(strike, workers, calls, over) if struck else None
    rng, numbers = random.Random(1), deque(range(TOKENS))
    while numbers:
        for _ in range(min(rng.choice((1, 2, 5, 100)), len(numbers))):
            tokens.put(numbers.popleft())
        # All of them, each time: a token for which nobody was woken would be taken with the next ones otherwise.
        deadline = time.monotonic() + 60
        while not tokens.empty():
            assert time.monotonic() < deadline, "a token that nobody takes"
            time.sleep(0)
    over.set()
    if striker is not None:
        striker.outcome()
    for _ in range(2 * WORKERS):  # a worker that is struck may lose its own
        tokens.put(END)
    for call in calls:
        call.outcome(60)
    taken = sorted(token for worker in workers for token in worker.taken if isinstance(token, int))
    lost = sum(worker.lost for worker in workers)
    assert len(set(taken)) == len(taken)
    assert TOKENS - lost <= len(taken) <= TOKENS
    assert bool(lost) == struck
    assert sum(worker.timeouts for worker in workers)
    assert not tokens._lookouts
    assert not tokens._reserve
