"""ResourcePool: holds the resources of ``run_task``."""

from __future__ import annotations

import math
import threading
from collections import deque
from contextlib import suppress

from tasker.control.callers import CallerGate
from tasker.control.events import PoolRenewed
from tasker.control.pool_probes import next_probe_at, next_to_probe
from tasker.core.ages import UNKNOWN, Ages
from tasker.core.flag import Flag
from tasker.core.ports import CreationsPort
from tasker.core.snapshots import snapshot
from tasker.errors import ResourceError, ShutdownError, TaskKilled
from tasker.logs import describe
from tasker.worker_info import WorkerInfo

from .resources import ResourceHandle, ResourceMaker, uninterrupted


class Lease:
    """Records what one call has from the pool. It is up to date at every moment, so that an interrupted call can return
    exactly what it has."""

    # Defaults in the class instead of an ``__init__``, whose call each ``run_task`` would pay for.
    handle: ResourceHandle | None = None
    asks: bool = False
    """Whether the call has asked if it may make a resource, so that it may be the probe of the circuit breaker."""
    lacks: bool = False
    """Whether the call has used up a pooled resource that the pool now lacks."""
    temporary: bool = False
    """Whether the call counts as the user of a temporary resource, even if it is not made yet."""


class _ParentsMaker:
    """Stands in for the maker in a forked child."""

    def make(self, worker: WorkerInfo | None = None) -> ResourceHandle:
        raise ShutdownError("resources exist in the parent process only")

    def end(self, handle: ResourceHandle) -> None:
        pass


