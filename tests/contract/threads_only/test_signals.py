"""stop_on_signals(): the first signal stops, the second kills."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import threading
from typing import Any

import pytest

from support.scripts import command, run_script
from support.waiting import Call, eventually, wait_until

HEAD = """
import os, signal, sys, threading, time
import tasker
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # one line in one piece
def until(predicate):
    deadline = time.monotonic() + 20
    while not predicate():
        if time.monotonic() > deadline:
            say("gave up")
            sys.exit(9)
        time.sleep(0.005)
m = tasker.TaskManager(tasker.Config(
    on_create=object, on_destroy=lambda r: say("destroyed"), worker_count=1, max_worker_count=1,
    resource_pool_size=0))
"""

ONCE = (
    HEAD
    + """
def first(ctx, resource):
    say("ready")
    until(lambda: m.closed)
    return ctx.cancelled
with m.stop_on_signals():
    futures = [m.submit(first)] + [m.submit(lambda ctx, resource: ctx.cancelled) for _ in range(3)]
    say("results", [future.result(20) for future in futures])
    report = m.stop()
    say("killed", report.killed)
"""
)

TWICE = (
    HEAD
    + """
def obey(ctx, resource):
    say("ready")
    ctx.wait(60)
    ctx.raise_if_cancelled()
with m.stop_on_signals():
    futures = [m.submit(obey), m.submit(lambda ctx, resource: None)]
    until(lambda: m.closed)
    say("closed")
    for future in futures:
        try:
            future.result(20)
        except tasker.TaskKilled:
            say("TaskKilled")
    say("killed", m.stop().killed)
"""
)

ELSEWHERE = (
    HEAD
    + """
def first(ctx, resource):
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    until(lambda: m.closed)
    return "closed"
with m.stop_on_signals():
    say(m.submit(first).result(30))
