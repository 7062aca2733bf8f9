"""``ctx.progress`` in a child: how often it is reported, and through which pipe."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from support.waiting import wait_until
from tasker import Config, Context, ProcessBackend, TaskManager
from tasker.context import RootContext
from tasker.process.child import progress
from tasker.process.child.cancellations import TaskContext
from tasker.process.child.output import PipeHandler
from tasker.process.child.progress import ProgressTeller
from tasker.process.protocol.records import Frames


def test_a_few_reports_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a task calls it; after a silence, several in a row; and none of a task that has ended."""
    now, told = SimpleNamespace(at=1000.0), []
    monkeypatch.setattr(progress, "monotonic", lambda: now.at)
    running: list[Any] = [TaskContext(RootContext(None), 7)]
    teller = ProgressTeller(lambda: running[0], told.append)
    for count in range(100):
        teller(count, 100)
    assert told == [(7, float(count), 100.0) for count in range(9)]  # those of two seconds, and the present one
    for count in range(100):
        now.at += 0.02
        teller(count, None)
    assert 7 <= len(told) - 9 <= 8
    running[0] = None
    now.at += 60
    teller(1, 2)
    assert told[-1] != (7, 1.0, 2.0)


def test_a_report_waits_for_no_record() -> None:
    """It is dropped while a record is being written: by a signal handler in the middle of that, say."""
    read, write = os.pipe()
    try:
        handler = PipeHandler(write, "worker")
        with handler._write_lock:
            handler.tell((7, 0.0, None))
        handler.tell((7, 1.0, None))
        (frame,) = Frames().feed(os.read(read, 1000))
        assert pickle.loads(frame) == (7, 1.0, None)
    finally:
        os.close(read)
        os.close(write)


def talks(ctx: Context, resource: object, go: str) -> str:
    """Says how far it is from two threads, between records, until the file is there."""
    stop = threading.Event()

    def log() -> None:
        for _ in range(100):  # and no more: the test keeps them
            logging.getLogger("talks").info("x" * 100_000)
            if stop.wait(0.01):
                break

    logger = threading.Thread(target=log)
    logger.start()
    try:
        number = 0
        while not os.path.exists(go):
            number += 1
            ctx.progress(number, number)
            time.sleep(0.001)
    finally:
        stop.set()
        logger.join()
    return "done"


def test_reports_between_records(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The records stay whole, which take many writes each, and the reports get through."""
    go = tmp_path / "go"
    with (
        caplog.at_level(logging.INFO, "talks"),
        TaskManager(Config(on_create=object, worker_count=1, backend=ProcessBackend())) as manager,
    ):
        future = manager.submit(talks, str(go))
        seen = set()
        wait_until(lambda: seen.add(manager.workers()[0].progress) or len(seen - {None}) > 2, 60.0, "three reports")
        go.touch()
        assert future.result() == "done"
        assert manager.workers()[0].progress is None
    messages = [record.getMessage() for record in caplog.records if record.name == "talks"]
    assert messages and set(messages) == {"x" * 100_000}
