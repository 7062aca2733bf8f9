"""The program of a child: it makes the resource, runs the tasks, and ends the resource, all in its main thread.

That thread reads tasks and writes what became of them. Others see to the orders of the parent, see ``orders``.

The parent's ``TERMINATE`` interrupts the running task by an exception, so that the resource can still be destroyed. A SIGTERM
from elsewhere, or a SIGHUP, may go to the whole process group, and interrupts no task: the child ends after the one that it runs.
"""

from __future__ import annotations

import contextvars
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterable
from io import FileIO
from pickle import dumps
from time import monotonic
from types import CoroutineType
from typing import Any

from tasker.core.probing import fault_of
from tasker.core.user_functions import refused
from tasker.errors import TravelError
from tasker.logs import describe, task_name
from tasker.process.protocol.classes import begin_child
from tasker.process.protocol.errors import pack_error
from tasker.process.protocol.messages import CHECK, LATER, LEAVE, ChildMessage, EncodedTask, Setup
from tasker.process.protocol.pickling import PLAIN, pack, pack_named, unpack, unpack_variables
from tasker.process.protocol.surroundings import take_over
from tasker.process.protocol.wire import MAPPED_SIZE, Wire, WireFrame
from tasker.process.terminals import heed_no_terminal
from tasker.process.usage import own_rss
from tasker.remote.events import CHECKED, ERROR, GONE, LARGE, READY, RESULT, SKIPPED, UNFIT, UNMADE, UNREAD

from .cancellations import TaskContext
from .exits import ENDINGS, HeldEndings, end_multiprocessing, flush_streams, leave_copy
from .orders import LAST, Orders
from .output import outlive_parent, redirect_output
from .progress import ProgressTeller
from .random_numbers import draw_apart
from .resource import Resource
from .tracker import share_tracker

_RSS_INTERVAL = 0.1
"""Seconds between two measurements of the memory."""


_NOT, _BY_ORDER, _BY_ANY = range(3)
"""Whether SIGTERM may interrupt the main thread: only while the parent has ordered it, or whatever has sent it."""


class Terminated(SystemExit):
    """Raised in the main thread by SIGTERM; a ``SystemExit``, because event loops let that through."""


