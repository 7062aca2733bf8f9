"""An actor as its manager sees it: a ``Session`` whose calls are calls of the actor.

One task is in flight at a time, and counts as begun as soon as it was sent. Ray reports the end of each call in the
thread that serves all its connections, in which nothing may wait. So what a task has returned only goes into the mailbox
there, to be unpickled by whoever takes it, and other news is passed on to a thread of the manager's. A call raises only if
the actor is not there any more, since the user's errors travel as values; then the session is over: the actor is killed,
even if it may still live somewhere (a node that is only slow), and whatever it reports later is not heard.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any

from tasker.core.flag import Flag
from tasker.errors import TaskCancelled, TravelError, WorkerLost
from tasker.logs import describe
from tasker.process.protocol.decoding import event_of
from tasker.process.protocol.pickling import pack, pack_named, pack_variables
from tasker.remote.events import ERROR, RESULT, SessionEvent, Told
from tasker.remote.mailbox import MailboxSession
from tasker.remote.session import ArgsOf, InFlightTask, Refused
from tasker.remote.sharing import Key

from .messages import Answer, Message, call_of, message, messages_of
from .sharing import References, referring

_EXIT_PATIENCE = 5.0
"""Seconds that an actor has to end its resource, once it was asked to, before it is killed."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ENDED = "the connection to Ray was ended"
_HOW = 400
"""Characters of what Ray says about a death."""


