"""fork while another thread holds a lock of the manager: calls in the child return or raise at once."""

from __future__ import annotations

import os

import pytest

from support.scripts import run_script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

LOCKS = {
    "the counters": "m._engine.counters.lock",
    "a worker's meter": "m._engine.counters.shards[1].meter.lock",
    "run_task's meter": "m._engine.run_task.meter.lock",
    "run_task's pool": "m._engine.pool._lock",
}
SAY = """
import os, signal, threading, warnings
import tasker
warnings.simplefilter("ignore", DeprecationWarning)
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""
# Another thread has the lock when the process is forked.
FORK = """
held, forked = threading.Event(), threading.Event()
def hold():
    with LOCK:
        held.set()
        forked.wait(30)
holder = threading.Thread(target=hold)
holder.start()
assert held.wait(20)
pid = os.fork()
"""
SCRIPT = (
    SAY
    + """m = tasker.TaskManager(tasker.Config(
    on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=1, max_queue_size=5))
m.queue_task(lambda ctx, resource: None)
m.run_task(lambda ctx, resource: None)
"""
    + FORK
    + """if pid == 0:
    signal.alarm(20)  # a child that hangs is ended, and shows in its status
    say("done", m.stats().done_tasks)
    say("completed", m.metrics().total_tasks_completed)
    for how in (m.run_task, m.submit, m.queue_task):
        try:
            how(lambda ctx, resource: None)
            say("accepted")
        except tasker.ShutdownError as error:
            say("refused:", "fork" in str(error))
    say("killed", m.stop().killed, m.kill().killed)
    os._exit(0)
_, status = os.waitpid(pid, 0)
say("status", status)
forked.set()
holder.join()
say("parent", m.queue_task(lambda ctx, resource: "works"), m.run_task(lambda ctx, resource: "works"))
m.stop()
"""
)


@pytest.mark.parametrize("lock", LOCKS)
def test_the_child_does_not_wait_for_it(lock: str) -> None:
    """stats(), metrics(), run_task, submit, stop and kill return in the child, whichever lock was held."""
    done = run_script(SCRIPT.replace("LOCK", LOCKS[lock]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "done 2",
        "completed 2",
        "refused: True",
        "refused: True",
        "refused: True",
        "killed False False",
        "status 0",
        "parent works works",
    ], done.stderr


EVENTS = (
    SAY
    + """def manager():
    return tasker.TaskManager(tasker.Config(on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=0))
m = manager()
told = m.events(lambda event: None)
pulled = m.events()
"""
    + FORK.replace("LOCK", "m._engine.hooks.telling, pulled._feed._lock")
    + """if pid == 0:
    signal.alarm(20)
    say("told", told.wait())
    say("pulled", list(pulled), list(m.events()))
    own = manager()
    events = own.events()
    own.queue_task(lambda ctx, resource: None)
    own.stop()
    say("own", len(list(events)) > 0)
    os._exit(0)
_, status = os.waitpid(pid, 0)
say("status", status)
forked.set()
holder.join()
m.stop()
say("parent", told.wait(20), len(list(pulled)) > 0)
"""
)


def test_subscriptions_in_the_child() -> None:
    """Those of the parent's manager are closed, and no wait for one hangs; those of a manager of the child's own work."""
    done = run_script(EVENTS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["told True", "pulled [] []", "own True", "status 0", "parent True True"]
