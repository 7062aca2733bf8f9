"""stop() and kill() in user code that runs in a thread which they would wait for raise DeadlockError."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.scripts import run_script
from support.waiting import Call, wait_until
from tasker import DeadlockError

ENDS = pytest.mark.parametrize("end", ["stop", "kill"])


class Ends:
    """Calls stop() or kill() and keeps what that raises."""

    def __init__(self, end: str) -> None:
        self.end = end
        self.manager: Any = None
        self.errors: list[BaseException] = []
        self.called = 0

    def __call__(self, *args: Any) -> bool:
        self.called += 1
        if self.manager is not None:
            try:
                getattr(self.manager, self.end)()
            except DeadlockError as error:
                self.errors.append(error)
        return False


@ENDS
def test_in_a_callback_of_on_cancel(threads: Any, end: str) -> None:
    """During a kill, and the kill goes on."""
    ends, gate = Ends(end), threads.gate()

    def task(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(ends)
        gate.arrive()
        ctx.wait()

    with threads.build() as m:
        ends.manager = m
        m.submit(task)
        gate.wait_arrivals(1)
        assert Call(m.kill, 10).outcome(20).abandoned == ()
        wait_until(lambda: ends.called == 1)
        assert "a callback of Context.on_cancel" in str(ends.errors[0])


@ENDS
def test_in_the_thread_that_refills_the_pool(threads: Any, end: str) -> None:
    """on_create gets the error; the manager works on, and its pool is full again."""
    ends = Ends(end)

    def create() -> object:
        if "refill" in threading.current_thread().name:
            ends()
        return object()

    def harms(ctx: Any, resource: Any) -> None:
        raise OSError

    with threads.build(on_create=create, resource_pool_size=1, check_health=lambda error: False) as m:
        ends.manager = m
        with pytest.raises(OSError):
            m.run_task(harms)
        wait_until(lambda: m.stats().available_resources == 1)
        assert "on_create for the pool of run_task" in str(ends.errors[0])
        assert m.run_task(lambda ctx, resource: "works") == "works"
        assert Call(m.stop).outcome(20).killed is False


HOOKS: dict[str, Callable[[Ends], dict[str, Any]]] = {
    "on_destroy of a temporary resource": lambda ends: {"on_destroy": ends},
    "check_health": lambda ends: {"check_health": ends},
}


@ENDS
@pytest.mark.parametrize("hook", HOOKS)
def test_in_a_hook_of_run_task(threads: Any, hook: str, end: str) -> None:
    """The call of run_task ends all the same."""
    ends = Ends(end)

    def harms(ctx: Any, resource: Any) -> None:
        raise OSError

    with threads.build(on_create=object, **HOOKS[hook](ends)) as m:
        ends.manager = m
        with pytest.raises(OSError):
            Call(m.run_task, harms).outcome(20)
        assert "a task in run_task" in str(ends.errors[0])
        ends.manager = None
        assert Call(m.stop).outcome(20).killed is False


@pytest.mark.parametrize("end", ["m.kill(0.2)", "m.stop(0.2)"])
def test_the_interpreter_exits_after_a_pool_was_abandoned(end: str) -> None:
    """Though on_destroy of its idle resource never returns."""
    done = run_script(f"""
import threading
import tasker
main = threading.current_thread()
m = tasker.TaskManager(tasker.Config(
    on_create=threading.current_thread, on_destroy=lambda made_in: made_in is main and threading.Event().wait(),
    worker_count=1, resource_pool_size=2))
print({end}.abandoned)
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "('the pool of run_task (in on_destroy)',)\n"
