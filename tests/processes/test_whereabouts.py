"""Where a child is: told by its control thread, by faulthandler where that cannot run, and in words where nothing answers."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from support.files_between_processes import FileGate
from support.observers import RecordingLogger
from support.waiting import Call, eventually, in_thread, wait_until
from tasker.process import child
from tasker.process.child.whereabouts import Whereabouts
from tasker.process.parent.whereabouts import Question
from tasker.process.protocol.whereabouts import SIGNAL, answer, answered, dumped
from tasker.remote.places import where_in

from . import work

Make = Callable[..., Any]


async def pass_by(ctx: Any, thing: Any) -> None:
    """Has the child import this module."""


async def await_door(ctx: Any, thing: Any, door: FileGate) -> None:
    """A coroutine that is suspended."""
    door.arrive()
    await ctx.wait_async()


def test_the_stack_of_a_function(make: Make, door: FileGate) -> None:
    """From where the task begins, in the form of a traceback; without what the library called it through."""
    manager = make()
    future = manager.submit(work.hold, door)
    door.wait_arrivals(1)
    (worker,) = manager.workers()
    stack = manager.worker_stack(worker.name)
    assert "in hold\n" in stack and "tasker/process" not in stack, stack
    door.open()
    future.result(60)


def test_the_stack_of_a_function_that_holds_the_interpreter(make: Make, door: FileGate) -> None:
    """No thread of the child can answer: faulthandler does, in the same form."""
    manager = make(cancel_grace=0.1)
    future = manager.submit(work.sleep_with_the_gil, door)
    door.wait_arrivals(1)
    (worker,) = manager.workers()
    stack = manager.worker_stack(worker.name)
    assert "in sleep_with_the_gil\n" in stack and "tasker/process" not in stack, stack
    assert stack.splitlines()[0].startswith('  File "'), stack
    manager.kill(0)
    assert future.done()


async def test_the_stack_of_a_coroutine(amake: Make, door: FileGate) -> None:
    """Of what it waits in, although its thread is in the event loop of the child."""
    async with amake(stuck_after=0.05, burst_interval=0.01, logger=(logger := RecordingLogger())) as manager:
        await manager.submit(pass_by)
        future = manager.submit(await_door, door)
        await in_thread(door.wait_arrivals, 1)
        (worker,) = manager.workers()
        await eventually(lambda: [text for _, text in logger.lines if "await_door for" in text])
        (text,) = [text for _, text in logger.lines if "await_door for" in text]
        assert text.index("in await_door\n") < text.index("in wait_async\n") < text.index("in _wait\n"), text
        assert "in await_door\n" in await in_thread(manager.worker_stack, worker.name)
        future.cancel()


def states(pid: int) -> list[str]:
    """Of each thread of a process, in a letter."""
    return [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="it is seen there that all threads have stopped")
def test_a_child_that_is_stopped_is_named(make: Make, door: FileGate) -> None:
    """It answers nothing, and the question ends in time; a later one is answered, not by what was said late."""
    manager = make()
    future = manager.submit(work.hold, door)
    door.wait_arrivals(1)
    (worker,) = manager.workers()
    pid = worker.process.pid
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: set(states(pid)) == {"T"})
    try:
        assert Call(manager.worker_stack, worker.name).outcome(30) == f"process {pid}"
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: "in hold\n" in manager.worker_stack(worker.name))
    door.open()
    future.result(60)


def test_the_stack_of_a_callback(make: Make) -> None:
    """A child says where it is while it makes its resource, too."""
    manager = make(on_create=work.hang, on_destroy=None, worker_count=1, max_worker_count=1)
    wait_until(manager.workers)
    (worker,) = manager.workers()
    wait_until(lambda: "in hang\n" in manager.worker_stack(worker.name))


def test_a_stuck_callback_is_logged_with_its_stack(make: Make) -> None:
    """The child is asked before it is killed. It has little time, so there are several, one after the other."""
    logger = RecordingLogger()
    make(
        on_create=work.hang,
        on_destroy=None,
        worker_count=1,
        max_worker_count=1,
        create_timeout=1.0,
        creation_backoff=0.001,
        logger=logger,
    )
    wait_until(lambda: [text for _, text in logger.lines if " is at\n" in text and "in hang\n" in text])


def test_a_stuck_task_is_logged_with_its_stack(make: Make, door: FileGate) -> None:
    """Once, in a thread of its own: the supervisor does not wait for the child."""
    logger = RecordingLogger()
    manager = make(stuck_after=0.05, burst_interval=0.01, logger=logger)
    future = manager.submit(work.hold, door)
    wait_until(lambda: [text for _, text in logger.lines if "it is at\n" in text and "in hold\n" in text])
    door.open()
    future.result(60)
    assert len([text for _, text in logger.lines if "has run" in text]) == 1


class Session:
    """What a question needs of one."""

    def __init__(self, *, dead: bool = False) -> None:
        self.lock = threading.RLock()
        self.closed = False
        self.dead = dead
        self.pid = 0


@pytest.fixture
def ends() -> Any:
    """The two ends of a control socket."""
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        yield near, far


def test_an_answer_to_another_question_is_none(ends: Any) -> None:
    """What came too late for the last question is dropped, and so is what is said to none."""
    near, far = ends
    far.send(answer(1, "early"))

    def ask(number: int) -> None:
        far.send(answer(number + 7, "other"))
        far.send(answer(number, "here")[:3])
        far.send(answer(number, "here")[3:])

    question = Question(Session(), near, ask)
    assert question.stack(5.0) == "here"
    assert question.stack(5.0) == "here"


@pytest.mark.parametrize("session", [Session(dead=True), Session()], ids=["dead", "without a process"])
def test_nothing_answers(ends: Any, session: Session) -> None:
    """A session that is gone, or has no process yet, is not waited for longer than asked."""
    assert Question(session, ends[0], lambda number: None).stack(0.05) is None
    session.closed = True
    assert Question(session, ends[0], lambda number: None).stack(30.0) is None


def test_a_question_in_the_middle_of_another(ends: Any) -> None:
    """It waits for its turn as long as it may, which a signal handler's never comes."""
    inner: list[Any] = []
    question: Question = Question(Session(), ends[0], lambda number: inner.append(question.stack(0.01)))
    assert question.stack(0.05) is None
    assert inner == [None]