class RaySession(MailboxSession):
    """See the module's docstring."""

    def __init__(
        self,
        name: str,
        grace: float,
        args_of: ArgsOf,
        on_end: Callable[[], object],
        post: Callable[[Callable[[], object]], object],
        has_connection: Callable[[], bool],
    ) -> None:
        """``post`` has a call made in the thread for news, one after the other. ``has_connection`` says whether the
        connection that the actor was made with is there."""
        super().__init__(name, grace)
        self._post = post
        self._has_connection = has_connection
        self._args_of = args_of
        self._on_end = on_end
        self._actor: Any = None
        self._method: Any = None
        """The actor's ``execute``: to make it anew for each task takes 16 us, two thirds of what a call takes."""
        self._pid = 0
        self._executing: Any = None
        """The reference of the call that executes the task in flight."""
        self._sent = 0.0
        self._leaving = False
        """Whether the actor was asked to end its resource."""
        self._killed = False
        self._error: BaseException | None = None
        """What Ray has said about its death."""
        self._over = Flag()
        self._progress: Told | None = None
        self.told: set[Key] = set()
        """The shared values that the actor may keep, see ``referring``."""

    def start(self, make_actor: Callable[..., Any], setup: Message, shared: References) -> None:
        """Starts the actor, which makes its resource."""
        self._actor = actor = make_actor(setup, *_if_any(shared))
        self._method = _in_group(actor.execute, "exec")
        for key, _ in shared:
            if key not in self.told:  # given back before there was an actor to be told
                self._order("forget", key)
        # ``kill`` sets the one and then looks at the other; here it is the other way round.
        if self._killed:
            self._fence()
            return
        self._watch(_call(actor.stay, "life"), self._stayed)
        self._watch(_call(actor.create, "exec"), self._created)

    @property
    def pid(self) -> int:
        """See ``Session``. On whatever node it is."""
        return self._pid

    # -- tasks --------------------------------------------------------------------------------------------------------

    def send(self, tasks: Sequence[InFlightTask], alone: bool = False) -> tuple[list[Refused], float]:
        """See ``Session``."""
        refused: list[Refused] = []
        total = sent = 0
        for task in tasks:
            number, future, _ = task
            try:
                variables = None if future._variables is None else pack_variables(future._variables)
                with referring(self.told) as shared:
                    parts = pack_named(
                        (future._task, self._args_of(future), variables), f"{future.label}: the task or its arguments"
                    )
                size = sum(memoryview(part).nbytes for part in parts)
                call = call_of(number, future.label, parts, shared)
            except TravelError as error:
                refused.append((task, error))
                continue
            except BaseException as error:  # the user's methods raise what they like
                refused.append((task, TravelError(f"{future.label} can't be pickled: {describe(error)}")))
                continue
            total, sent = total + size, sent + 1
            with self.lock:
                self.in_flight.append(task)
            self._execute(call)
        return refused, total / sent if sent else 0.0

    def _execute(self, call: Sequence[Any]) -> None:
        self._sent = monotonic()
        try:
            self._executing = reference = _called(self._method, *call)
        except Exception as error:  # the actor is known to be dead, or the connection is gone
            self.lost(error)
        else:
            reference.future().add_done_callback(self._executed)

    def recall(self, given_up: bool = False) -> tuple[list[InFlightTask], bool]:
        """See ``Session``. Whatever is in flight has begun."""
        return [], False

    def cancel(self, number: int, cause: BaseException) -> None:
        """See ``Session``."""
        try:
            packed = message(pack(cause))
        except BaseException:  # a cause of the user's that cannot go there
            packed = message(pack(TaskCancelled(describe(cause))))
        self._order("cancel", number, packed)

    def forget(self, key: Key) -> None:
        """See ``Session``."""
        if key in self.told:
            self.told.discard(key)
            self._order("forget", key)

    def progress(self) -> tuple[float, float | None] | None:
        """See ``Session``."""
        told = self._progress
        return None if told is None or told[0] != self.begun else told[1:]

    # -- the end ------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """See ``Session``."""
        try:
            self._watch(_call(self._actor.check, "exec"), self._deliver)
        except Exception as error:
            self.lost(error)

    def leave(self) -> None:
        """See ``Session``."""
        with self.lock:
            first, self._leaving = not self._leaving, True
        if not first or self._actor is None:
            return
        try:
            self._watch(_call(self._actor.destroy, "exec"), self._destroyed)
        except Exception as error:
            self.lost(error)

    def terminate(self, number: int = 0) -> None:
        """See ``Session``."""
        if not number:
            self._order("interrupt", 0)
            self.leave()
            return
        self._order("interrupt", number, then=lambda struck: self.leave() if struck else None)

    def kill(self) -> None:
        """See ``Session``."""
        self._killed = True
        if self._actor is not None:
            self._fence()

    def begun_at_death(self) -> list[InFlightTask]:
        """See ``Session``."""
        with self.lock:
            begun = list(self.in_flight)
            self.in_flight.clear()
            return begun

    def death(self) -> WorkerLost:
        """See ``Session``."""
        if self._error is None:
            how = "was killed" if self._killed else "has ended"
        else:
            how = f"died: {_said(self._error)}"
        lost = WorkerLost(f"the actor of worker {self.name} (pid {self._pid}) {how}", self._pid or None)
        lost.__cause__ = self._error
        return lost

    def close(self) -> None:
        """See ``Session``."""
        if not self._close_once() or self._actor is None:
            return
        if self._leaving:
            self._over.wait(_EXIT_PATIENCE)
        self._fence()
        self._actor = self._method = self._executing = None

    # -- in the thread for news ---------------------------------------------------------------------------------------------

    def _watch(self, reference: Any, then: Callable[[Any], object]) -> None:
        """Has ``then`` called with what a call returns. If it raises, the actor is lost. In any thread."""

        def settle(future: Any) -> None:
            error = future.exception()
            if error is not None:
                self.lost(error)
            else:
                then(future.result())

        reference.future().add_done_callback(lambda future: self._post(partial(settle, future)))

    def _stayed(self, told: Told) -> None:
        """Takes how far a task is, and has the actor tell more. If it dies meanwhile, that call says so."""
        actor, self._progress = self._actor, told
        if actor is None or self.dead:
            return
        try:
            self._watch(_call(actor.stay, "life"), self._stayed)
        except Exception as error:
            self.lost(error)

    def _created(self, made: tuple[int, Answer]) -> None:
        self._pid, answered = made
        self._deliver(answered)

    def _executed(self, future: Any) -> None:
        """In Ray's thread."""
        error = future.exception()
        if error is not None:
            self._post(partial(self.lost, error))
            return
        # First, and then the look at the error: ``lost`` does both the other way round.
        self._executing = None
        self._deliver(future.result())
        if self._error is not None:  # it died right behind this result
            self._post(self._end)

    def _destroyed(self, answered: Answer) -> None:
        self._deliver(answered)
        self._fence()

    def _deliver(self, answered: Answer) -> None:
        if answered:
            self._mailbox.put((monotonic(), answered))

    def events(self) -> list[SessionEvent]:
        """See ``Session``."""
        return [
            self._timed(event_of(one), arrived)
            for arrived, answered in self._mailbox.take()
            for one in messages_of(answered)
        ]

    def _timed(self, event: SessionEvent, arrived: float) -> SessionEvent:
        """Returns the event by the clock of this process: that of another node is another one."""
        kind = event[0]
        if kind not in (RESULT, ERROR):
            return event
        number, outcome, started, finished = event[1:5]
        return kind, number, outcome, max(self._sent, arrived - (finished - started)), arrived, *event[5:]

    def lost(self, error: BaseException) -> None:
        """The actor, or the way to it, is gone."""
        with self.lock:
            # Another result comes after the first error only as long as there is a connection.
            if self.dead or (self._error is not None and self._has_connection()):
                return
            self._error = self._error or error
        reference = self._executing
        if reference is not None and self._has_connection() and _is_ready(reference):
            return  # its end comes in another thread; ``_executed`` follows
        self._fence()

    def _order(self, order: str, *args: Any, then: Callable[[Any], object] = lambda nothing: None) -> None:
        """Calls a method of the group that controls what runs."""
        actor = self._actor
        if actor is None or self.dead:
            return
        try:
            self._watch(_call(getattr(actor, order), "control", *args), then)
        except Exception as error:
            self.lost(error)

    def _fence(self) -> None:
        """Kills the actor, wherever it is; from here on it reports nothing."""
        actor = self._actor
        if actor is not None and not self.dead and self._has_connection():
            import ray  # noqa: PLC0415

            try:
                ray.kill(actor, no_restart=True)
            except Exception:  # noqa: S110  it is gone, or the connection to it
                pass
        self._end()

    def _end(self) -> None:
        if self._mailbox.close():
            self._over.set()
            self._on_end()


def _call(method: Any, group: str, *args: Any) -> Any:
    return _called(_in_group(method, group), *args)


def _in_group(method: Any, group: str) -> Any:
    return method.options(concurrency_group=group)


def _called(method: Any, *args: Any) -> Any:
    import ray  # noqa: PLC0415

    if not ray.is_initialized():  # it would connect again, to whatever cluster it finds
        raise ConnectionError(ENDED)
    return method.remote(*args)


def _if_any(shared: References) -> tuple[References, ...]:
    # Inside of a list Ray passes them on as references.
    return ([*shared],) if shared else ()


def _said(error: BaseException) -> str:
    """Returns what Ray says, in one line. The reason stands at its end where the actor could not be made."""
    text = " ".join(_COLOURS.sub("", str(error)).split())
    return text if len(text) <= _HOW else f"{text[: _HOW // 2]} ... {text[-_HOW // 2 :]}"


def _is_ready(reference: Any) -> bool:
    """Returns whether a call has returned a value that is here."""
    import ray  # noqa: PLC0415

    try:
        ready, _ = ray.wait([reference], timeout=0)
        if ready:
            ray.get(reference)
        return bool(ready)
    except Exception:
        return False
