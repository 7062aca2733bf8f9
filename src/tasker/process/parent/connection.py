"""A child as its parent sees it: how it is born, what it is told, what it answers, how it ends.

``flights`` are the tasks that were sent and not answered, in order; the child runs them one after the other. So at most the
first of them has begun, and the permits tell whether it has (see ``messages``).

One thread (or event loop) drives a link; ``cancel``, ``terminate`` and ``kill`` may be called from any.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from typing import Any

from tasker.errors import WorkerLost
from tasker.process.protocol.messages import EPOCHS, GARBLED, LEAVE, Answer, Setup
from tasker.process.protocol.pickling import THEIRS, pack, pack_or_tell, unpack
from tasker.process.protocol.shared_memory import closed_with
from tasker.process.protocol.wire import Frame, Wire

from .fork_server_client import FORK_SERVER_LOST, ForkServerClient, SpawnedChild, forget_in_forks, send_signal

_BUFFER = 1 << 20
_EXIT_PATIENCE = 5.0


InFlightTask = tuple[int, Any, int]
"""A task on its way through a child: its number there, its future, and the level of the queue where it came from."""


class Connection:
    """See the module's docstring."""

    def __init__(self, name: str, grace: float) -> None:
        self.name: str = name
        self.grace: float = grace
        """Seconds that a cancelled task is given."""
        self.in_flight: deque[InFlightTask] = deque()
        self.numbers: count[int] = count(1)
        self.begun: int = 0
        """The number of the flight that was taken to have begun; 0: none."""
        self.judged: int = 0
        """How many of the child's pauses are over, see ``messages``."""
        self.gone: bool = False
        """Whether it has ended, or was told to."""
        self._spawned: SpawnedChild | None = None
        self._killed = False
        self._epoch = 0
        self.lock: threading.Lock = threading.Lock()
        """Of ``flights``, permits and epoch, ``begun`` and ``gone``."""
        self._timers: list[threading.Timer] = []

    # -- birth ----------------------------------------------------------------------------------------------------

    def open(
        self,
        client: ForkServerClient,
        spawn: bool,
        setup: Setup,
        speech: Callable[[], list[int]],
        on_end: Callable[[int], object],
    ) -> None:
        """Has the child born, and tells it what it is to be. ``speech``: makes the pipes that it speaks through."""

        def ended(status: int) -> None:
            self.nudge()
            on_end(status)

        hello = Frame(pack_or_tell(setup, "on_create, on_destroy or resource of the Config"))
        try:
            with ExitStack() as theirs:
                ends = [theirs.enter_context(end) for end in self._connect()]
                pipes = speech()
                for pipe in pipes:
                    theirs.callback(os.close, pipe)
                fds = [*(end.fileno() for end in ends), self._permits, *pipes]
                self._spawned = spawned = SpawnedChild(ended)
                if self._killed:
                    spawned.kill()
                client.start(spawned, fds, spawn, self.grace)
            self.wire.put(hello)
        except ConnectionError:  # it is gone already; the next answer says so
            pass
        except BaseException:
            self.close()
            raise
        finally:
            hello.drop()

    def _connect(self) -> list[socket.socket]:
        """Makes what connects the two, all of it or nothing; returns the child's ends."""
        with ExitStack() as made:
            pairs = [closed_with(made, socket.socketpair(), socket.socket.close) for _ in range(3)]
            pipes = [closed_with(made, os.pipe(), os.close) for _ in range(2)]
            made.pop_all()
        (data, far_data), (side, far_side), (control, far_control) = pairs
        (self._permits, self._permit), (self._nudged, self._nudge) = pipes
        for end in (data, far_data):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        for end in (data, side, control):
            end.setblocking(False)
        for fd in (self._permits, self._nudged):
            os.set_blocking(fd, False)
        self.wire: Wire = Wire(data, side)
        self.control: Wire = Wire(control, side)
        forget_in_forks(data, side, control)
        self._poll, self._both = select.poll(), select.poll()
        for poll in (self._poll, self._both):
            poll.register(data, select.POLLIN)
            poll.register(self._nudged, select.POLLIN)
        self._both.modify(data, select.POLLIN | select.POLLOUT)
        return [far_data, far_side, far_control]

    @property
    def pid(self) -> int:
        """The child's process id; 0 before its birth."""
        return 0 if self._spawned is None else self._spawned.pid

    @property
    def dead(self) -> bool:
        """Whether the child is gone."""
        return self._spawned is not None and self._spawned.status is not None

    def fileno(self) -> int:
        """To wait on."""
        return self.wire.data.fileno()

    # -- talking --------------------------------------------------------------------------------------------------

    def order(self, in_flight: list[InFlightTask], orders: list[Any]) -> None:
        """Sends tasks. A child that is gone is noticed at the next answer. ``OSError``, and nothing is sent, if there is no
        descriptor or memory left for what is large."""
        while True:
            epoch = self._epoch
            # Not under the lock: pickling may call the user's code.
            frame = Frame(pack((epoch, self.judged, orders)))
            with self.lock:
                if current := epoch == self._epoch:
                    self.in_flight.extend(in_flight)
                    os.write(self._permit, bytes((epoch,)) * len(in_flight))
            if current:
                break
            frame.drop()
        try:
            self.wire.put(frame)
        except ConnectionError:
            pass
        except OSError:  # the kernel takes no more files on their way
            self.kill()

    def take_back(self) -> tuple[list[InFlightTask], bool]:
        """Takes back, now and for good, what has not begun; in order. And whether the first of that is the one that was
        taken to have begun. From any thread."""
        with self.lock:
            if self.gone:  # as in ``nudge``
                return [], False
            permits = min(self._drain(), len(self.in_flight))
            self._epoch = (self._epoch + 1) % EPOCHS
            back = [self.in_flight.pop() for _ in range(permits)][::-1]
            first = bool(back) and back[0][0] == self.begun
            if first:
                self.begun = 0
        return back, first

    def begin(self) -> InFlightTask | None:
        """The first flight, if it was not asked for before: it is taken to have begun. Called with ``lock`` held, so that what
        is noted of that is noted before anybody can take it back."""
        if not self.in_flight or self.in_flight[0][0] == self.begun:
            return None
        first = self.in_flight[0]
        self.begun = first[0]
        return first

    def _drain(self) -> int:
        permits = 0
        while True:
            try:
                read = len(os.read(self._permits, 4096))
            except BlockingIOError:
                return permits
            permits += read
            if not read:
                return permits

    def wait(self, timeout: float | None = None) -> None:
        """Sleeps until the child has said something or somebody has nudged, ``timeout`` seconds at most."""
        milliseconds = None if timeout is None else max(0, round(timeout * 1000))
        while self.wire.blocked:
            ready = self._both.poll(milliseconds)
            if any(event & ~select.POLLOUT for _, event in ready):
                return
            try:
                self.wire.flush()
            except OSError:
                return
            if not ready:
                return
        if any(fd == self._nudged for fd, _ in self._poll.poll(milliseconds)):
            try:
                os.read(self._nudged, 4096)
            except BlockingIOError:
                pass

    def nudge(self) -> None:
        """Ends a ``wait``. From any thread."""
        with self.lock:
            if not self.gone:  # the number of a descriptor that was closed may be another's by now
                os.write(self._nudge, b"n")

    def answers(self) -> list[Answer]:
        """What the child has said, possibly nothing. ``EOFError`` once it is gone."""
        messages = self.wire.receive()
        if not messages and self.dead:
            # No end of file, where a process that the child had started holds the other end open.
            messages = self.wire.receive()
            if not messages:
                raise EOFError
        return [_answer(message) for message in messages]

    def last_answers(self) -> list[Answer]:
        """What a child that is gone had said and nobody has read."""
        answers: list[Answer] = []
        try:
            while more := self.answers():
                answers += more
        except EOFError:
            pass
        return answers

    # -- from any thread ------------------------------------------------------------------------------------------

    def cancel(self, number: int, cause: BaseException) -> None:
        """Cancels the context of a task in the child; 0: of whatever runs there. Never blocks."""
        parts = pack((number, cause))
        try:
            with self.lock:
                self.control.send(parts)
        except OSError:
            pass

    def cut_off_after(self, grace: float, number: int, patience: float) -> None:
        """Terminates the child if that task still is its first after ``grace`` seconds, and kills it ``patience`` seconds
        later."""

        def still() -> bool:
            return not self.gone and bool(self.in_flight) and self.in_flight[0][0] == number

        def terminate() -> None:
            if still():
                self.terminate()
                self._after(patience, lambda: self.kill() if still() else None)

        self._after(grace, terminate)

    def _after(self, seconds: float, fn: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, fn)
        timer.daemon = True
        timer.name = f"{self.name}-grace"
        with self.lock:
            if self.gone:
                return
            self._timers = [other for other in self._timers if other.is_alive()]
            self._timers.append(timer)
            timer.start()

    def terminate(self) -> None:
        """Asks the child to interrupt what runs, destroy its resource, and end."""
        spawned = self._spawned
        if spawned is not None and spawned.pid and spawned.status is None:
            send_signal(spawned.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Ends the child at once, born or not."""
        self._killed = True
        spawned = self._spawned
        if spawned is not None:
            spawned.kill()

    # -- the end --------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Tells the child to destroy its resource and end."""
        try:
            self.wire.send(pack(LEAVE))
        except OSError:
            pass

    def begun_at_death(self) -> list[InFlightTask]:
        """Takes out of ``flights`` and returns what has begun, and so may have been executed: one task at most."""
        begun = len(self.in_flight) - self._drain()
        return [self.in_flight.popleft() for _ in range(max(0, begun))]

    def death(self) -> WorkerLost:
        """How the child died, once it has; waits a moment for those words."""
        spawned = self._spawned
        if spawned is None or not spawned.ended.wait(_EXIT_PATIENCE):
            return WorkerLost(f"the process of worker {self.name} closed its end of the connection")
        return WorkerLost(f"the process of worker {self.name} (pid {spawned.pid}) died: {ending(spawned.status)}")

    def close(self) -> None:
        """Waits for the child's end, kills it if that takes long, and closes everything. Harmless when repeated."""
        with self.lock:
            first, self.gone = not self.gone, True
            timers, self._timers = self._timers, []
        for timer in timers:
            timer.cancel()
        if not first or not hasattr(self, "wire"):
            return
        spawned = self._spawned
        if spawned is not None and spawned.pid:
            # Its last words were read; so it has nothing left to do but to exit. Closing first ends one that waits for more.
            self.control.data.close()
            if not spawned.ended.wait(_EXIT_PATIENCE):
                self.kill()
                spawned.ended.wait(_EXIT_PATIENCE)  # longer only where the nursery was stopped
        self.control.data.close()
        self.wire.close()
        for fd in (self._permits, self._permit, self._nudged, self._nudge):
            os.close(fd)


def _answer(message: bytes | list[Any] | OSError) -> Answer:
    if isinstance(message, OSError):
        return GARBLED, message
    try:
        answer: Answer = unpack(message if isinstance(message, list) else [message])
    except THEIRS as fault:
        return GARBLED, fault
    return answer


def ending(status: int | None) -> str:
    """A status in words."""
    if status == FORK_SERVER_LOST:
        return "the process that had started it was killed"
    if status is not None and status < 0:
        try:
            return f"signal {signal.Signals(-status).name}"
        except ValueError:
            return f"signal {-status}"
    return f"exit code {status}"
