"""Objects that do something bad at a chosen moment of their journey, in the process where that moment comes."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import pickle
import resource
import sys
from typing import Any

from support.files_between_processes import FileGate

WAYS = {
    "error": "an error",
    "exit": "sys.exit",
    "end": "the end of the process, code 0",
    "crash": "a segmentation fault",
}


def misbehave(way: str) -> Any:
    """Raise, leave, end or crash."""
    if way == "error":
        raise pickle.PicklingError("it misbehaves")
    if way == "exit":
        sys.exit(7)
    if way == "interrupt":
        raise KeyboardInterrupt
    if way == "cancelled":
        raise asyncio.CancelledError
    if way == "end":
        os._exit(0)
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)
    raise AssertionError(way)


class WhenPickled:
    """Misbehaves in the process that pickles it."""

    def __init__(self, way: str) -> None:
        self.way = way

    def __reduce__(self) -> Any:
        return misbehave(self.way)


class WhenUnpickled:
    """Misbehaves in the process that unpickles it."""

    def __init__(self, way: str) -> None:
        self.way = way

    def __reduce__(self) -> Any:
        return misbehave, (self.way,)


class WhenDropped:
    """Misbehaves when its last reference goes, unless that is in the process where it was made."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.home = os.getpid()

    def __del__(self) -> None:
        if os.getpid() != self.home:
            misbehave(self.way)


def take(ctx: Any, thing: Any, value: Any) -> str:
    """Take an argument, and do nothing with it."""
    return "taken"


def give(ctx: Any, thing: Any, kind: type, way: str) -> Any:
    """Return such an object."""
    return kind(way)


def do(ctx: Any, thing: Any, way: str) -> Any:
    """Misbehave in the task."""
    return misbehave(way)


def start_and_do(ctx: Any, thing: Any, door: FileGate, way: str) -> Any:
    """Wait at the door; then misbehave."""
    door.pass_through()
    return misbehave(way)