"""
)


class Script:
    """A running script whose lines are awaited and which is sent signals."""

    def __init__(self, source: str) -> None:
        self.process = subprocess.Popen(command(source), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def line(self, expected: str) -> None:
        """Read one line and compare it."""
        assert self.process.stdout is not None
        got = Call(self.process.stdout.readline).outcome(30).strip()
        assert got == expected, self.process.poll()

    def rest(self) -> str:
        """Return what it prints until its end, which must be successful."""
        out, err = self.process.communicate(timeout=40)
        assert self.process.returncode == 0, err
        return out


def run(source: str) -> Script:
    """Start a script."""
    return Script(source)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_the_first_signal_stops_gracefully(signum: signal.Signals) -> None:
    """After one signal everything accepted runs with live contexts; the main thread goes on."""
    script = run(ONCE)
    try:
        script.line("ready")
        script.process.send_signal(signum)
        out = script.rest()
    finally:
        script.process.kill()
    assert "results [False, False, False, False]" in out
    assert "killed False" in out
    assert out.count("destroyed") == 1


def test_a_signal_that_does_not_wake_the_main_thread() -> None:
    """It takes effect at once, though another thread got it and the main thread goes on waiting for a lock."""
    script = run(ELSEWHERE)
    try:
        assert "closed" in script.rest()
    finally:
        script.process.kill()


def test_the_second_signal_kills() -> None:
    """A second signal cancels what runs and ends what is queued with TaskKilled."""
    script = run(TWICE)
    try:
        script.line("ready")
        script.process.send_signal(signal.SIGTERM)
        script.line("closed")
        script.process.send_signal(signal.SIGTERM)
        out = script.rest()
    finally:
        script.process.kill()
    assert out.count("TaskKilled") == 2
    assert "killed True" in out


def test_handlers_are_restored(threads: Any) -> None:
    """Leaving the context manager puts back the handlers that were there."""
    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    with threads.build() as m:
        with m.stop_on_signals():
            during = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
        after = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    assert after == before
    assert all(new is not old for new, old in zip(during, before, strict=True))


def test_only_the_named_signals_are_taken(threads: Any) -> None:
    """stop_on_signals(SIGUSR1) touches SIGUSR1 alone."""
    before = signal.getsignal(signal.SIGTERM)
    usr1 = signal.getsignal(signal.SIGUSR1)
    with threads.build() as m, m.stop_on_signals(signal.SIGUSR1):
        assert signal.getsignal(signal.SIGTERM) is before
        signal.raise_signal(signal.SIGUSR1)
        assert m.stop().killed is False
    assert signal.getsignal(signal.SIGUSR1) == usr1


def test_off_the_main_thread_it_is_a_value_error(threads: Any) -> None:
    """stop_on_signals in another thread raises ValueError."""

    def enter(m: Any) -> None:
        assert threading.current_thread() is not threading.main_thread()
        with m.stop_on_signals():
            pass

    with threads.build() as m, pytest.raises(ValueError, match="main thread"):
        Call(enter, m).outcome()


def test_the_library_installs_no_handler_by_itself(threads: Any) -> None:
    """Making and using a manager leaves signal handlers alone."""
    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    with threads.build() as m:
        m.queue_task(lambda ctx, resource: None)
        assert [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)] == before


def usr1(m: Any) -> None:
    """Send a signal, and wait until it has taken effect."""
    signal.raise_signal(signal.SIGUSR1)
    wait_until(lambda: m.closed)


@pytest.mark.parametrize("removed", [True, False])
def test_an_event_loop_that_has_signal_handlers_of_its_own(threads: Any, removed: bool) -> None:
    """While it has one, and after it has removed the last: the first signal stops, the second kills, and the loop's own come."""
    loop, gate, got = asyncio.new_event_loop(), threads.gate(), []
    before = signal.getsignal(signal.SIGUSR2)
    try:
        with threads.build() as m, m.stop_on_signals(signal.SIGUSR1) as received:
            running = m.submit(threads.kit.until_cancelled(gate))
            gate.wait_arrivals(1)
            loop.add_signal_handler(signal.SIGUSR2, got.append, "loop")
            if removed:
                loop.remove_signal_handler(signal.SIGUSR2)
            usr1(m)
            assert not running.done()
            assert received.signals == [signal.SIGUSR1]
            signal.raise_signal(signal.SIGUSR1)
            wait_until(running.done)
            if not removed:
                signal.raise_signal(signal.SIGUSR2)
                loop.run_until_complete(eventually(lambda: got, 20))
            assert Call(m.stop).outcome(20).killed is True
            assert received.signals == [signal.SIGUSR1] * 2
    finally:
        loop.close()
        signal.signal(signal.SIGUSR2, before)


def test_two_managers_that_stop_on_different_signals(threads: Any) -> None:
    """Each gets its own signal once, whichever block is the inner one."""
    with threads.build() as m, threads.build() as other:
        with m.stop_on_signals(signal.SIGUSR1) as outer, other.stop_on_signals(signal.SIGUSR2) as inner:
            usr1(m)
            signal.raise_signal(signal.SIGUSR2)
            wait_until(lambda: other.closed)
        assert (outer.signals, inner.signals) == ([signal.SIGUSR1], [signal.SIGUSR2])


FORKED = """
import asyncio, os, signal, sys, time, warnings
import tasker
warnings.simplefilter("ignore", DeprecationWarning)
def child():
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        while True:
            time.sleep(1)
    os.kill(pid, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def threads():
    with tasker.TaskManager(config) as m, m.stop_on_signals() as received:
        print("child", child())
        print(m.queue_task(lambda ctx, resource: "works"), m.closed, received.signals)
async def loop():
    async with tasker.AsyncTaskManager(config) as m:
        with m.stop_on_signals() as received:
            print("child", child())
            await asyncio.sleep(0.1)  # whatever the child has sent would be there
            print(await m.queue_task(lambda ctx, resource: "works"), m.closed, received.signals)
config = tasker.Config(on_create=object, worker_count=1, resource_pool_size=0)
"""


@pytest.mark.parametrize("engine", ["threads()", "asyncio.run(loop())"])
def test_a_signal_to_a_forked_child(engine: str) -> None:
    """Ends the child, as it would without the manager, and does not stop the parent's manager."""
    done = run_script(FORKED + engine)
    assert done.stdout.splitlines() == ["child -15", "works False []"], done.stderr
