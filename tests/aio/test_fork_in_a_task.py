"""os.fork in a task of an AsyncTaskManager: the child starts none of the parent's tasks and destroys none of its resources."""

from __future__ import annotations

import os

import pytest

from support.scripts import run_script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

SCRIPT = """
import asyncio, os, signal, sys, warnings
import tasker
warnings.simplefilter("ignore", DeprecationWarning)
parent, children = os.getpid(), []
def say(*words):
    who = "parent" if os.getpid() == parent else "child"
    os.write(1, (" ".join(map(str, (who, *words))) + "\\n").encode())  # one line in one piece
def fork(ctx, resource):
    pid = os.fork()
    if pid:
        children.append(pid)
        return "value"
    signal.alarm(20)  # a child that hangs is ended, and shows in its status
    stats = m.stats()
    say("workers", stats.active_workers, stats.starting_workers)
    return "value"
async def fork_in_the_loop(ctx, resource):
    return fork(ctx, resource)
async def says(ctx, resource):
    say("runs")
def called(value, error):
    say("callback", value, error)
async def main():
    global m
    config = tasker.Config(on_create=object, on_destroy=lambda resource: say("destroyed"), worker_count=2,
                           max_worker_count=2, resource_pool_size=0)
    async with tasker.AsyncTaskManager(config) as m:
        await m.queue_task(says)
        held = m.submit(lambda ctx, resource: ctx.wait(60))
        first = m.submit(FORK, callback=called)
        second = m.submit(says, once=True, callback=called)
        await first
        try:
            await second
        except tasker.ShutdownError as error:
            say("refused", "fork" in str(error))
            raise SystemExit(5)
        held.cancel()
asyncio.run(main())
print("status", os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]), flush=True)
"""
PARENT = [
    "parent callback None None",
    "parent callback value None",
    "parent destroyed",
    "parent destroyed",
    "parent runs",
    "parent runs",
]


def test_a_coroutine_that_forks() -> None:
    """The loop goes on in the child, so whatever waits there for a queued task gets ShutdownError; no callback is called."""
    done = run_script(SCRIPT.replace("FORK", "fork_in_the_loop"))
    assert sorted(line for line in done.stdout.splitlines() if line.startswith("parent")) == PARENT, done.stderr
    others = sorted(line for line in done.stdout.splitlines() if not line.startswith("parent"))
    assert others[:2] == ["child refused True", "child workers 0 0"], done.stderr
    assert others[2] in ("status 1", "status 5"), done.stderr


def test_a_coroutine_that_forks_where_its_caller_has_begun_it() -> None:
    """The caller has the result in both, and the child destroys nothing."""
    held = (
        "        held = m.submit(lambda ctx, resource: ctx.wait(60))\n        first = m.submit(FORK, callback=called)\n"
    )
    script = SCRIPT.replace(held, "").replace("        second = m.submit(says, once=True, callback=called)\n", "")
    script = script.replace("await first", 'say(await m.queue_task(fork_in_the_loop), "first")')
    script = script.replace("await second", "os.getpid() == parent or sys.exit(5)").replace(
        "        held.cancel()\n", ""
    )
    lines = sorted((done := run_script(script)).stdout.splitlines())
    assert lines[:2] == ["child value first", "child workers 0 0"], done.stderr
    assert lines[2:6] == ["parent destroyed", "parent destroyed", "parent runs", "parent value first"], done.stderr
    assert lines[6:] in (["status 1"], ["status 5"]), done.stderr


def test_a_plain_function_that_forks() -> None:
    """Its thread is the only one in the child, and ends with the function."""
    done = run_script(SCRIPT.replace("FORK", "fork"))
    assert sorted(done.stdout.splitlines()) == ["child workers 0 0", *PARENT, "status 0"], done.stderr


def test_a_plain_function_that_raises_in_the_child() -> None:
    """Its error is shown as in any thread."""
    source = SCRIPT.replace('    say("workers"', '    raise LookupError("in the child")\n    say("workers"')
    done = run_script(source.replace("FORK", "fork"))
    assert sorted(done.stdout.splitlines()) == [*PARENT, "status 0"], done.stderr
    assert "LookupError: in the child" in done.stderr
