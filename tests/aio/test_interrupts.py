"""Ctrl-C in the thread of the loop, forced where it is worst; after it the program stops its manager, or ends its loop."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tasker import AsyncTaskManager, Snooze
from tasker.aio import interrupts, lending
from tasker.aio.attempts import AttemptEnds
from tasker.aio.engine import AsyncEngine
from tasker.aio.interrupts import HeldInterrupts
from tasker.aio.loop_guard import LoopGuard
from tasker.aio.resource_keeper import KeptResources
from tasker.aio.resource_pool import AsyncResourcePool
from tasker.control import events as ev
from tasker.control.supervisor import Supervisor

from .tasks import quick

LIMIT = 20


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """SIGINT raises, as it does without a runner of asyncio, and a test that hangs is ended."""

    def too_late(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGINT, raising), signal.signal(signal.SIGALRM, too_late)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGINT, before[0])
    signal.signal(signal.SIGALRM, before[1])


def raising(*_: object) -> None:
    """As ``default_int_handler``, which a runner of asyncio would replace."""
    raise KeyboardInterrupt


def once(function: Callable[..., Any], *, when: Callable[..., bool] = lambda *_: True, after: bool = False) -> Any:
    """Has Ctrl-C strike in the first call of the function for which ``when`` is true."""
    struck: list[bool] = []

    def strikes(*args: Any, **options: Any) -> Any:
        strike = not struck and when(*args)
        if strike:
            struck.append(True)
        if strike and not after:
            signal.raise_signal(signal.SIGINT)
        value = function(*args, **options)
        if strike and after:
            signal.raise_signal(signal.SIGINT)
        return value

    return strikes


def interrupted(loop: asyncio.AbstractEventLoop, main: Any) -> bool:
    """Runs it. Returns whether Ctrl-C came out of that."""
    try:
        loop.run_until_complete(main)
    except KeyboardInterrupt:
        return True
    return False


def is_ready(_: object, event: ev.Event, *rest: object) -> bool:
    return isinstance(event, ev.WorkerReady)


@pytest.mark.parametrize(
    ("owner", "name", "when"),
    [
        pytest.param(Supervisor, "handle", is_ready, id="while the supervisor handles an event"),
        pytest.param(AsyncEngine, "start_worker", lambda *_: True, id="while an action is carried out"),
    ],
)
def test_an_event_is_handled_to_its_end(
    make: Any, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, when: Any
) -> None:
    """Ctrl-C is raised after it; the manager works as before, and can be stopped."""
    monkeypatch.setattr(owner, name, once(getattr(owner, name), when=when))
    loop = asyncio.new_event_loop()
    kept: list[AsyncTaskManager[Any]] = []

    async def main() -> Any:
        manager = make()
        kept.append(manager)
        return await (await manager).queue_task(quick)

    async def finish() -> Any:
        await asyncio.sleep(0)
        value = await kept[0].queue_task(quick)
        return value, await kept[0].stop()

    assert interrupted(loop, main())
    _, report = loop.run_until_complete(finish())
    assert not report.killed
    resources = kept[0].stats().resources
    assert (resources.created, resources.alive) == (1, 0)
    loop.close()


@pytest.mark.parametrize("error", [ValueError("not healthy"), Snooze(0)], ids=["unhealthy", "snoozed"])
def test_a_task_on_its_way_back_is_not_lost(make: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Its worker has it no more, and the supervisor not yet."""
    name = "_was_cancelled"
    monkeypatch.setattr(AttemptEnds, name, once(getattr(AttemptEnds, name)))
    loop = asyncio.new_event_loop()
    kept: list[Any] = []

    async def fails_once(ctx: Any, resource: object) -> str:
        if len(kept) == 2:
            kept.append(error)
            raise error
        return "done"

    async def main() -> Any:
        kept.append(await make(check_health=lambda _: False))
        kept.append(kept[0].submit(fails_once))
        return await kept[1]

    async def finish() -> Any:
        return await kept[1], await kept[0].stop()

    assert interrupted(loop, main())
    value, report = loop.run_until_complete(finish())
    assert value == "done"
    assert not report.killed
    loop.close()


