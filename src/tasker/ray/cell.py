"""Cell: the program of an actor. It makes the resource, runs the tasks, and ends the resource, all in one thread.

Its methods run in three groups, each with a thread of its own: ``life`` has one call that stays, so that its failure is the news
of the actor's death; ``exec`` runs the user's functions; ``control`` cancels and interrupts what runs there. The call in ``life``
returns only when a task says how far it is, and is made again: there is no other way from an actor to whoever calls it, and no
further call is needed where no task says anything.
"""

from __future__ import annotations

import contextvars
import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import monotonic
from types import CoroutineType
from typing import Any

from tasker.context import Context, RootContext
from tasker.core.probing import fault_of
from tasker.core.user_functions import refused
from tasker.errors import TravelError
from tasker.logs import describe, task_name
from tasker.process.child.cancellations import Cancellations, TaskContext
from tasker.process.child.progress import ProgressTeller
from tasker.process.child.resource import Resource
from tasker.process.protocol.errors import pack_error
from tasker.process.protocol.pickling import pack, pack_named, unpack, unpack_variables
from tasker.process.protocol.setups import ResourceSetup
from tasker.ray.messages import Answer, Message, answer, called, message, opened
from tasker.ray.sharing import References, values
from tasker.remote.events import CHECKED, ERROR, GONE, READY, RESULT, SKIPPED, UNFIT, UNMADE, SessionEvent, Told
from tasker.remote.sharing import Key

GROUPS = {"exec": 1, "control": 1, "life": 1}


class Interrupted(SystemExit):
    """Raised in the thread of the resource by an order; a ``SystemExit``, because event loops let that through."""


class Cell:
    """See the module's docstring."""

    def __init__(self, setup: Message, shared: References = ()) -> None:
        self._packed: Message | None = setup
        self._shared = shared
        """Shared values that the setup refers to."""
        self._setup: ResourceSetup | None = None
        self._resource: Resource | None = None
        self._root: Context = RootContext(None)
        self._cancellations = Cancellations()
        self._interrupts = Interrupts()
        self._news: SimpleQueue[Told] = SimpleQueue()
        """How far tasks are."""

    # -- group "life" -------------------------------------------------------------------------------------------------

    def stay(self) -> Told:
        """Returns how far a task is as soon as it says so, and is to be called again."""
        return self._news.get()

    # -- group "control" ------------------------------------------------------------------------------------------------

    def cancel(self, number: int, cause: Message) -> None:
        """Cancels the context of a task; 0: of whatever runs. One that has not begun is skipped."""
        self._cancellations.order(number, opened(cause))

    def interrupt(self, number: int) -> bool:
        """Interrupts a task by an exception; 0: whatever runs. Returns False if that task does not run."""
        current = self._cancellations.current
        if number and (current is None or current.number != number):
            return False
        self._interrupts.strike(number)
        if current is not None and current.interrupt is not None:
            current.interrupt()  # a loop that sleeps notices the exception only when it wakes up
        return True

    def forget(self, key: Key) -> None:
        """Keeps a shared value no longer."""
        values.forget(key)

    # -- group "exec" -----------------------------------------------------------------------------------------------------

    def create(self) -> tuple[int, Answer]:
        """Makes the resource. Returns the id of this process, and the event."""
        packed, self._packed = self._packed or b"", None
        shared, self._shared = self._shared, ()
        try:
            values.take(shared)
            setup = self._setup = opened(packed)
            self._root = setup.root(ProgressTeller(lambda: self._cancellations.current, self._news.put))
            self._resource = Resource(setup)
            self._interrupts.allow(0, self._resource.make)
        except BaseException as error:
            return os.getpid(), _event(UNMADE, pack_error(error))
        return os.getpid(), _event(READY)

    def execute(self, call: bytes, buffers: Sequence[Any] = (), shared: References = ()) -> Answer:
        """Runs a task (see ``call_of``), which refers to these shared values. Returns its events; none if it was interrupted."""
        started = monotonic()
        number, name, packed = called(call, buffers)
        cancellations = self._cancellations
        # ``current`` first, then ``early``: see ``Cancellations.order``.
        cancellations.current = context = TaskContext(self._root, number)
        if cancellations.early.pop(number, None) is not None:
            cancellations.current = None
            return _event(SKIPPED, number)
        try:
            task, args, variables = _unpacked(name, packed, shared)
            run = unpack_variables(variables).run if variables else contextvars.Context().run
            assert self._resource is not None
            value = self._interrupts.allow(number, self._resource.call, run, task, context, args)
            if type(value) is CoroutineType:
                raise refused(value)
        except Interrupted:
            cancellations.current = None
            return []
        except BaseException as error:
            cancellations.current = None
            return answer([*self._between(number), _failure(context, error, started)])
        finished = monotonic()
        cancellations.current = None
        return answer([*self._between(number), _result(context, task, value, started, finished)])

    def check(self) -> Answer:
        """Calls ``check_resource``. Returns the event; none if it was interrupted."""
        assert self._resource is not None
        try:
            why = self._interrupts.allow(0, self._resource.check)
        except Interrupted:
            return []
        except BaseException as error:
            why = fault_of(error)
        return _event(CHECKED, why)

    def destroy(self) -> Answer:
        """Ends the resource. Returns the event."""
        fault = None
        setup = self._setup
        self._cancellations.settle(1.0 if setup is None else setup.grace)  # before the resource goes
        try:
            if self._resource is not None:
                self._resource.end()
        except BaseException as error:
            fault = pack_error(error)
        return _event(GONE, fault)

    def _between(self, number: int) -> list[Message]:
        """Returns the event that says that the resource is to be replaced, if ``on_return`` fails."""
        assert self._setup is not None
        assert self._resource is not None
        try:
            if self._setup.on_return is not None:
                self._interrupts.allow(number, self._resource.reset)
        except Interrupted:  # the task has its outcome all the same, and this actor ends after it
            return []
        except BaseException as error:
            return [message(pack((UNFIT, pack_error(error))))]
        return []


