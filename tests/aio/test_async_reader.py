"""The reader of a session in an event loop, where two coroutines wait for its events: Ctrl-C has struck the keeper of a resource,
which ends it while a caller waits for the outcome of its task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tasker.remote.async_reader import AsyncReader


class ScriptedSession:
    """Has reported what the test says."""

    dead = False

    def __init__(self) -> None:
        self.reported: list[Any] = []
        self.at_end = False
        self.read: Callable[[], None] = lambda: None

    def watch(self, loop: asyncio.AbstractEventLoop, read: Callable[[], None]) -> Any:
        self.read = read
        return SimpleNamespace(close=lambda: None, flush=lambda: None)

    def events(self) -> list[Any]:
        if self.at_end:
            raise EOFError
        reported, self.reported = self.reported, []
        return reported

    def report(self, *events: Any) -> None:
        self.reported += events
        self.read()

    def end(self) -> None:
        self.at_end = True
        self.read()


async def two_waiting() -> tuple[ScriptedSession, AsyncReader, list[asyncio.Task[Any]]]:
    """A reader for whose events two coroutines wait."""
    session: Any = ScriptedSession()
    reader = AsyncReader(asyncio.get_running_loop(), session, lambda: None)
    waiting = [asyncio.create_task(reader.events()) for _ in range(2)]
    await asyncio.sleep(0)
    return session, reader, waiting


async def outcomes(waiting: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)


async def test_both_hear_of_the_end() -> None:
    """Each gets EOFError."""
    session, _, waiting = await two_waiting()
    session.end()
    assert [type(outcome) for outcome in await outcomes(waiting)] == [EOFError, EOFError]


async def test_both_hear_of_the_close() -> None:
    """The one whose keeper has closed the reader, and any that comes later, get EOFError."""
    _, reader, waiting = await two_waiting()
    reader.close()
    late = asyncio.create_task(reader.events())
    assert [type(outcome) for outcome in await outcomes([*waiting, late])] == [EOFError] * 3


async def test_events_go_to_one_and_the_other_waits_on() -> None:
    """Nothing is delivered twice; nothing is for both."""
    session, _, waiting = await two_waiting()
    session.report("one")
    done, pending = await asyncio.wait(waiting, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result() for task in done if task.result()] == [["one"]]
    for task in pending:
        task.cancel()


async def test_one_that_is_cancelled_takes_nothing_from_the_other() -> None:
    """The other gets what comes then."""
    session, reader, (first, second) = await two_waiting()
    second.cancel()
    await asyncio.wait([second], timeout=10)
    session.report("one")
    # Woken for nothing, it returns no events, as at the end of its time, and is asked again.
    assert (await first or await asyncio.wait_for(reader.events(), 10)) == ["one"]
