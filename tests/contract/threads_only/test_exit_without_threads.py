"""At the exit of the interpreter, where CPython 3.12 and later start no thread any more."""

from __future__ import annotations

import pytest

from support.scripts import run_script

HEAD = """
import os, threading
import tasker
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def make(**more):
    options = dict(on_create=lambda: say("created"), on_destroy=lambda resource: say("destroyed"), worker_count=1,
                   max_worker_count=1, resource_pool_size=0, creation_backoff=0.01)
    return tasker.TaskManager(tasker.Config(**{**options, **more}))
exiting = threading.Event()
threading._register_atexit(exiting.set)  # called before any that was registered earlier, so at the very beginning
"""
REFUSE = """
# As CPython 3.12 does, wherever this runs.
def refuse(thread, start=threading.Thread.start):
    if exiting.is_set():
        raise RuntimeError("can't create new thread at interpreter shutdown")
    start(thread)
threading.Thread.start = refuse
"""
FIRST = "make().stop()\n" + HEAD.splitlines()[-2] + "\n" + HEAD.splitlines()[-1] + "\n"
PARTS = pytest.mark.parametrize("start", ["", REFUSE], ids=["as it is", "no thread starts"])


@PARTS
def test_a_retry_still_runs(start: str) -> None:
    """A task that fails unhealthily during the exit is retried, in a worker with a new resource."""
    done = run_script(
        HEAD
        + FIRST
        + start
        + """
tries = []
def sick(ctx, resource):
    tries.append(threading.current_thread())
    if len(tries) == 1:
        assert exiting.wait(30)
    if len(tries) < 3:
        raise OSError
    say("third")
m = make(check_health=lambda error: False)
m.submit(sick)
m.submit(lambda ctx, resource: say("next"))
""",
        timeout=40,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split()
    assert (lines.count("third"), lines.count("next")) == (1, 1), done.stderr
    assert lines.count("created") == lines.count("destroyed") == 4
    assert "Traceback" not in done.stderr


@PARTS
def test_a_refill_that_gets_no_thread_ends_nothing(start: str) -> None:
    """A run_task that costs the pool its resource during the exit does not keep the interpreter."""
    done = run_script(
        HEAD
        + FIRST
        + start
        + """
def sick(ctx, resource):
    raise OSError
def task(ctx, resource):
    assert exiting.wait(30)
    try:
        m.run_task(sick)
    except (OSError, tasker.ShutdownError) as error:
        say(type(error).__name__)
m = make(check_health=lambda error: False, resource_pool_size=1)
m.submit(task)
""",
        timeout=40,
    )
    assert done.returncode == 0, done.stderr
    assert "Error" in done.stdout
    assert done.stdout.count("created") == done.stdout.count("destroyed") > 1