class Interrupts:
    """Has orders from another thread strike user code in the thread of the resource, and nothing else there."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # since only that one raises where it is released without being held
        self._thread = 0
        """That which runs user code now; 0: none."""
        self._number = 0
        self._ending = False

    def strike(self, number: int) -> None:
        """Interrupts a task; 0: whatever runs, and whatever would run after it."""
        with self._lock:
            self._ending = self._ending or not number
            if self._thread and number in (0, self._number):
                _raise_in(self._thread, Interrupted)

    def allow(self, number: int, fn: Callable[..., Any], *args: Any) -> Any:
        """Calls user code, which may be interrupted: raises ``Interrupted`` then."""
        try:
            with self._lock:
                if self._ending:
                    raise Interrupted
                self._thread, self._number = threading.get_ident(), number
            return fn(*args)
        finally:
            self._thread = 0  # nothing is ordered any more, but for what is being ordered at this moment
            try:
                self._take_back()
            except Interrupted:  # ordered before
                try:
                    self._take_back()
                except Interrupted:  # ordered just now
                    self._take_back()

    def _take_back(self) -> None:
        """Takes back what was ordered and has not been raised: it may be raised in any line, even in the first, instead of later."""
        try:
            self._lock.acquire()  # after whoever is ordering
            _raise_in(threading.get_ident(), None)
        finally:
            try:
                self._lock.release()
            except RuntimeError:  # struck before it was acquired
                pass


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Has a thread raise an error; None: takes back what it has not raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )


def _event(*event: Any) -> Answer:
    return answer([message(pack(event))])


def _unpacked(name: str, packed: list[Any], shared: References) -> Any:
    try:
        values.take(shared)
        return unpack(packed)
    except BaseException as error:
        raise TravelError(
            f"{name}: the task or its arguments can't be unpickled in the actor: {describe(error)}"
        ) from error


def _failure(context: TaskContext, error: BaseException, started: float) -> Message:
    event: SessionEvent = ERROR, context.number, pack_error(error), started, monotonic(), context.cancelled
    return message(pack(event))


def _result(context: TaskContext, task: Any, value: Any, started: float, finished: float) -> Message:
    event: SessionEvent = RESULT, context.number, value, started, finished
    what = f"the result of task #{context.number} {task_name(task)} (a {type(value).__name__})"
    try:
        return message(pack_named(event, what))
    except BaseException as error:
        return _failure(
            context, error if isinstance(error, TravelError) else TravelError(f"{what}: {error!r}"), started
        )