class ResourcePool:
    """Keeps a pool of resources full, and makes temporary ones beyond it. Thread-safe."""

    def __init__(self, engine: CreationsPort, maker: ResourceMaker, size: int, max_temporary: int | None) -> None:
        self._engine = engine
        self._gate = CallerGate()
        self._maker: ResourceMaker = maker
        self.ages: Ages = Ages()
        self._size = size
        self._max_temporary = max_temporary
        self._idle: deque[ResourceHandle] = deque()
        self._cools = False
        """Whether some of them may have to cool down."""
        self._going: list[Flag] = []
        """For each resource that has gone by itself and is being ended: set when it is."""
        self._temporary = 0
        self._closed = False
        self._emptied = False
        # Held while the idle resources are destroyed, so that another thread that closes the pool meanwhile waits. Reentrant, because
        # a signal handler may end the manager in the middle.
        self._closing = threading.RLock()
        # No resource is made or destroyed under it: that is user code. Reentrant, because a signal handler or a finalizer
        # may call ``run_task`` in the middle of another call; where that would see half a step, nothing is called.
        self._lock = threading.RLock()

    def fill(self) -> None:
        """Makes the pool's resources. If one fails, destroys those that were made, and raises ``ResourceError``."""
        try:
            for _ in range(self._size):
                age = self.ages.begin()
                for handle in uninterrupted(self._maker.make):
                    handle.age = age
                    self._idle += (handle,)  # no call, as in ``release``
                    break
                else:
                    raise RuntimeError("its function raised StopIteration")
        except BaseException as error:
            self.close()
            text = f"failed to initialize resource pool, {self._size} wanted (resource_pool_size): {describe(error)}"
            if issubclass(type(error), KeyboardInterrupt):
                raise
            raise ResourceError(text) from error

    @property
    def closed(self) -> bool:
        """Whether ``close`` has begun."""
        return self._closed

    @property
    def emptied(self) -> bool:
        """Whether ``close`` has destroyed all idle resources."""
        return self._emptied

    @property
    def available(self) -> int:
        """The number of idle resources in the pool."""
        now = self._engine.now() if self._cools else math.inf
        return sum(handle.cools_until <= now for handle in snapshot(self._idle))

    def acquire(self, lease: Lease) -> None:
        """Lends an idle resource or, if there is none, makes a temporary one. Raises ``ResourceError`` if that fails or
        ``max_temporary`` are in use, and ``ShutdownError`` after ``close``."""
        with self._lock:
            if self._closed:
                raise ShutdownError("task manager is shutting down")
            if self._idle and not (self._cools and self._all_cool()):
                # The one used last, which is most likely still warm. Not ``pop``: a KeyboardInterrupt can be raised
                # when a call returns, and then neither the pool nor the lease would have the resource.
                lease.handle = self._idle[-1]
                del self._idle[-1]
                return
            if self._max_temporary is not None and self._temporary >= self._max_temporary:
                raise ResourceError(
                    f"all {self._size} pooled and {self._temporary} temporary resources are in use "
                    f"(max_temporary_resources={self._max_temporary})"
                )
            begun = self._begin(lease, "temporary resource")
            # Counted before it is made, and without a call in between, as above.
            self._temporary += 1
            lease.temporary = True
        self._make(lease, begun, "temporary resource")

    def _all_cool(self) -> bool:
        """Returns whether each idle resource has to cool down; if not, one that has not is the last one now."""
        now = self._engine.now()
        warm = [index for index, handle in enumerate(self._idle) if handle.cools_until <= now]
        self._cools = len(warm) < len(self._idle)
        if warm:
            self._idle += (self._idle[warm[-1]],)
            del self._idle[warm[-1]]  # no call in between, as in ``release``
        return not warm

    def renew(self, lease: Lease) -> ResourceHandle:
        """Replaces a lent resource that must not be used any more; returns the new one. Raises ``ResourceError``."""
        handle = lease.handle
        assert handle is not None
        # It stays in the lease until it is ended: if this is interrupted, ``release`` ends it, if need be, and does not keep what
        # has no age. Until the new one is made, the pool lacks one, so that it is refilled if that fails.
        age, handle.age = handle.age, UNKNOWN
        lease.lacks = not lease.temporary
        self._maker.end(handle)
        lease.handle = None
        self.ages.forget(age)
        what = "resource in place of one that was worn out"
        with self._lock:
            begun = self._begin(lease, what)
        made = self._make(lease, begun, what)
        lease.lacks = False
        return made

    def _begin(self, lease: Lease, what: str) -> float:
        """Asks whether a resource may be made, and returns the time. Raises ``ResourceError``. Called under the lock."""
        engine = self._engine
        begun = engine.now()
        lease.asks = True
        refusal = self._gate.refusal(engine.view, begun, lease)
        if refusal is not None:
            raise ResourceError(f"failed to create {what}: {refusal}")
        return begun

    def _report(self, lease: Lease, begun: float, error: str | None) -> None:
        """Reports what a creation says about all others."""
        with self._lock:
            event = self._gate.ended(self._engine.view, lease, begun, error)
            if event is not None:
                self._engine.report(event)
                self._gate.reported(error)

    def _make(self, lease: Lease, begun: float, what: str) -> ResourceHandle:
        age = self.ages.begin()
        try:
            for lease.handle in uninterrupted(self._maker.make):
                lease.handle.age = age
                break
            else:
                raise RuntimeError("its function raised StopIteration")
        except BaseException as error:
            if lease.handle is None:
                self.ages.forget(age)
            if issubclass(type(error), KeyboardInterrupt | TaskKilled):
                raise
            if not issubclass(type(error), ShutdownError):
                self._report(lease, begun, describe(error))
            raise ResourceError(f"failed to create {what}: {describe(error)}") from error
        self._report(lease, begun, None)
        made = lease.handle
        assert made is not None
        return made

    def cool(self, lease: Lease, seconds: float) -> None:
        """Has a lent resource not be lent again for so many seconds."""
        if lease.handle is not None:
            lease.handle.cools_until = self._engine.now() + seconds
            self._cools = True

    def release(self, lease: Lease, healthy: bool) -> None:
        """Ends a lease: takes the resource back, or destroys it. Records in ``lease.lacks`` whether the pool lacks one
        now. May be called again if it was interrupted: it does only what is left to do."""
        handle = lease.handle
        with self._lock:
            if lease.asks:
                self._gate.dropped(lease)
            keep = (
                handle is not None
                and healthy
                and not lease.temporary
                and not self._closed
                # As ``_is_outdated``, which would be one call more.
                and handle.age.generation == self.ages.generation
            )
            if keep and handle is not None:
                # ``+=`` is no call, so no KeyboardInterrupt can come before the next line: the resource is not put back
                # a second time.
                self._idle += (handle,)
                lease.handle = None
            gone = handle is not None and not lease.temporary and not self._closed
            # Not if it is kept, though ``renew``, which was interrupted, has noted that there was none yet.
            lease.lacks = not keep and (lease.lacks or gone)
        if handle is not None and not keep:
            # In this order: an ``end`` that is interrupted before it has begun is repeated. It destroys nothing twice.
            self._maker.end(handle)
            self.ages.forget(handle.age)
            lease.handle, handle.age = None, UNKNOWN
        if lease.temporary:
            with self._lock:
                # No call in between, so that an interrupted call that is repeated does not count it twice.
                self._temporary -= lease.temporary
                lease.temporary = False

    def lost(self, handle: ResourceHandle) -> bool:
        """Drops a resource whose process has died. Returns True if it was idle, so that the pool lacks one now."""
        gone = Flag()
        with self._lock:
            if handle not in self._idle:
                return False
            self._going.append(gone)  # before it is idle no more, so that a ``close`` finds the one or the other
            try:
                self._idle.remove(handle)
            except ValueError:  # a ``close``, which takes no lock, has ended it just now
                self._going.remove(gone)
                gone.set()
                return False
            lacks = not self._closed
        try:
            self._maker.end(handle)
        finally:
            self._forget_age(handle)
            self._going.remove(gone)
            gone.set()
        return lacks

    def take_rested(self, interval: float) -> ResourceHandle | None:
        """See ``ProbedPool``."""
        with self._lock:
            handle = next_to_probe(self._probeable(), interval, self._engine.now())
            if handle is not None:
                self._idle.remove(handle)
            return handle

    def next_probe_at(self, interval: float) -> float:
        """See ``ProbedPool``."""
        with self._lock:
            return next_probe_at(self._probeable(), interval, self._engine.now())

    def _probeable(self) -> list[ResourceHandle]:
        """Returns the idle resources that may be taken out. Not the last one where a caller could not get a temporary one."""
        if self._closed or (len(self._idle) == 1 and self._temporary == self._max_temporary):
            return []
        return [handle for handle in self._idle if not self._is_outdated(handle)]

    def put_back(self, handle: ResourceHandle) -> bool:
        """Takes back what ``take_rested`` has taken, to be lent after what was used since. Returns False if it has to be destroyed
        (see ``discard``)."""
        with self._lock:
            # One that dies from here on is found among the idle ones; see ``lost``.
            keep = handle.usable and not self._closed and not self._is_outdated(handle)
            if keep:
                self._idle.appendleft(handle)
            return keep

    def discard(self, handle: ResourceHandle) -> None:
        """Destroys what ``take_rested`` has taken."""
        try:
            self._maker.end(handle)
        finally:
            self._forget_age(handle)

    def refill(self) -> None:
        """Adds one resource to the pool. Raises what the user's function raises."""
        handle = self._make_one()
        # The pool may have been closed while the resource was made.
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle.append(handle)
        if not keep:
            self._maker.end(handle)

    def _make_one(self) -> ResourceHandle:
        age = self.ages.begin()
        try:
            handle = self._maker.make()
        except BaseException:
            self.ages.forget(age)
            raise
        handle.age = age
        return handle

    def _forget_age(self, handle: ResourceHandle) -> None:
        """No refresh waits for this resource any more."""
        self.ages.forget(handle.age)
        handle.age = UNKNOWN

    def _is_outdated(self, handle: ResourceHandle) -> bool:
        return handle.age.generation != self.ages.generation

    def renew_idle(self) -> PoolRenewed:
        """Makes a resource in place of an idle outdated one, if there is one. Raises what the user's function raises."""
        if not self._outdated():
            return PoolRenewed(left=False, made=False)
        ends = self._make_one()
        try:
            with self._lock:
                # None, if meanwhile the last of them was lent, and is destroyed when it is returned, or the pool was closed.
                outdated = self._outdated()
                if outdated and not self._closed:
                    self._idle.remove(outdated[0])
                    self._idle.append(ends)
                    ends = outdated[0]
        finally:
            self._maker.end(ends)
            self._forget_age(ends)
        return PoolRenewed(left=bool(self._outdated()))

    def _outdated(self) -> list[ResourceHandle]:
        with self._lock:
            idle = snapshot(self._idle)  # ``close`` takes them out without the lock
        return [handle for handle in idle if self._is_outdated(handle)]

    def forked(self) -> None:
        """In a forked child: the resources are the parent's, so none is destroyed here."""
        # Either may be held by a thread that does not exist here.
        self._lock, self._closing = threading.RLock(), threading.RLock()
        self._maker = _ParentsMaker()
        self._going = []
        self.ages.forked()

    def close(self) -> None:
        """Destroys the idle resources; each one in use is destroyed when it is released. Returns once all idle ones are
        destroyed, perhaps by another thread, those included that have gone by themselves. Harmless if repeated; if it
        was interrupted, the next call goes on."""
        with self._lock:
            self._closed = True
        # Without ``_lock``, one after the other, because a call in the middle of another one, in this thread, may take the next.
        # Nothing is added any more. One stays there until it is ended: if this is interrupted, the next call finds it.
        with self._closing:
            while True:
                try:
                    handle = self._idle[-1]
                except IndexError:
                    break
                self._maker.end(handle)
                with suppress(ValueError):  # taken out by such a call, or since its process has died
                    self._idle.remove(handle)
            for gone in [*self._going]:
                gone.wait()
            self._emptied = True
