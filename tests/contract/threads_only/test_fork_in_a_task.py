"""os.fork in user code that a manager calls: in the child, nothing of the parent's queue, resources or callbacks is used."""

from __future__ import annotations

import os
from typing import Any

import pytest

from support.scripts import run_script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

HEAD = """
import os, signal, sys, threading, warnings
import tasker
warnings.simplefilter("ignore", DeprecationWarning)
parent, children = os.getpid(), []
def say(*words):
    who = "parent" if os.getpid() == parent else "child"
    os.write(1, (" ".join(map(str, (who, *words))) + "\\n").encode())  # one line in one piece
def fork():
    pid = os.fork()
    if pid:
        children.append(pid)
    else:
        signal.alarm(20)  # a child that hangs is ended, and shows in its status
    return pid
def make(**more):
    options = dict(on_create=object, on_destroy=lambda resource: say("destroyed"), worker_count=1, max_worker_count=1,
                   resource_pool_size=0, max_queue_size=10)
    return tasker.TaskManager(tasker.Config(**{**options, **more}))
def says(ctx, resource, word):
    say(word)
def wait():
    for pid in children:
        print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def lines(source: str, *flags: str) -> list[str]:
    """Run a script to its end, and return what it and its children printed, sorted: there are two processes."""
    done = run_script(HEAD + source, *flags)
    assert done.returncode == 0, done.stderr
    return sorted(done.stdout.splitlines())


@pytest.mark.parametrize("setup", ["", "variable.set(1)"], ids=["plain", "with a context variable"])
def test_the_child_starts_no_queued_task(setup: str) -> None:
    """The task returns in both processes; its outcome, its callback and the queue, `once` tasks too, are the parent's alone.
    The child ends with its thread."""
    assert lines(f"""
import contextvars
variable = contextvars.ContextVar("variable")
queued = threading.Event()
def forks(ctx, resource):
    {setup or "pass"}
    queued.wait(20)
    fork()
    say("returns")
    return "value"
m = make()
first = m.submit(forks, callback=lambda value, error: say("callback", value))
others = [m.submit(says, "runs", once=True), m.submit(says, "runs", priority=tasker.Priority.LOW)]
queued.set()
first.result(20)
[other.result(20) for other in others]
wait()
m.stop()
""") == [
        "child returns",
        "parent callback value",
        "parent destroyed",
        "parent returns",
        "parent runs",
        "parent runs",
        "status 0",
    ]


@pytest.mark.parametrize("error", ["SystemExit(3)", "LookupError('in the child')"])
def test_a_task_that_raises_in_the_child(error: str) -> None:
    """Ends the child's thread as any thread, whatever check_health says; the parent's task has its own outcome."""
    done = run_script(f"""{HEAD}
def forks(ctx, resource):
    if not fork():
        raise {error}
    return "value"
m = make(check_health=lambda error: say("check_health"))
say(m.submit(forks).result(20))
wait()
m.stop()
""")
    assert sorted(done.stdout.splitlines()) == ["parent destroyed", "parent value", "status 0"], done.stderr
    assert ("LookupError: in the child" in done.stderr) is ("LookupError" in error)


def test_what_a_task_finds_in_the_child() -> None:
    """No workers; submitting is refused, also through a view; cancelling works on a bounded queue; a wait raises; stop, kill and
    the view's shutdown return."""
    assert lines("""
queued = threading.Event()
def forks(ctx, resource):
    queued.wait(20)
    if fork():
        return
    stats = m.stats()
    say("workers", stats.active_workers, stats.starting_workers, stats.base_workers, stats.burst_workers)
    for submit in (m.submit, view.submit):
        try:
            submit(print)
        except tasker.ShutdownError as error:
            say("refused", "fork" in str(error))
    say("cancelled", others[0].cancel())
    try:
        others[1].result()
    except tasker.DeadlockError as error:
        say("would wait", "fork" in str(error))
    say("ended", m.stop().killed, m.kill().killed, view.shutdown())
m = make()
view = m.as_executor()
first = m.submit(forks)
others = [m.submit(says, "runs"), view.submit(say, "runs")]
queued.set()
first.result(20)
view.shutdown()
wait()
m.stop()
""") == sorted(
        [
            "child workers 0 0 0 0",
            "child refused True",
            "child refused True",
            "child cancelled True",
            "child would wait True",
            "child ended False False None",
            "parent runs",
            "parent runs",
            "parent destroyed",
            "status 0",
        ]
    )


