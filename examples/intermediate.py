"""Health checks, retries and priorities: a pool of sessions to a service that drops some of them.

Run it with: python examples/intermediate.py
"""

from __future__ import annotations

import itertools
import sys
import threading

from tasker import Config, Context, MaxRetriesExceeded, Priority, TaskManager


class SessionDropped(Exception):
    """The session is broken: no other task may get it."""


class NoSuchOrder(Exception):
    """The session is healthy: the request was wrong."""


serial_numbers = itertools.count(1)


def say(text: str) -> None:
    """Prints a line in one piece, since the workers print as well."""
    sys.stdout.write(f"{text}\n")


class Session:
    """A session that the service drops after its third request."""

    def __init__(self) -> None:
        self.serial = next(serial_numbers)
        self.requests = 0
        say(f"  session {self.serial} opened")

    def fetch(self, order: int) -> str:
        self.requests += 1
        if self.requests > 3:
            raise SessionDropped(f"session {self.serial} was dropped")
        if order < 0:
            raise NoSuchOrder(f"there is no order {order}")
        return f"order {order} through session {self.serial}"

    def close(self) -> None:
        say(f"  session {self.serial} closed after {self.requests} requests")


def fetch(_ctx: Context, session: Session, order: int) -> str:
    return session.fetch(order)


def is_healthy(error: BaseException) -> bool:
    """Judges each error of a task; False blames the resource."""
    return not isinstance(error, SessionDropped)


def retries() -> None:
    say("Retries: sessions die, no order is lost")
    config = Config(
        on_create=Session,
        on_destroy=Session.close,
        check_health=is_healthy,
        worker_count=2,
        max_retries=3,
        resource_pool_size=0,
    )
    with TaskManager(config) as manager:
        futures = [manager.submit(fetch, order) for order in range(1, 9)]
        for future in futures:
            say(f"  {future.result()} (attempt {future.attempts})")

        # The task is at fault: no retry. Its caller gets the error at once, and the session stays in service.
        try:
            manager.queue_task(fetch, -1)
        except NoSuchOrder as error:
            say(f"  failed without a retry: {error}")
    stats = manager.stats()
    say(f"  workers replaced: {stats.replaced_workers}, resources: {stats.resources}")


def giving_up() -> None:
    say("Giving up: an order that breaks every session it meets")

    def poison(_ctx: Context, session: Session) -> None:
        raise SessionDropped(f"session {session.serial} broke")

    config = Config(
        on_create=Session,
        on_destroy=Session.close,
        check_health=is_healthy,
        worker_count=1,
        max_retries=1,
        resource_pool_size=0,
    )
    with TaskManager(config) as manager:
        try:
            manager.queue_task(poison)
        except MaxRetriesExceeded as error:
            say(f"  {error} (attempts: {error.attempts}, last error: {error.__cause__!r})")

        # `once`: a task that must not run twice is never retried.
        try:
            manager.queue_task(poison, once=True)
        except SessionDropped as error:
            say(f"  once: {error!r}")


def priorities() -> None:
    say("Priorities: strict between the levels, first come first served inside one")
    order: list[str] = []
    gate = threading.Event()

    def hold(_ctx: Context, _resource: None) -> None:
        gate.wait()

    def note(_ctx: Context, _resource: None, name: str) -> None:
        order.append(name)

    with TaskManager(Config(on_create=lambda: None, worker_count=1, burst_interval=0)) as manager:
        manager.submit(hold)  # the only worker is busy, so the others have to queue
        manager.submit(note, "report 1", priority=Priority.LOW)
        manager.submit(note, "page 1")
        manager.submit(note, "page 2")
        manager.submit(note, "payment 1", priority=Priority.HIGH)
        manager.submit(note, "payment 2", priority=Priority.HIGH)
        gate.set()
    say("  " + ", ".join(order))


if __name__ == "__main__":
    retries()
    giving_up()
    priorities()
