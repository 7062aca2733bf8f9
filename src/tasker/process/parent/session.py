"""A child as its parent sees it: a ``Session`` over sockets and pipes.

The tasks in flight run one after the other, so at most the first of them has begun, and the permits say whether it has (see
``protocol.messages``).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tasker.errors import TaskCancelled, TravelError, WorkerLost
from tasker.logs import describe
from tasker.process.protocol.decoding import event_of
from tasker.process.protocol.encoding import TaskEncoder
from tasker.process.protocol.messages import CHECK, EPOCHS, FORGET, LATER, LEAVE, TERMINATE, EncodedTask, Setup
from tasker.process.protocol.pickling import pack, pack_named
from tasker.process.protocol.surroundings import own_surroundings
from tasker.process.protocol.whereabouts import WHERE
from tasker.process.protocol.wire import MAPPED_SIZE, Parts, WireFrame
from tasker.remote.events import SessionEvent, Told
from tasker.remote.graces import graces
from tasker.remote.session import ArgsOf, InFlightTask, Refused, Session

from .connection import Connection
from .exiting import is_exiting
from .fork_server_client import FORK_SERVER_LOST, ForkServerClient, SpawnedChild
from .loop_watch import LoopWatch
from .whereabouts import Question

if TYPE_CHECKING:
    import asyncio

_EXIT_PATIENCE = 5.0
"""Seconds that a child has to exit."""
_RETRY = 0.05
"""Seconds after which to look whether a child takes orders again."""
_LOOK = 0.1
"""Seconds between two looks at a child that does not exit."""


class ProcessSession(Session):
    """See the module's docstring."""

    def __init__(self, name: str, grace: float, args_of: ArgsOf, on_end: Callable[[], object]) -> None:
        super().__init__(name, grace)
        self._on_end = on_end
        self._encoder = TaskEncoder(args_of)
        self._connection = Connection()
        self._wire = self._connection.wire
        self._question = Question(self, self._connection.control.data, lambda number: self._order(number, WHERE))
        self._client: ForkServerClient | None = None
        self._spawned: SpawnedChild | None = None
        self._killed = False
        self._epoch = 0
        self._torn = False
        """Whether it is not known which of the tasks in flight have a permit."""
        self._given_up = False
        """Whether it gave up a permit before it died."""
        self._told: Told | None = None

    def start(self, client: ForkServerClient, spawn: bool, setup: Setup, make_pipes: Callable[[], list[int]]) -> None:
        """Starts the child and sends it its setup. ``make_pipes`` returns the pipes for its output."""
        self._client = client
        hello = WireFrame(pack_named(setup, "on_create, on_destroy or resource of the Config"))
        try:
            with ExitStack() as theirs:
                theirs.callback(self._connection.close_far_ends)
                pipes = make_pipes()
                for pipe in pipes:
                    theirs.callback(os.close, pipe)
                self._spawned = spawned = SpawnedChild(self._ended)
                # ``kill`` sets the one and then looks at the other; here it is the other way round.
                if self._killed:
                    spawned.kill()
                client.start(spawned, [*self._connection.child_fds, *pipes], spawn, self.grace)
            self._wire.send(pack(own_surroundings()))
            self._wire.put(hello)
        except ConnectionError:  # it is gone already; the next ``events`` raises
            pass
        finally:
            hello.drop()

    def _ended(self, status: int) -> None:
        self.nudge()
        self._on_end()

    @property
    def pid(self) -> int:
        """See ``Session``."""
        return 0 if self._spawned is None else self._spawned.pid

    @property
    def dead(self) -> bool:
        """See ``Session``."""
        return self._spawned is not None and self._spawned.status is not None

    # -- tasks ----------------------------------------------------------------------------------------------------

    def send(self, tasks: Sequence[InFlightTask], alone: bool = False) -> tuple[list[Refused], float]:
        """See ``Session``."""
        refused: list[Refused] = []
        sent, encoded, size = self._encode(tasks, alone, refused)
        if not sent:
            return refused, 0.0
        if alone:
            for task, one in zip(sent, encoded, strict=True):
                self._send_alone(task, one, refused)
            return refused, size / len(sent)
        try:
            frames = self._frames(sent, [(None, encoded)])
        except BaseException:  # something in there cannot be pickled, whatever its methods raise; but what?
            if self._torn:
                raise
            more, size = self.send(sent, alone=True)
            return refused + more, size
        self._put(frames)
        return refused, size / len(sent)

    def _send_alone(self, task: InFlightTask, encoded: EncodedTask, refused: list[Refused]) -> None:
        number, name, _, _, packed = encoded
        assert packed is not None
        size = sum(memoryview(part).nbytes for part in packed)
        messages: list[tuple[Parts | None, list[EncodedTask]]] = [(None, [encoded])]
        if size >= MAPPED_SIZE:
            messages = [(None, [(number, name, (), None, LATER)]), (packed, [])]
        try:
            frames = self._frames([task], messages)
        except BaseException as error:  # no descriptor or memory left for what is large
            if self._torn:
                raise
            refused.append((task, _refusal(f"{task[1].label}: its arguments can't be sent", error)))
        else:
            self._put(frames)

    def _encode(
        self, tasks: Sequence[InFlightTask], alone: bool, refused: list[Refused]
    ) -> tuple[list[InFlightTask], list[EncodedTask], float]:
        """Returns the tasks that can be encoded, what they became, and its size; adds the others to ``refused``."""
        encoder = self._encoder
        encoder.new_message()
        encode, size = encoder.encode, 0
        sent: list[InFlightTask] = []
        encoded: list[EncodedTask] = []
        for task in tasks:
            try:
                encoded.append(encode(task[0], task[1], alone))
            except TravelError as error:
                refused.append((task, error))
            except BaseException as error:  # the user's methods raise what they like, and the other tasks have to go
                refused.append((task, _refusal(f"{task[1].label}: the task or its arguments can't be pickled", error)))
            else:
                sent.append(task)
                size += encoder.size
        return sent, encoded, size

    def _frames(
        self, sent: list[InFlightTask], messages: list[tuple[Parts | None, list[EncodedTask]]]
    ) -> list[WireFrame]:
        """Takes tasks into flight and returns what is to be sent for them: for each message its parts, or the tasks that
        it is made of. If it raises, nothing was taken."""
        while True:
            epoch = self._epoch
            frames: list[WireFrame] = []
            try:
                # Not under the lock: pickling may call the user's code, which may call ``recall``.
                for parts, encoded in messages:
                    frames.append(WireFrame(pack((epoch, self.judged, encoded)) if parts is None else parts))
                if self._take_into_flight(epoch, sent):
                    return frames
            except BaseException:
                drop_all(frames)
                raise
            drop_all(frames)

    def _take_into_flight(self, epoch: int, sent: list[InFlightTask]) -> bool:
        """Returns False if there was a recall meanwhile: then the child would drop what has this epoch."""
        with self.lock:
            if epoch != self._epoch:
                return False
            # The permits before the message: the child that has read a task finds its permit, or none because the task
            # was recalled.
            self.in_flight.extend(sent)
            try:
                self._connection.grant(epoch, len(sent))
            except Exception:  # no memory
                for _ in sent:
                    self.in_flight.pop()
                raise
            except BaseException:  # an asynchronous exception: they may have their permits, so they stay
                self._torn = True
                raise
            return True

    def _put(self, frames: list[WireFrame]) -> None:
        """Sends what was taken into flight."""
        try:
            for frame in frames:
                self._wire.put(frame)
        except ConnectionError:  # it is gone; the next ``events`` raises
            pass
        except (OSError, MemoryError):  # the kernel takes no more files on their way, or half of it was sent
            self.kill()
        finally:
            drop_all(frames)

    def recall(self, given_up: bool = False) -> tuple[list[InFlightTask], bool]:
        """See ``Session``."""
        with self.lock:
            if self.closed or self.dead:
                self._given_up = self._given_up or given_up
                return [], False
            permits = min(self._connection.revoke() + given_up, len(self.in_flight))
            self._epoch = (self._epoch + 1) % EPOCHS
            back = [self.in_flight.pop() for _ in range(permits)][::-1]
            return back, self._unbegin(back)

    def cancel(self, number: int, cause: BaseException) -> None:
        """See ``Session``."""
        self._order(number, cause)

    def _order(self, number: int, cause: BaseException | str | None) -> None:
        try:
            parts = pack((number, cause))
        except BaseException:  # a cause of the user's that cannot go there
            parts = pack((number, TaskCancelled(describe(cause)) if isinstance(cause, BaseException) else cause))
        self._control(parts)

    def _control(self, parts: Parts) -> None:
        try:
            with self.lock:
                if not self.closed:
                    self._connection.control.send(parts)
        except OSError:
            pass
        else:
            self._retry_control()

    def _retry_control(self) -> None:
        """Sends later what the child has not taken: it is stopped, or its task keeps the interpreter to itself."""
        control = self._connection.control
        if control.blocked and not self.closed:
            graces.set(control, 0, _RETRY, self._flush_control)  # not under the lock, which a grace takes, too

    def _flush_control(self) -> None:
        try:
            with self.lock:
                if not self.closed:
                    self._connection.control.flush()
        except OSError:  # it is gone
            return
        self._retry_control()

    def forget(self, key: tuple[int, int]) -> None:
        """See ``Session``."""
        self._control(pack((key, FORGET)))

    def stack(self, timeout: float) -> str | None:
        """See ``Session``."""
        return self._question.stack(timeout)

    def take_progress(self, told: Told) -> None:
        """Takes how far a task is."""
        self._told = told

    def progress(self) -> tuple[float, float | None] | None:
        """See ``Session``."""
        told = self._told
        return None if told is None or told[0] != self.begun else told[1:]

    # -- events ---------------------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> None:
        """See ``Session``."""
        self._connection.wait(timeout)

    def nudge(self) -> None:
        """See ``Session``."""
        with self.lock:
            if not self.closed:
                self._connection.nudge()

    def events(self) -> list[SessionEvent]:
        """See ``Session``."""
        messages = self._wire.receive()
        if not messages and self.dead:
            # Where a process that the child had started holds the other end open, there is no end of file. But whatever
            # the child has sent is here since before it died.
            messages = self._wire.receive()
            if not messages:
                raise EOFError
        return [event_of(message) for message in messages]

    def watch(self, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], object]) -> LoopWatch:
        """See ``Session``."""
        return LoopWatch(loop, self._wire, on_ready)

    # -- the end --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """See ``Session``."""
        self._send(CHECK)

    def leave(self) -> None:
        """See ``Session``."""
        self._send(LEAVE)

    def _send(self, message: str) -> None:
        try:
            self._wire.send(pack(message))
        except OSError:
            pass

    def terminate(self, number: int = 0) -> None:
        """See ``Session``. By a message and not by SIGTERM, which reaches a whole process group when the parent is to end;
        then the parent decides what becomes of the tasks."""
        self._order(number, TERMINATE)

    def kill(self) -> None:
        """See ``Session``."""
        self._killed = True
        spawned = self._spawned
        if spawned is not None:
            spawned.kill()

    def begun_at_death(self) -> list[InFlightTask]:
        """See ``Session``."""
        with self.lock:  # against a ``recall`` that had begun before its death
            begun = len(self.in_flight) - self._connection.revoke() - self._given_up
            return [self.in_flight.popleft() for _ in range(max(0, begun))]

    def death(self) -> WorkerLost:
        """See ``Session``."""
        spawned = self._spawned
        if spawned is None or not self._exited(spawned):
            return WorkerLost(f"the process of worker {self.name} closed its end of the connection")
        status = spawned.status
        text = f"the process of worker {self.name} (pid {spawned.pid}) died: {ending(status)}"
        return WorkerLost(text, spawned.pid or None, None if status == FORK_SERVER_LOST else status)

    def _patience(self) -> float:
        """Returns for how many seconds to wait until the end of the child is reported."""
        # A fork server that was stopped reports nothing.
        return _LOOK if self._client is not None and self._client.stopped else _EXIT_PATIENCE

    def _exited(self, spawned: SpawnedChild) -> bool:
        """Waits for the end of a child that has closed its end of the connection. If it is not about to exit, another
        program has taken its place, or the task has closed its descriptors: then it is killed, and this returns False."""
        alive, left = 0, self._patience()
        while not spawned.ended.wait(min(_LOOK, left)):
            alive = 0 if is_exiting(spawned.pid) else alive + 1
            left -= _LOOK
            if alive > 1:
                self.kill()
            if alive > 1 or left <= 0:
                return False
        return True

    def close(self) -> None:
        """See ``Session``."""
        if not self._close_once():
            return
        spawned = self._spawned
        if spawned is not None and spawned.pid:
            # Its last message was read, so it has nothing left to do but to exit. This ends one that waits for more.
            self._connection.close_control()
            if not spawned.ended.wait(self._patience()):
                self.kill()
                spawned.ended.wait(self._patience())
        self._connection.close()


def _refusal(text: str, error: BaseException) -> TravelError:
    refusal = TravelError(f"{text}: {describe(error)}")
    if isinstance(error, KeyboardInterrupt):  # Ctrl-C, perhaps, which has to be raised in the main thread
        refusal.__cause__ = error
    return refusal


def drop_all(frames: list[WireFrame]) -> None:
    """Closes the files of frames that were sent, or are not to be."""
    for frame in frames:
        frame.drop()


def ending(status: int | None) -> str:
    """Returns a child's status in words."""
    if status == FORK_SERVER_LOST:
        return "the process that had started it was killed"
    if status is not None and status < 0:
        try:
            return f"signal {signal.Signals(-status).name}"
        except ValueError:
            return f"signal {-status}"
    return f"exit code {status}"