def test_a_question_that_ctrl_c_ends(ends: Any) -> None:
    """The next one is asked, at the latest once that would have been over, even if nothing was cleaned up."""
    near, far = ends
    question = Question(Session(), near, lambda number: far.send(answer(number, "here")))
    assert question._begin(monotonic() + 0.05)  # and struck
    assert question.stack(0.0) is None
    assert question.stack(30.0) == "here"


def test_the_signal_stays_with_a_module_that_uses_it(ends: Any) -> None:
    """A handler that was there before is not replaced."""
    handler = signal.signal(SIGNAL, lambda *args: None)
    try:
        before = signal.getsignal(SIGNAL)
        whereabouts = Whereabouts(ends[1], lambda: None)
        whereabouts.offer()
        whereabouts.withdraw()
        assert signal.getsignal(SIGNAL) is before
    finally:
        signal.signal(SIGNAL, handler)


def test_what_faulthandler_writes() -> None:
    """It is turned over, cut where the library begins, and not taken before it is whole."""
    library = str(Path(str(child.__file__)).parent / "main.py")
    lines = [
        "Current thread 0x00007f (most recent call first):",
        '  File "/a/inner.py", line 3 in deep',
        '  File "/a/outer.py", line 9 in task',
    ]
    text = "\n".join(
        [*lines, f'  File "{library}", line 1 in run', '  File "<string>", line 1 in <module>', ""]
    ).encode()
    found = dumped(text)
    assert found is not None
    assert [line for line in found.splitlines() if "File" in line] == [
        '  File "/a/outer.py", line 9, in task',
        '  File "/a/inner.py", line 3, in deep',
    ]
    partly = "\n".join([*lines[:2], ""]).encode()
    assert dumped(partly) is None
    assert "inner.py" in (dumped(partly, whole=False) or "")
    assert dumped(b"", whole=False) is None
    assert dumped(answer(1, "not this"), whole=False) is None
    assert answered(answer(1, "this"), 1) == "this"
    assert answered(answer(1, "this")[:-1], 1) is None


def test_where_nothing_is_known() -> None:
    """A session that is not there yet is named in words."""
    assert where_in(None, 1.0) == "another process, which starts"
