"""Objects of the test process, used by code that runs in a child process.

A test hands closures to tasks, and these append to its lists, wait at its gates and follow its scripts. Where a task runs in a
child process, `ObjectServer.for_child` copies the closure and replaces each shared object in its cells by a `RemoteObject`. A
RemoteObject pickles as a number; whatever it is asked to do, it sends over a socket to the test process, which does it there
and sends the outcome back. On its way back to the test process a RemoteObject becomes the object itself again. So the body of
a task runs in the child, and the test reads what happened from its own lists.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import inspect
import itertools
import operator
import os
import pickle
import shutil
import socket
import struct
import tempfile
import threading
import types
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from support.gates import Gate
from support.resources import Resource, ScriptedResources
from support.waiting import POLL

SHARED = (
    list,
    dict,
    set,
    collections.deque,
    Iterator,
    type(threading.Lock()),
    contextlib.AbstractContextManager,
    Gate,
    Resource,
    ScriptedResources,
)
"""Types whose objects a task shares with its test; objects of all other types travel by value."""


class MethodMarker:
    """Stands for a bound method in an answer."""


def _get(target: Any, name: str) -> Any:
    value = getattr(target, name)
    return MethodMarker() if inspect.isroutine(value) else value


OPERATIONS: dict[str, Callable[..., Any]] = {
    "get": _get,
    "set": setattr,
    "call": lambda target, name, *args: getattr(target, name)(*args),
    "len": len,
    "bool": bool,
    "next": next,
    "iter": lambda target: tuple(target),
    "contains": operator.contains,
    "item": operator.getitem,
    "enter": lambda target: target.__enter__(),
    "exit": lambda target: target.__exit__(None, None, None),
    "repr": repr,
}
SERVERS: dict[str, ObjectServer] = {}
"""The servers of this process, by address."""
_connections = threading.local()


class ObjectServer:
    """Serves the objects of one test to its child processes. To be closed."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="objects-")
        self.address = os.path.join(self._folder, "socket")
        self.pids: set[int] = set()
        """Processes that have sent a request."""
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self._closed = False
        self._listener = Listener(self.address, "AF_UNIX", backlog=128)
        SERVERS[self.address] = self
        _start(self._accept)

    def close(self) -> None:
        """Stop serving."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError):
                Client(self.address, "AF_UNIX").close()  # accept() returns only for a new connection
            self._listener.close()
            del SERVERS[self.address]
            shutil.rmtree(self._folder, ignore_errors=True)

    def share(self, value: Any) -> Any:
        """Return what stands for `value` in a child: a RemoteObject for a shared type, otherwise the value itself."""
        if isinstance(value, tuple):
            return tuple(map(self.share, value)) if type(value) is tuple else value
        if isinstance(value, threading.Thread):
            return value.name
        if isinstance(value, asyncio.Lock | RemoteObject | RemoteGate) or not isinstance(value, SHARED):
            return value
        return self._reference(value)

    def _reference(self, value: Any) -> Any:
        with self._lock:
            number = self._numbers.get(id(value))
            if number is None:
                number = self._numbers[id(value)] = next(self._count)
                self._objects[number] = value  # keeps it alive, so that its id is not used again
        return reference(self.address, number, isinstance(value, Gate))

    def for_child(self, thing: Any, memo: dict[int, Any] | None = None) -> Any:
        """Return a copy of a function, bound method or local class that shares its free variables with this process."""
        memo = {} if memo is None else memo
        if isinstance(thing, types.MethodType):
            return _bound(thing.__func__, self._reference(thing.__self__))
        if isinstance(thing, type) and "<locals>" in thing.__qualname__:
            methods = {
                name: self.for_child(v, memo) for name, v in vars(thing).items() if isinstance(v, types.FunctionType)
            }
            return type(thing.__name__, (thing,), methods)
        if not isinstance(thing, types.FunctionType) or not thing.__closure__ or "<locals>" not in thing.__qualname__:
            return thing
        if id(thing) not in memo:
            cells = tuple(self._cell(cell, memo) for cell in thing.__closure__)
            copy = types.FunctionType(thing.__code__, thing.__globals__, thing.__name__, thing.__defaults__, cells)
            copy.__kwdefaults__ = thing.__kwdefaults__
            copy.__qualname__, copy.__module__ = thing.__qualname__, thing.__module__
            memo[id(thing)] = copy
        return memo[id(thing)]

    def _cell(self, cell: Any, memo: dict[int, Any]) -> Any:
        if id(cell) not in memo:
            # In the memo before it is filled, for a function that refers to itself.
            new = memo[id(cell)] = types.CellType()
            with contextlib.suppress(ValueError):  # the cell is empty
                value = cell.cell_contents
                new.cell_contents = self.for_child(value, memo) if callable(value) else self.share(value)
        return memo[id(cell)]

    def find(self, number: int) -> Any:
        """Return the object of that number."""
        return self._objects[number]

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection = self._listener.accept()
            except OSError:
                continue
            _start(self._serve, connection)

    def _serve(self, connection: Connection) -> None:
        with connection:
            with socket.socket(fileno=os.dup(connection.fileno())) as peer:
                credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid = struct.unpack("3i", credentials)[0]
            if pid != os.getpid():
                self.pids.add(pid)
            while True:
                try:
                    number, operation, args = pickle.loads(connection.recv_bytes())
                    connection.send_bytes(self._answer(number, operation, args))
                except (EOFError, OSError):
                    return

    def _answer(self, number: int, operation: str, args: tuple[Any, ...]) -> bytes:
        import cloudpickle

        try:
            outcome = (True, self.share(OPERATIONS[operation](self.find(number), *args)))
        except BaseException as error:
            outcome = (False, error)
        packed: bytes = cloudpickle.dumps(outcome)
        return packed


def reference(address: str, number: int, gate: bool = False) -> Any:
    """Return a RemoteObject, or a RemoteGate, for an object of the server at that address."""
    return RemoteGate(RemoteObject(address, number)) if gate else RemoteObject(address, number)


def resolve(address: str, number: int, gate: bool) -> Any:
    """Unpickle a RemoteObject: in the process that serves the object, return the object itself."""
    server = SERVERS.get(address)
    return reference(address, number, gate) if server is None else server.find(number)


def request(target: RemoteObject, operation: str, *args: Any) -> Any:
    """Have the server do `operation`; return its result or raise its error."""
    address, number = object.__getattribute__(target, "_address")
    server = SERVERS.get(address)
    if server is not None:
        return OPERATIONS[operation](server.find(number), *args)
    import cloudpickle

    connections: dict[Any, Connection] = _connections.__dict__.setdefault("open", {})
    key = (os.getpid(), address)
    if key not in connections:
        connections[key] = Client(address, "AF_UNIX")
    # Out of the table meanwhile: if the exchange is interrupted, the next request does not read the rest of this answer.
    connection = connections.pop(key)
    connection.send_bytes(cloudpickle.dumps((number, operation, args)))
    succeeded, value = pickle.loads(connection.recv_bytes())
    connections[key] = connection
    if succeeded:
        return value
    raise value


class RemoteObject:
    """Stands for an object that lives in another process."""

    def __init__(self, address: str, number: int) -> None:
        object.__setattr__(self, "_address", (address, number))

    def __reduce__(self) -> Any:
        return resolve, (*object.__getattribute__(self, "_address"), False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = request(self, "get", name)
        return (lambda *args: request(self, "call", name, *args)) if isinstance(value, MethodMarker) else value

    def __setattr__(self, name: str, value: Any) -> None:
        request(self, "set", name, value)

    def __len__(self) -> int:
        return int(request(self, "len"))

    def __bool__(self) -> bool:
        return bool(request(self, "bool"))

    def __next__(self) -> Any:
        return request(self, "next")

    def __iter__(self) -> Any:
        return iter(request(self, "iter"))

    def __contains__(self, item: Any) -> bool:
        return bool(request(self, "contains", item))

    def __getitem__(self, key: Any) -> Any:
        return request(self, "item", key)

    def __enter__(self) -> Any:
        return request(self, "enter")

    def __exit__(self, *error: object) -> Any:
        return request(self, "exit")

    def __eq__(self, other: object) -> bool:
        address = object.__getattribute__(self, "_address")
        return isinstance(other, RemoteObject) and bool(object.__getattribute__(other, "_address") == address)

    def __hash__(self) -> int:
        return hash(object.__getattribute__(self, "_address"))

    def __repr__(self) -> str:
        return f"remote {request(self, 'repr')}"


class RemoteGate(Gate):
    """Stands for a Gate that lives in another process."""

    def __init__(self, target: RemoteObject) -> None:
        self._target = target

    def __reduce__(self) -> Any:
        return resolve, (*object.__getattribute__(self._target, "_address"), True)

    def open(self) -> None:
        """Let every arrival through, now and later."""
        request(self._target, "call", "open")

    @property
    def is_open(self) -> bool:
        """Whether the gate is open."""
        return bool(request(self._target, "get", "is_open"))

    @property
    def arrived(self) -> int:
        """The number of arrivals so far."""
        return int(request(self._target, "get", "arrived"))

    def arrive(self) -> None:
        """Count an arrival, without waiting."""
        request(self._target, "call", "arrive")

    def pass_through(self) -> None:
        """Count an arrival and block until the gate is open."""
        request(self._target, "call", "pass_through")

    async def apass_through(self) -> None:
        """Do what `pass_through` does, in a coroutine."""
        self.arrive()
        while not self.is_open:
            await asyncio.sleep(POLL)


def _bound(function: Callable[..., Any], target: Any) -> Callable[..., Any]:
    """Return a bound method of a remote object; a coroutine function gives a coroutine function."""
    if inspect.iscoroutinefunction(function):

        async def abound(*args: Any) -> Any:
            return await function(target, *args)

        return abound

    def bound(*args: Any) -> Any:
        return function(target, *args)

    return bound


def _start(function: Callable[..., Any], *args: Any) -> None:
    # The audit of threads ignores this name: such a thread may still be blocked at a gate.
    threading.Thread(target=function, args=args, name="contract-call", daemon=True).start()