class Child:
    """See the module's docstring."""

    def __init__(self, wire: Wire, control: Wire, permits: int, setup: Setup, tell: Callable[[object], object]) -> None:
        self._wire = wire
        self._permits = permits
        self._setup = setup
        self._ahead: deque[tuple[int, EncodedTask]] = deque()
        """Tasks that were read and have not begun, each with its epoch."""
        self._leaving = False
        self._interruptible = _NOT
        self._struck: Terminated | None = None
        """What was raised to interrupt the main thread. Any other ``Terminated`` is the user's own error."""
        self._copied = False
        """Whether this process is a fork of the child, made by a task."""
        self._held = HeldEndings()
        self._root = setup.made_of.root(ProgressTeller(lambda: self._orders.current, tell))
        self._resource = resource = Resource(setup.made_of)
        self._orders = Orders(control, setup.made_of.grace, self._leave, lambda: resource.running)
        self._measured = monotonic()
        self._pauses = 0
        """How often the child has paused, see ``protocol.messages``."""

    def live(self) -> int:
        """Makes the resource, runs tasks and ends the resource; returns the status to exit with."""
        signal.signal(signal.SIGTERM, self._terminate)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._terminate)
        held = self._held
        os.register_at_fork(before=held.hold, after_in_parent=held.release, after_in_child=self._after_fork)
        self._orders.start()
        try:
            self._user(self._resource.make)
        except BaseException as error:
            self._send((UNMADE, pack_error(error)))
            self._orders.end()
            return 1
        # Not before: a script that is to end with its output (``signal(SIGPIPE, SIG_DFL)``) says so where it is imported. A child
        # whose parent is gone has to end its resource first.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._send((READY,))
        try:
            self._serve()
        except (EOFError, ConnectionError):
            outlive_parent()  # as ``orders`` does, which may notice it later
        except (OSError, Terminated):
            pass
        return self._end()

    def _user(self, fn: Any, *args: Any, by: int = _BY_ORDER) -> Any:
        """Calls user code or something else that SIGTERM may interrupt."""
        self._interruptible = by
        try:
            return fn(*args)
        finally:
            self._interruptible = _NOT
            if self._copied:
                leave_copy()

    def _leave(self) -> None:
        self._leaving = True

    def _terminate(self, *_: object) -> None:
        self._leave()
        # Asked in the main thread, which alone goes on to the next task: a signal for a task that has ended meanwhile
        # interrupts nothing.
        if self._interruptible == _BY_ANY or (self._interruptible and self._orders.interrupts()):
            self._interruptible = _NOT
            self._struck = Terminated()
            raise self._struck

    def _after_fork(self) -> None:
        """In a process that a task has forked: that is none of the parent's, even if the task returns there as well."""
        if self._copied:  # a fork of a fork: what was closed there may have given its number to a file of the user's
            self._held.release()
            return
        self._copied = True
        # ``multiprocessing`` ends its processes by SIGTERM; an exception in their place might wait for ever for a lock.
        for number in ENDINGS:
            if signal.getsignal(number) == self._terminate:
                signal.signal(number, signal.SIG_DFL)
        self._held.release()
        self._wire.close()
        self._orders.close()
        os.close(self._permits)

    def _end(self) -> int:
        fault = None
        self._orders.settle(max(self._setup.made_of.grace, LAST))  # before the resource goes
        try:
            self._resource.end()
        except BaseException as error:
            fault = pack_error(error)
        if self._copied:
            leave_copy()
        self._orders.end()
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
        while True:
            if not self._ahead:
                if not self._read():
                    return None
                continue
            try:
                permit = os.read(self._permits, 1)
            except BlockingIOError:  # all that is here was recalled
                self._drop(self._ahead)
                self._ahead.clear()
                continue
            if not permit:
                outlive_parent()
                return None
            while self._ahead:
                its_epoch, task = self._ahead.popleft()
                if its_epoch == permit[0]:
                    return task
                self._drop([(its_epoch, task)])  # the permit is of the newest epoch, so this was recalled
            # It is for a task that has yet to be read; and that may be the end of this process, which would have begun it.
            self._pause()
            self._send((UNREAD, True))

    def _drop(self, tasks: Iterable[tuple[int, EncodedTask]]) -> None:
        """Reads on after tasks that do not run: over what comes later of them."""
        for _, task in tasks:
            if task[4] == LATER:
                size, _ = self._wire.receive_frame()
                self._wire.skip(size)

    def _read(self) -> bool:
        """Reads one message; False where it is time to leave."""
        size, body = self._user(self._next_frame, by=_BY_ANY)
        if self._leaving:
            return False
        try:
            message = unpack(self._wire.message(size, body))
        except BaseException:
            # The tasks come again, each for itself, and then one of them gets the error. What follows this message does
            # as well: it would begin out of turn, with permits that are those of the tasks that could not be read.
            self._pause()
            self._send((UNREAD, False))
            return True
        if message == LEAVE:
            return False
        if message == CHECK:
            self._check()
            return True
        epoch, judged, tasks = message
        # One that was sent before the parent had judged the last error is recalled by the parent, and sent again.
        coming = [(epoch, task) for task in tasks]
        if judged >= self._pauses:
            self._ahead.extend(coming)
        else:
            self._drop(coming)
        return True

    def _check(self) -> None:
        try:
            why = self._user(self._resource.check)
        except Terminated:
            raise
        except BaseException as error:
            why = fault_of(error)
        self._send((CHECKED, why))

    def _next_frame(self) -> tuple[int, bytes]:
        if self._leaving:  # by a signal that came before this could be interrupted
            raise Terminated
        return self._wire.receive_frame()

    def _pause(self) -> None:
        """Lets nothing begin that was sent before the parent has judged what is reported next."""
        self._pauses += 1
        self._drop(self._ahead)
        self._ahead.clear()

    def _pause_for_error(self) -> None:
        if self._setup.must_admit:
            self._pause()

    def _run(self, encoded: EncodedTask) -> None:
        number, task, args, variables, packed = encoded
        started = monotonic()
        orders = self._orders
        # ``current`` first, then ``early``. A cancellation is written to ``early`` first and then looks at ``current``,
        # so it is seen by at least one of the two.
        orders.current = context = TaskContext(self._root, number)
        if orders.early and orders.early.pop(number, None) is not None:
            orders.current = None
            self._drop([(0, encoded)])
            self._send((SKIPPED, number))
            return
        try:
            if packed is not None:
                task, args, variables = self._unpacked(task, packed)
            run = unpack_variables(variables).run if variables else contextvars.Context().run
            self._interruptible = _BY_ORDER
            try:
                if orders.interrupts():
                    self._terminate()
                value = self._resource.call(run, task, context, args)
            finally:
                self._interruptible = _NOT
                if self._copied:
                    leave_copy()
            if type(value) is CoroutineType:
                raise refused(value)
        except BaseException as error:
            if error is self._struck:
                self._orders.current = None  # the parent finds a task that has begun and has no outcome
            else:
                self._raised(context, error, started)
            return
        finished = monotonic()
        self._orders.current = None
        self._between()
        if type(value) in PLAIN:
            pickled = dumps((RESULT, number, value, started, finished), 5)
            if len(pickled) < MAPPED_SIZE:
                self._wire.put_small(pickled)
                return
        self._result(number, task, value, started, finished)

    def _raised(self, context: TaskContext, error: BaseException, started: float) -> None:
        self._orders.current = None
        self._between()
        self._pause_for_error()
        self._send((ERROR, context.number, pack_error(error), started, monotonic(), context.cancelled))

    def _unpacked(self, name: Any, packed: list[Any]) -> Any:
        try:
            return unpack(packed or self._wire.receive_one())
        except BaseException as error:
            raise TravelError(
                f"{name}: the task or its arguments can't be unpickled in the child: {describe(error)}"
            ) from error

    def _result(self, number: int, task: Any, value: Any, started: float, finished: float) -> None:
        try:
            frame = WireFrame(pack((RESULT, number, value, started, finished)))
        except BaseException:
            what = f"the result of task #{number} {task_name(task)} (a {type(value).__name__})"
            try:
                frame = WireFrame(pack_named((RESULT, number, value, started, finished), what))
            except BaseException as error:
                if not issubclass(type(error), TravelError):
                    error = TravelError(
                        f"{what} can't be {'sent' if issubclass(type(error), OSError) else 'pickled'}: {describe(error)}"
                    )
                self._pause_for_error()  # like any other error: the parent judges it as well
                frame = WireFrame(pack((ERROR, number, pack_error(error), started, finished, False)))
        self._wire.put_all(frame)

    def _send(self, message: ChildMessage) -> None:
        self._wire.put_all(WireFrame(pack(message)))

    def _between(self) -> None:
        """Reports, before the outcome of a task, that the resource is to be replaced, if ``on_return`` fails or it has become
        too large. Before, because the parent must not send it anything else after that."""
        if self._setup.made_of.on_return is not None:
            try:
                self._user(self._resource.reset)
            except BaseException as error:
                if error is self._struck:
                    return  # the task has its outcome all the same, and this process leaves after it
                self._pause()
                self._send((UNFIT, pack_error(error)))
        self._measure()

    def _measure(self) -> None:
        """The same for its size."""
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


