"""Objects of the test process, used from a child process.

A test hands closures to tasks that write to its lists, wait at its gates and ask its scripts. Where the task runs in a child,
`Bridge.travels` gives the function other cells: each mutable object in them becomes a `Far`, which pickles as its number and
does whatever is asked of it over a socket, in the test process. On its way back a `Far` becomes the object itself again. So the
body of the task runs in the child and the books of the test stay where the test reads them.
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
"""What a task and its test have in common; everything else travels by value."""


class Method:
    """Stands for a bound method in an answer."""


def _get(target: Any, name: str) -> Any:
    value = getattr(target, name)
    return Method() if inspect.isroutine(value) else value


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
BRIDGES: dict[str, Bridge] = {}
"""Those of this process, by address."""
_lines = threading.local()


class Bridge:
    """The objects of one test that its children use. To be closed."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="far-")
        self.address = os.path.join(self._folder, "socket")
        self.pids: set[int] = set()
        """Processes that called."""
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self._closed = False
        self._listener = Listener(self.address, "AF_UNIX", backlog=128)
        BRIDGES[self.address] = self
        _start(self._accept)

    def close(self) -> None:
        """Take no more calls."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError):
                Client(self.address, "AF_UNIX").close()  # wakes the one who accepts
            self._listener.close()
            del BRIDGES[self.address]
            shutil.rmtree(self._folder, ignore_errors=True)

    def share(self, value: Any) -> Any:
        """What stands for `value` in a child: a Far for what is shared, else itself."""
        if isinstance(value, tuple):
            return tuple(map(self.share, value)) if type(value) is tuple else value
        if isinstance(value, threading.Thread):
            return value.name
        if isinstance(value, asyncio.Lock) or not isinstance(value, SHARED) or isinstance(value, Far | FarGate):
            return value
        return self._far(value)

    def _far(self, value: Any) -> Any:
        with self._lock:
            number = self._numbers.get(id(value))
            if number is None:
                number = self._numbers[id(value)] = next(self._count)
                self._objects[number] = value
        return far(self.address, number, isinstance(value, Gate))

    def travels(self, thing: Any, memo: dict[int, Any] | None = None) -> Any:
        """A function, bound method or local class whose free variables are shared with this process."""
        memo = {} if memo is None else memo
        if isinstance(thing, types.MethodType):
            return _bound(thing.__func__, self._far(thing.__self__))
        if isinstance(thing, type) and "<locals>" in thing.__qualname__:
            methods = {name: self.travels(v) for name, v in vars(thing).items() if isinstance(v, types.FunctionType)}
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
            new = memo[id(cell)] = types.CellType()
            with contextlib.suppress(ValueError):  # an empty one
                value = cell.cell_contents
                new.cell_contents = self.travels(value, memo) if callable(value) else self.share(value)
        return memo[id(cell)]

    def find(self, number: int) -> Any:
        """The object of that number."""
        return self._objects[number]

    def _accept(self) -> None:
        while not self._closed:
            try:
                line = self._listener.accept()
            except OSError:
                continue
            _start(self._serve, line)

    def _serve(self, line: Connection) -> None:
        with line:
            with socket.socket(fileno=os.dup(line.fileno())) as peer:
                credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid = struct.unpack("3i", credentials)[0]
            if pid != os.getpid():
                self.pids.add(pid)
            while True:
                try:
                    number, operation, args = pickle.loads(line.recv_bytes())
                    line.send_bytes(self._answer(number, operation, args))
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


def far(address: str, number: int, gate: bool = False) -> Any:
    """The object itself where it lives, a Far (or FarGate) elsewhere."""
    return FarGate(Far(address, number)) if gate else Far(address, number)


def arrive(address: str, number: int, gate: bool) -> Any:
    """What a Far becomes when it is unpickled."""
    bridge = BRIDGES.get(address)
    return far(address, number, gate) if bridge is None else bridge.find(number)


def ask(target: Far, operation: str, *args: Any) -> Any:
    """Have `operation` done where the object lives; its result or its error."""
    address, number = object.__getattribute__(target, "_place")
    bridge = BRIDGES.get(address)
    if bridge is not None:
        return OPERATIONS[operation](bridge.find(number), *args)
    import cloudpickle

    lines: dict[Any, Connection] = _lines.__dict__.setdefault("open", {})
    key = (os.getpid(), address)
    if key not in lines:
        lines[key] = Client(address, "AF_UNIX")
    line = lines.pop(key)  # whatever interrupts the exchange, half of an answer is not read by the next one
    line.send_bytes(cloudpickle.dumps((number, operation, args)))
    fine, value = pickle.loads(line.recv_bytes())
    lines[key] = line
    if fine:
        return value
    raise value


class Far:
    """An object in another process."""

    def __init__(self, address: str, number: int) -> None:
        object.__setattr__(self, "_place", (address, number))

    def __reduce__(self) -> Any:
        return arrive, (*object.__getattribute__(self, "_place"), False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = ask(self, "get", name)
        return (lambda *args: ask(self, "call", name, *args)) if isinstance(value, Method) else value

    def __setattr__(self, name: str, value: Any) -> None:
        ask(self, "set", name, value)

    def __len__(self) -> int:
        return int(ask(self, "len"))

    def __bool__(self) -> bool:
        return bool(ask(self, "bool"))

    def __next__(self) -> Any:
        return ask(self, "next")

    def __iter__(self) -> Any:
        return iter(ask(self, "iter"))

    def __contains__(self, item: Any) -> bool:
        return bool(ask(self, "contains", item))

    def __getitem__(self, key: Any) -> Any:
        return ask(self, "item", key)

    def __enter__(self) -> Any:
        return ask(self, "enter")

    def __exit__(self, *error: object) -> Any:
        return ask(self, "exit")

    def __eq__(self, other: object) -> bool:
        place = object.__getattribute__(self, "_place")
        return isinstance(other, Far) and bool(object.__getattribute__(other, "_place") == place)

    def __hash__(self) -> int:
        return hash(object.__getattribute__(self, "_place"))

    def __repr__(self) -> str:
        return f"far {ask(self, 'repr')}"


class FarGate(Gate):
    """A gate in another process."""

    def __init__(self, target: Far) -> None:
        self._target = target

    def __reduce__(self) -> Any:
        return arrive, (*object.__getattribute__(self._target, "_place"), True)

    def open(self) -> None:
        """Let everyone through."""
        ask(self._target, "call", "open")

    @property
    def is_open(self) -> bool:
        """Whether the door is open."""
        return bool(ask(self._target, "get", "is_open"))

    @property
    def arrived(self) -> int:
        """How many came to the door so far."""
        return int(ask(self._target, "get", "arrived"))

    def arrive(self) -> None:
        """Count oneself, without waiting."""
        ask(self._target, "call", "arrive")

    def pass_through(self) -> None:
        """Count oneself and block until the door is open."""
        ask(self._target, "call", "pass_through")

    async def apass_through(self) -> None:
        """`pass_through` for coroutines."""
        self.arrive()
        while not self.is_open:
            await asyncio.sleep(POLL)


def _bound(function: Callable[..., Any], target: Any) -> Callable[..., Any]:
    """A bound method whose object is far away, of the same kind: coroutine function or not."""
    if inspect.iscoroutinefunction(function):

        async def abound(*args: Any) -> Any:
            return await function(target, *args)

        return abound

    def bound(*args: Any) -> Any:
        return function(target, *args)

    return bound


def _start(function: Callable[..., Any], *args: Any) -> None:
    # Named as the calls of the contract, which its audit of threads leaves out: one may be waiting at a gate.
    threading.Thread(target=function, args=args, name="contract-call", daemon=True).start()