def in_turns(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> bool:
    """Calls it in the loop, and lets that make another turn. Returns whether Ctrl-C came out of it."""

    async def main() -> None:
        call()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    return interrupted(loop, main())


def test_held_interrupts() -> None:
    """One is handed over in the next turn of the loop; a second one comes at once, as it must where code of the user's hangs."""
    loop = asyncio.new_event_loop()
    reached: list[str] = []

    def one() -> None:
        with HeldInterrupts(loop):
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")
        reached.append("what follows")

    def two() -> None:
        with HeldInterrupts(loop):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            reached.append("too late")

    assert in_turns(loop, one)
    assert reached == ["the end", "what follows"]
    assert signal.getsignal(signal.SIGINT) is raising
    assert in_turns(loop, two)
    assert "too late" not in reached
    assert signal.getsignal(signal.SIGINT) is raising
    loop.call_soon(loop.stop)
    with pytest.raises(KeyboardInterrupt):  # the first one
        loop.run_forever()
    loop.close()


def test_without_a_running_loop_it_is_raised_at_the_end() -> None:
    """There is no turn of the loop to come."""
    loop, reached = asyncio.new_event_loop(), False
    with pytest.raises(KeyboardInterrupt), HeldInterrupts(loop):
        signal.raise_signal(signal.SIGINT)
        reached = True
    assert reached
    loop.close()


def test_held_interrupts_may_be_nested() -> None:
    """As where an action of one manager reports to another one."""
    loop = asyncio.new_event_loop()
    reached: list[str] = []

    def nested() -> None:
        with HeldInterrupts(loop):
            with HeldInterrupts(loop):
                signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    assert in_turns(loop, nested)
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is raising
    loop.close()


def test_in_another_thread_nothing_is_held() -> None:
    """Python delivers signals to the main thread."""
    loop, during = asyncio.new_event_loop(), []

    def holds() -> None:
        with HeldInterrupts(loop):
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=holds)
    thread.start()
    thread.join()
    assert during == [raising]
    loop.close()