def run(fds: list[int]) -> int:
    """Runs a child that was given these descriptors; returns the status to exit with."""
    data, side, control, told, permits, out, err, log, *tracker = fds
    begin_child()
    draw_apart()
    for fd in fds:  # they are not for the programs that a task starts
        os.set_inheritable(fd, False)
    heed_no_terminal()  # the parent decides, and it may be at the same one
    ends = [socket.socket(fileno=fd) for fd in (data, side, control)]
    for end in ends:  # not so if what was preloaded has set a default timeout
        end.setblocking(True)
    wire, cancellations = Wire(ends[0], ends[1], FileIO(told, "w")), ends[2]
    try:
        try:
            take_over(unpack(wire.receive_one()))
            setup: Setup = unpack(wire.receive_one())
        except (EOFError, OSError):
            return 0
        except BaseException as error:
            return _unmade(wire, error)
        output = redirect_output([out, err, log], setup.name, setup.levels)
        share_tracker(tracker)
        try:
            if setup.nice:
                os.nice(setup.nice)
            if setup.affinity is not None:
                os.sched_setaffinity(0, setup.affinity)
        except (OSError, OverflowError) as error:
            error.add_note(f"ProcessBackend(nice={setup.nice!r}, affinity={setup.affinity!r})")
            return _unmade(wire, error)
        return Child(wire, Wire(cancellations, wire.side), permits, setup, output.tell).live()
    finally:
        end_multiprocessing()
        flush_streams()


def _unmade(wire: Wire, error: BaseException) -> int:
    """Reports that there will be no resource; returns the status to exit with."""
    wire.put_all(WireFrame(pack((UNMADE, pack_error(error)))))
    return 1


def main(fds: list[int]) -> None:
    """Runs a child that is an interpreter of its own (``spawn``)."""
    os._exit(run(fds))
