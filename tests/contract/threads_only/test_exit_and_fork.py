"""Interpreter exit, collection and fork, each in an interpreter of its own."""

from __future__ import annotations

import os
import sys

import pytest

from support.scripts import run_script

HEAD = """
import gc, os, sys, threading, time
import tasker
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # one line in one piece
def create():
    say("created")
    return object()
def destroy(resource):
    say("destroyed")
def make(**more):
    options = dict(on_create=create, on_destroy=destroy, worker_count=1, max_worker_count=1,
                   resource_pool_size=0)
    return tasker.TaskManager(tasker.Config(**{**options, **more}))
"""


def test_exit_without_stop_runs_everything() -> None:
    """An interpreter that ends without stop() runs what was accepted and destroys resources."""
    done = run_script(
        HEAD
        + """
def work(ctx, resource, n):
    ctx.wait(0.05)
    say("ran", n, ctx.cancelled)
m = make()
for n in range(5):
    m.submit(work, n)
"""
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert [line for line in lines if line.startswith("ran")] == [f"ran {n} False" for n in range(5)]
    assert lines.count("created") == lines.count("destroyed") == 1
    assert "Traceback" not in done.stderr


def test_exit_with_idle_workers_does_not_hang() -> None:
    """An interpreter that ends with an idle manager ends, its resources destroyed."""
    done = run_script(
        HEAD + "m = make(worker_count=3, max_worker_count=3, resource_pool_size=2)\n"
        "m.queue_task(lambda ctx, resource: None)\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("created") == done.stdout.count("destroyed") > 0
    assert "Traceback" not in done.stderr


def test_exit_on_an_exception_still_drains() -> None:
    """An uncaught error of the main thread keeps its exit code, and accepted tasks run."""
    done = run_script(
        HEAD
        + """
m = make()
for n in range(3):
    m.submit(lambda ctx, resource: say("ran"))
raise LookupError("main thread")
"""
    )
    assert done.returncode == 1
    assert "LookupError: main thread" in done.stderr
    assert done.stdout.count("ran") == 3


def test_exit_after_stop_is_quiet() -> None:
    """A stopped manager leaves no trace at exit."""
    done = run_script(
        HEAD + "m = make()\nm.queue_task(lambda ctx, resource: None)\nm.stop()\n",
        "-W",
        "error::ResourceWarning",
    )
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_collected_manager_warns_and_is_killed() -> None:
    """A manager that is dropped without stop() gives a ResourceWarning and its threads end."""
    done = run_script(
        HEAD
        + """
def started():
    m = make(name="forgotten", worker_count=2, max_worker_count=2,
             resource_pool_size=1)
    m.queue_task(lambda ctx, resource: None)
started()
gc.collect()
deadline = time.monotonic() + 20
while threading.active_count() > 1 and time.monotonic() < deadline:
    gc.collect()
    time.sleep(0.01)
say("threads", threading.active_count())
""",
        "-W",
        "always::ResourceWarning",
    )
    assert done.returncode == 0, done.stderr
    assert "ResourceWarning" in done.stderr
    assert "forgotten" in done.stderr
    assert "threads 1" in done.stdout
    assert done.stdout.count("created") == done.stdout.count("destroyed") == 3


def test_the_tasks_of_a_collected_manager_end() -> None:
    """Futures of a collected manager end: the running one's context is cancelled, others killed."""
    done = run_script(
        HEAD
        + """
def obey(ctx, resource):
    begun.set()
    ctx.wait(60)
    ctx.raise_if_cancelled()
begun = threading.Event()
def started():
    m = make()
    first = m.submit(obey)
    assert begun.wait(20)
    return first, m.submit(lambda ctx, resource: None)
futures = started()
gc.collect()
for future in futures:
    try:
        say(future.result(20))
    except tasker.TaskKilled:
        say("killed")
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("killed") == 2, done.stderr


def test_a_stopped_manager_is_collected_quietly() -> None:
    """A manager that was stopped or used in a with statement gives no warning."""
    done = run_script(
        HEAD
        + """
def one():
    with make() as m:
        m.queue_task(lambda ctx, resource: None)
    n = make()
    n.kill()
one()
gc.collect()
""",
        "-W",
        "always::ResourceWarning",
    )
    assert "ResourceWarning" not in done.stderr


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
FORK = (
    HEAD
    + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
m = make(resource_pool_size=1)
m.queue_task(lambda ctx, resource: None)
"""
)


@needs_fork
@pytest.mark.parametrize("how", ["submit", "queue_task", "run_task"])
def test_a_forked_child_is_refused(how: str) -> None:
    """In a forked child work is refused with an error that speaks of the fork; no hang."""
    done = run_script(
        FORK
        + f"""
pid = os.fork()
if pid == 0:
    try:
        m.{how}(lambda ctx, resource: None)
        say("accepted")
    except tasker.TaskerError as error:
        say("refused:", type(error).__name__, error)
    os._exit(0)
os.waitpid(pid, 0)
say("parent", m.queue_task(lambda ctx, resource: "works"))
m.stop()
"""
    )
    assert done.returncode == 0, done.stderr
    assert "refused:" in done.stdout, done.stdout + done.stderr
    assert "fork" in done.stdout
    assert "parent works" in done.stdout


@needs_fork
@pytest.mark.parametrize("end", ["m.stop()", "m.kill()", "m.stats(); m.metrics()", "sys.exit(0)"])
def test_a_forked_child_can_end(end: str) -> None:
    """stop(), kill(), stats() and a plain exit in a forked child return, destroying nothing."""
    done = run_script(
        FORK
        + f"""
pid = os.fork()
if pid == 0:
    say("child")
    try:
        {end}
    except tasker.TaskerError as error:
        say("refused", error)
    say("after")
    os._exit(0)
_, status = os.waitpid(pid, 0)
say("status", status)
m.stop()
"""
    )
    assert done.returncode == 0, done.stderr
    assert "status 0" in done.stdout
    assert done.stdout.count("created") == done.stdout.count("destroyed") == 2


@needs_fork
def test_a_forked_child_can_make_its_own_manager() -> None:
    """A new manager works in a forked child."""
    done = run_script(
        FORK
        + """
pid = os.fork()
if pid == 0:
    with make() as own:
        say("child", own.queue_task(lambda ctx, resource: "works"))
    os._exit(0)
os.waitpid(pid, 0)
m.stop()
"""
    )
    assert "child works" in done.stdout, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a plain interpreter exit")
def test_exit_waits_for_a_retry() -> None:
    """A retry in flight at exit is drained too."""
    done = run_script(
        HEAD
        + """
tries = []
def sick(ctx, resource):
    tries.append(1)
    if len(tries) < 3:
        raise OSError
    say("third")
m = make(check_health=lambda error: False)
m.submit(sick)
"""
    )
    assert done.stdout.count("third") == 1, done.stderr
    assert done.stdout.count("created") == done.stdout.count("destroyed") == 3
