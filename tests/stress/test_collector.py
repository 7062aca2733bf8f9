"""The garbage collector runs finalizers, and lets other threads run, wherever something is allocated."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.stress

COPY_OF_A_LOG = """
import gc, threading, time
from tasker import Config, TaskManager
from tasker.threads.future_log import RUN

class Finalized:
    '''Lets the worker go on, and waits until that has written into the log.'''

    def __init__(self, gate, future):
        self.gate, self.future, self.me = gate, future, self

    def __del__(self):
        self.gate.set()
        while RUN not in self.future._log:
            time.sleep(0)

manager = TaskManager(Config(on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=0))
gc.disable()
for attempt in range(300):
    gate = threading.Event()
    manager.submit(lambda ctx, resource: gate.wait())
    future = manager.submit(lambda ctx, resource: 1)
    for _ in range(3):
        future.add_done_callback(lambda done: None)
    held = [tuple([number] * 4) for number in range(2100)]  # so that the copy of the log has to be allocated
    Finalized(gate, future)
    gc.set_threshold(gc.get_count()[0] + 1 + attempt % 12, 1000, 1000)
    gc.enable()
    future.add_done_callback(lambda done: None)
    gc.disable()
    del held
    gate.set()
    assert future.result() == 1
manager.stop()
"""


def test_a_log_that_grows_while_it_is_copied() -> None:
    """A worker that writes into a log while the collector runs in the middle of copying it: on CPython 3.11, ``tuple(log)``
    reads memory there that is not the list's any more."""
    run = subprocess.run(
        [sys.executable, "-c", COPY_OF_A_LOG], capture_output=True, text=True, timeout=120, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