def test_a_handler_that_was_installed_meanwhile_stays() -> None:
    """A policy or a logger may install one."""
    loop = asyncio.new_event_loop()
    with HeldInterrupts(loop):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop.close()
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN], ids=str)
def test_without_a_handler_of_python_nothing_is_held(handler: Any) -> None:
    """The process is ended by the system, or the signal ignored."""
    signal.signal(signal.SIGINT, handler)
    loop = asyncio.new_event_loop()
    with HeldInterrupts(loop):
        assert signal.getsignal(signal.SIGINT) == handler
    loop.close()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(AsyncResourcePool, "_make", id="on its way to the caller"),
        pytest.param(KeptResources, "make", id="on its way to the pool"),
    ],
)
def test_a_loop_ends_all_resources_of_run_task(
    make: Any, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """Also one whose handle was lost on its way to the pool or to its caller."""
    lost: list[Any] = []
    function = getattr(owner, name)

    async def loses(*args: Any) -> Any:
        handle = await function(*args)
        if not lost:
            lost.append(handle)
            raise KeyboardInterrupt  # as Ctrl-C does that strikes when the call returns
        return handle

    destroyed: list[object] = []
    kept: list[AsyncTaskManager[Any]] = []

    async def main() -> None:
        kept.append(await make(on_destroy=destroyed.append, cancel_grace=0.1))
        monkeypatch.setattr(owner, name, loses)
        await kept[0].run_task(quick)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert len(lost) == 1
    resources = kept[0].stats().resources
    assert (resources.created, resources.alive) == (2, 0)
    assert len(destroyed) == 2


def test_a_start_that_is_struck_ends_what_it_has_made(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the engine has learned to look out for the end of its loop."""
    manager = make(resource_pool_size=2)

    def struck(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasker.aio.loop_guard.LoopGuard.start", struck)

    async def main() -> None:
        await manager

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert manager._engine is None or manager.stats().resources.alive == 0


def test_lending_puts_the_task_of_the_loop_back(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However early Ctrl-C strikes, the caller is the current task again."""
    swap, is_on = lending.swap_current_task, []

    def strikes(loop: Any, task: Any) -> object:
        value = swap(loop, task)
        if is_on:
            is_on.clear()
            signal.raise_signal(signal.SIGINT)
        return value

    monkeypatch.setattr(lending, "swap_current_task", strikes)
    current: list[bool] = []

    async def main() -> None:
        manager = await make(worker_count=2)
        await manager.queue_task(quick)
        is_on.append(True)
        try:
            await manager.queue_task(quick)
        finally:
            current.append(asyncio.current_task() is here[0])
            await manager.stop(timeout=5)

    loop = asyncio.new_event_loop()
    here = [loop.create_task(main())]
    assert interrupted(loop, here[0]), "the worker has not swallowed it"
    assert not is_on
    while not here[0].done():
        interrupted(loop, asyncio.wait(here))
    assert current == [True]
    loop.close()


def test_sigterm_is_held_back_as_well() -> None:
    """Its handler may be sys.exit, as in containers."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    loop, reached = asyncio.new_event_loop(), []

    def both() -> None:
        with HeldInterrupts(loop):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")
        reached.append("what follows")

    try:
        with pytest.raises(SystemExit):
            in_turns(loop, both)
        assert reached == ["the end", "what follows"]
        loop.call_soon(loop.stop)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        assert signal.getsignal(signal.SIGINT) is raising
    finally:
        signal.signal(signal.SIGTERM, before)
        loop.close()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_strikes_between_the_two(monkeypatch: pytest.MonkeyPatch, first: signal.Signals) -> None:
    """While handlers are put in or back: each handler is the former one after it, and what was noted is handed on."""
    seen: list[int] = []

    def handler(signum: int, frame: object) -> None:
        seen.append(signum)
        if signum == first:
            raise KeyboardInterrupt

    second = signal.SIGTERM if first == signal.SIGINT else signal.SIGINT
    former = signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)
    loop = asyncio.new_event_loop()
    try:
        real, armed = interrupts._signal.signal, [True]

        def install(signum: int, to: Any) -> Any:
            result = real(signum, to)
            if armed and to is handler and signum == first:
                armed.clear()
                signal.raise_signal(first)  # its own handler is back, that of the other one may not be
            return result

        monkeypatch.setattr(interrupts._signal, "signal", install)
        with pytest.raises(KeyboardInterrupt), HeldInterrupts(loop):
            signal.raise_signal(second)
        monkeypatch.undo()
        assert signal.getsignal(signal.SIGINT) is handler
        assert signal.getsignal(signal.SIGTERM) is handler
        assert sorted(seen) == sorted([first, second])
    finally:
        signal.signal(signal.SIGTERM, former)
        loop.close()


def test_the_handlers_of_a_loop_stay() -> None:
    """Those of ``add_signal_handler`` raise nothing, and have system calls go on, which a handler put in their place would end."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: None)
        before = signal.getsignal(signal.SIGTERM)
        with HeldInterrupts(loop):
            assert signal.getsignal(signal.SIGTERM) is before
        loop.remove_signal_handler(signal.SIGTERM)

    asyncio.run(main())


def test_a_guard_that_is_struck_in_a_run(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """``asyncio.run`` ends, and all is destroyed by then: the guard that follows is there before it collects its tasks."""
    made, destroyed = [], []

    def create() -> object:
        made.append(object())
        return made[-1]

    real, struck = LoopGuard._run, []

    async def run(guard: LoopGuard) -> None:
        if not struck:
            struck.append(True)
            raise KeyboardInterrupt
        await real(guard)

    monkeypatch.setattr(LoopGuard, "_run", run)

    async def main() -> None:
        async with make(on_create=create, on_destroy=destroyed.append):
            await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert destroyed == made