LOCKS = {
    "the slots of the queue": "m._engine.queue_slots._lock",
    "the waits": "m._engine.waits._lock",
    "a view": "view._lock",
}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_that_another_thread_held(lock: str) -> None:
    """Views, cancellations and waits in the child do not wait for it."""
    assert lines(f"""
gate, held, done = threading.Event(), threading.Event(), threading.Event()
m = make()
view = m.as_executor()
m.submit(lambda ctx, resource: gate.wait(30))
queued = m.submit(says, "runs")
def hold():
    with {LOCKS[lock]}:
        held.set()
        done.wait(30)
holder = threading.Thread(target=hold)
holder.start()
held.wait(20)
if not fork():
    try:
        view.submit(print)
    except tasker.ShutdownError:
        say("refused")
    say("cancelled", queued.cancel(), view.shutdown(cancel_futures=True))
    os._exit(0)
wait()
done.set()
gate.set()
holder.join()
m.stop()
""") == ["child cancelled True None", "child refused", "parent destroyed", "parent runs", "status 0"]


def test_fork_in_run_task() -> None:
    """A temporary resource, and one whose task fails unhealthily, are destroyed by the parent alone; both callers go on."""
    found = lines("""
def forks(ctx, resource):
    fork()
    raise OSError
m = make(resource_pool_size=1, check_health=lambda error: False)
try:
    m.run_task(lambda ctx, resource: m.run_task(forks))  # the inner one has a temporary resource
except tasker.ShutdownError:
    say("refused")
except OSError:
    say("raised")
if os.getpid() != parent:
    os._exit(0)
wait()
m.stop()
""")
    assert found.count("child raised") == found.count("parent raised") == 1
    assert "child destroyed" not in found
    assert found[-1] == "status 0"


HOOKS: dict[str, Any] = {
    "on_create": "on_create=lambda: fork() and None",
    "on_destroy": "on_destroy=lambda resource: fork() and None",
    "check_health": "check_health=lambda error: fork() and True",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_fork_in_a_hook_of_a_worker(hook: str) -> None:
    """The child ends; it runs nothing and destroys nothing."""
    found = lines(f"""
def fails(ctx, resource):
    raise OSError
m = make({HOOKS[hook]})
m.submit(fails).exception(20)
m.submit(says, "runs").result(20)
m.stop()
wait()
""")
    assert "child destroyed" not in found
    assert "child runs" not in found
    assert found.count("parent runs") == 1
    assert found[-1] == "status 0"


def test_fork_in_a_callback() -> None:
    """The child of a callback starts no queued task."""
    assert lines("""
queued = threading.Event()
m = make()
m.submit(lambda ctx, resource: queued.wait(20), callback=lambda value, error: fork())
other = m.submit(says, "runs")
queued.set()
other.result(20)
wait()
m.stop()
""") == ["parent destroyed", "parent runs", "status 0"]


@pytest.mark.parametrize("call", ["m.submit(forks).result(20)", "m.run_task(forks)"])
def test_a_fork_while_the_limit_of_its_task_passes(call: str) -> None:
    """The supervisor, which holds the lock of the task in that moment, does not exist in the child: that ends all the same."""
    assert (
        lines(f"""
from tasker.core.limited_task import LimitedTask
held, forked = threading.Event(), threading.Event()
timed_out = LimitedTask.timed_out
def hold(self):
    if threading.current_thread().name.endswith("supervisor") and not held.is_set():
        with self._lock:
            held.set()
            forked.wait(20)
    return timed_out(self)
LimitedTask.timed_out = hold
def forks(ctx, resource):
    held.wait(20)
    if not fork():
        return "child"
    forked.set()
    wait()
m = make(resource_pool_size=1, cancel_grace=20, task_timeout=0.05)
try:
    {call}
except tasker.TaskTimeout:
    pass
if os.getpid() != parent:
    os._exit(0)
m.stop()
""")[-1]
        == "status 0"
    )
