"""The program of a child: it makes the resource, runs the tasks, and ends the resource, all in its main thread.

That thread reads tasks and writes what became of them. A second one, ``tasker-control``, reads cancellations, and notices
the end of the parent: then the running task is cancelled and the resource destroyed; a task that does not heed that is cut
off after a grace.

SIGTERM interrupts the running task by an exception, so that the resource can still be destroyed.
"""

from __future__ import annotations

import contextvars
import json
import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from pickle import dumps
from time import monotonic
from types import CoroutineType
from typing import Any

from tasker.context import Context, RootContext
from tasker.core.user_functions import refused
from tasker.errors import TaskKilled, TravelError
from tasker.logs import describe, task_name
from tasker.process.protocol.errors import pack_error
from tasker.process.protocol.messages import LEAVE, ChildMessage, EncodedTask, Setup
from tasker.process.protocol.pickling import PLAIN, pack, pack_named, unpack, unpack_variables
from tasker.process.protocol.wire import MAPPED_SIZE, Frame, Wire
from tasker.process.usage import own_rss
from tasker.remote.events import ERROR, GONE, LARGE, READY, RESULT, SKIPPED, UNMADE, UNREAD

from .output import redirect_output
from .resource import Resource

_RSS_INTERVAL = 0.1
"""Seconds between two measurements of the memory."""
_MOST_EARLY = 10_000
LAST = 1.0
"""Seconds for the end of the resource, after those that a running task is given, when the parent is gone."""


class Terminated(SystemExit):
    """Raised in the main thread by SIGTERM; a ``SystemExit``, because event loops let that through."""


class _Context(Context):
    """The context of the task that runs."""

    __slots__ = ("interrupt", "killed", "number")

    def __init__(self, root: Context, number: int) -> None:
        super().__init__(root)
        self.number: int = number
        self.interrupt: Callable[[], object] | None = None
        """Cancels the coroutine of an asynchronous task. From any thread."""
        self.killed: bool = False


class Child:
    """See the module's docstring."""

    def __init__(self, wire: Wire, control: Wire, permits: int, setup: Setup) -> None:
        self._wire = wire
        self._control = control
        self._permits = permits
        self._setup = setup
        self._ahead: deque[tuple[int, EncodedTask]] = deque()
        """Tasks that were read and have not begun, each with its epoch."""
        self._current: _Context | None = None
        self._early: dict[int, BaseException] = {}
        """Cancellations of tasks that have not begun."""
        self._leaving = False
        self._interruptible = False
        self._over = threading.Event()
        self._cancelling = threading.Lock()
        """Held while a cancellation is carried out, its callbacks included."""
        self._root = _root(setup.values)
        self._resource = Resource(setup)
        self._measured = monotonic()
        self._pauses = 0
        """How often the child has paused, see ``protocol.messages``."""

    def live(self) -> int:
        """Makes the resource, runs tasks and ends the resource; returns the status to exit with."""
        signal.signal(signal.SIGTERM, self._terminate)
        threading.Thread(target=self._listen, name="tasker-control", daemon=True).start()
        try:
            self._user(self._resource.make)
        except BaseException as error:
            self._send((UNMADE, pack_error(error)))
            self._over.set()
            return 1
        self._send((READY,))
        try:
            self._serve()
        except (EOFError, OSError, Terminated):
            pass
        return self._end()

    def _user(self, fn: Any, *args: Any) -> Any:
        """Calls user code or something else that SIGTERM may interrupt."""
        self._interruptible = True
        try:
            return fn(*args)
        finally:
            self._interruptible = False

    def _terminate(self, *_: object) -> None:
        self._leaving = True
        if self._interruptible:
            self._interruptible = False
            raise Terminated

    def _end(self) -> int:
        fault = None
        # A cancellation that has reached the context is carried out to its last callback before the resource goes.
        if self._cancelling.acquire(timeout=max(self._setup.grace, LAST)):
            self._cancelling.release()
        try:
            self._resource.end()
        except BaseException as error:
            fault = pack_error(error)
        self._over.set()
        try:
            self._send((GONE, fault))
        except OSError:
            pass
        return 0

    # -- tasks ----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._leaving:
            task = self._next()
            if task is None:
                return
            self._run(task)

    def _next(self) -> EncodedTask | None:
        """Waits for the next task that may begin and returns it; None where it is time to leave."""
        epoch: int | None = None
        while True:
            if not self._ahead:
                if not self._read():
                    return None
                continue
            if epoch is None:
                try:
                    (epoch,) = os.read(self._permits, 1)
                except BlockingIOError:  # all that is here was recalled
                    self._ahead.clear()
                    continue
            its_epoch, task = self._ahead.popleft()
            # The permit is of the newest epoch, so a task of another one was recalled.
            if its_epoch == epoch:
                return task

    def _read(self) -> bool:
        """Reads one message; False where it is time to leave."""
        parts = self._user(self._wire.receive_one)
        if self._leaving:
            return False
        try:
            message = unpack(parts)
        except BaseException:
            self._send((UNREAD,))  # the tasks come again, each for itself, and then one of them gets the error
            return True
        if message == LEAVE:
            return False
        epoch, judged, tasks = message
        # One that was sent before the parent had judged the last error is recalled by the parent, and sent again.
        if judged >= self._pauses:
            self._ahead.extend([(epoch, task) for task in tasks])
        return True

    def _pause(self) -> None:
        """Lets nothing begin that was sent before the parent has judged what is reported next."""
        self._pauses += 1
        self._ahead.clear()

    def _run(self, encoded: EncodedTask) -> None:
        number, task, args, variables, packed = encoded
        started = monotonic()
        # ``_current`` first, then ``_early``. The control thread writes ``_early`` first and then looks at ``_current``,
        # so a cancellation is seen by at least one of the two.
        self._current = context = _Context(self._root, number)
        if self._early and self._early.pop(number, None) is not None:
            self._current = None
            self._send((SKIPPED, number))
            return
        try:
            if packed is not None:
                task, args, variables = _unpacked(task, packed)
            run = unpack_variables(variables).run if variables else contextvars.Context().run
            self._interruptible = True
            try:
                value = self._resource.call(run, task, context, args)
            finally:
                self._interruptible = False
            if type(value) is CoroutineType:
                raise refused(value)
        except Terminated:
            self._current = None
            return  # the parent finds a task that has begun and has no outcome
        except BaseException as error:
            self._current = None
            if self._setup.must_admit:
                self._pause()
            self._measure()
            self._send((ERROR, number, pack_error(error), started, monotonic(), context.cancelled))
            return
        finished = monotonic()
        self._current = None
        self._measure()
        if type(value) in PLAIN:
            pickled = dumps((RESULT, number, value, started, finished), 5)
            if len(pickled) < MAPPED_SIZE:
                self._wire.put_small(pickled)
                return
        self._result(number, task, value, started, finished)

    def _result(self, number: int, task: Any, value: Any, started: float, finished: float) -> None:
        try:
            frame = Frame(pack((RESULT, number, value, started, finished)))
        except BaseException:
            what = f"the result of task #{number} {task_name(task)} (a {type(value).__name__})"
            try:
                frame = Frame(pack_named((RESULT, number, value, started, finished), what))
            except BaseException as error:
                if not isinstance(error, TravelError):
                    error = TravelError(
                        f"{what} can't be {'sent' if isinstance(error, OSError) else 'pickled'}: {error!r}"
                    )
                frame = Frame(pack((ERROR, number, pack_error(error), started, finished, False)))
        self._wire.put_all(frame)

    def _send(self, message: ChildMessage) -> None:
        self._wire.put_all(Frame(pack(message)))

    def _measure(self) -> None:
        """Reports, before the outcome of the task, that the resource is to be replaced, if it has become too large."""
        most = self._setup.max_rss
        if most is None:
            return
        now = monotonic()
        if now - self._measured < _RSS_INTERVAL:
            return
        self._measured = now
        rss = own_rss()
        if rss > most:
            self._pause()
            self._send((LARGE, rss))

    # -- the control thread ---------------------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            while True:
                number, cause = unpack(self._control.receive_one())
                self._cancel(number, cause)
        except (EOFError, OSError):
            pass
        self._leaving = True  # the parent is gone, or it has read the last message and closed the connection
        self._cancel(0, TaskKilled("the process of the manager is gone"))
        if not self._over.wait(self._setup.grace + LAST):
            os._exit(1)

    def _cancel(self, number: int, cause: BaseException) -> None:
        """Cancels a task; 0: whatever runs."""
        with self._cancelling:
            self._carry_out(number, cause)

    def _carry_out(self, number: int, cause: BaseException) -> None:
        if number:
            self._early[number] = cause
            if len(self._early) > _MOST_EARLY:  # of tasks that had ended when their cancellation came
                del self._early[next(iter(self._early))]
        current = self._current
        if current is None or number not in (0, current.number):
            return
        self._early.pop(number, None)
        if isinstance(cause, TaskKilled):
            # A kill comes twice, to whatever runs and to this task. A coroutine that cleans up must not be struck twice.
            if current.killed:
                return
            current.killed = True
        try:
            current.cancel(cause)
        except BaseException:  # raised by a callback
            sys.excepthook(*sys.exc_info())
        if current.interrupt is not None:
            current.interrupt()


def _unpacked(name: Any, packed: list[Any]) -> Any:
    try:
        return unpack(packed)
    except BaseException as error:
        raise TravelError(
            f"{name}: the task or its arguments can't be unpickled in the child: {describe(error)}"
        ) from error


def _root(values: list[tuple[Any, Any]]) -> Context:
    context = Context()
    for key, value in values:
        context = context.with_value(key, value)
    return RootContext(context)  # which keeps no callback of a task beyond it


def run(fds: list[int]) -> int:
    """Runs a child that was given these descriptors; returns the status to exit with."""
    data, side, control, permits, *output = fds
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; and it may come from the same terminal
    wire = Wire(socket.socket(fileno=data), socket.socket(fileno=side))
    wire.data.setblocking(True)
    cancellations = socket.socket(fileno=control)
    cancellations.setblocking(True)
    try:
        try:
            setup: Setup = unpack(wire.receive_one())
        except (EOFError, OSError):
            return 0
        except BaseException as error:
            return _unmade(wire, error)
        redirect_output(output, setup.name, setup.levels)
        try:
            if setup.nice:
                os.nice(setup.nice)
            if setup.affinity is not None:
                os.sched_setaffinity(0, setup.affinity)
        except (OSError, OverflowError) as error:
            error.add_note(f"ProcessBackend(nice={setup.nice!r}, affinity={setup.affinity!r})")
            return _unmade(wire, error)
        return Child(wire, Wire(cancellations, wire.side), permits, setup).live()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                pass


def _unmade(wire: Wire, error: BaseException) -> int:
    """Reports that there will be no resource; returns the status to exit with."""
    wire.put_all(Frame(pack((UNMADE, pack_error(error)))))
    return 1


def main(fds: str) -> None:
    """Runs a child that is an interpreter of its own (``spawn``)."""
    os._exit(run(json.loads(fds)))
