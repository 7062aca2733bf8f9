"""What the functions of a script refer to goes with them, as far as each process can have its own."""

from __future__ import annotations

from .programs import Program, methods

HELPERS = """
    import dataclasses, functools, sys, threading
    from tasker import Config, ProcessBackend, TaskManager

    LOCK, AGAIN, LOCAL = threading.Lock(), threading.RLock(), threading.local()

    @functools.lru_cache(maxsize=None)
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    @dataclasses.dataclass(slots=True)
    class Point:
        x: int
        y: int = 0

    @dataclasses.dataclass(slots=True, frozen=True)
    class Fixed:
        x: int

    class Private:
        __slots__ = ("__hidden",)
        def __init__(self, hidden):
            self.__hidden = hidden
        def hidden(self):
            return self.__hidden

    class Shop:
        lock = threading.Lock()
        @functools.cached_property
        def price(self):
            with Shop.lock:
                return 5

    def cached(ctx, resource, n):
        return fibonacci(n)

    def moved(ctx, resource, point, fixed, private):
        assert not hasattr(point, "__dict__")
        return Point(point.x + 1, 2), Fixed(fixed.x + 1), Private(private.hidden() + 1)

    def locked(ctx, resource):
        seen = getattr(LOCAL, "seen", 0)
        LOCAL.seen = seen + 1
        with LOCK, AGAIN, AGAIN:
            return LOCK.locked(), seen

    def lock_of(ctx, resource):
        return LOCK, Shop.lock

    def price(ctx, resource):
        return Shop().price

    def main(method):
        backend = ProcessBackend(start_method=method)
        with TaskManager(Config(on_create=object, worker_count=1, resource_pool_size=0, backend=backend)) as manager:
            print(manager.queue_task(cached, 90))
            print(fibonacci.cache_info().currsize)
            with LOCK:
                print([manager.queue_task(locked) for _ in range(3)])
            print(manager.queue_task(price))
            point, fixed, private = manager.queue_task(moved, Point(1), Fixed(1), Private(1))
            print((point, fixed, private.hidden()) == (Point(2, 2), Fixed(2), 2))
            print(type(point) is Point, type(fixed) is Fixed, type(private) is Private)
            lock, of_class = manager.queue_task(lock_of)
            print(lock is LOCK, of_class is Shop.lock)

    if __name__ == "__main__":
        main(sys.argv[1])
"""


@methods
def test_caches_slots_and_locks(program: Program, method: str) -> None:
    """Cached functions come with an empty cache, classes with their slots; of a global lock, each process has its own,
    which its tasks share, and which is free whatever holds the one here."""
    assert program.run(HELPERS, method).splitlines() == [
        "2880067194370816120",
        "0",
        "[(True, 0), (True, 1), (True, 2)]",
        "5",
        "True",
        "True True True",
        "True True",
    ]


NAMED = """
    import sys
    from typing import Generic, NamedTuple, TypeVar
    from tasker import Config, ProcessBackend, TaskManager

    T = TypeVar("T")

    class Row(NamedTuple):
        x: int
        y: str = "none"

        def longer(self):
            return self._replace(x=self.x + 1)

    class Box(NamedTuple, Generic[T]):
        content: T

    def longer(ctx, resource, row, box):
        assert not hasattr(row, "__dict__")
        return row.longer(), Row(row.x, "made there"), Box(box.content + [row])

    def main(method):
        backend = ProcessBackend(start_method=method)
        with TaskManager(Config(on_create=object, worker_count=1, resource_pool_size=0, backend=backend)) as manager:
            row, other, box = manager.queue_task(longer, Row(1), Box([]))
            print(row, other, box)
            print(type(row) is Row, type(other) is Row, type(box) is Box, type(box.content[0]) is Row)

    if __name__ == "__main__":
        main(sys.argv[1])
"""


@methods
def test_named_tuples(program: Program, method: str) -> None:
    """The classes of `typing.NamedTuple` go there and come back."""
    assert program.run(NAMED, method).splitlines() == [
        "Row(x=2, y='none') Row(x=1, y='made there') Box(content=[Row(x=1, y='none')])",
        "True True True True",
    ]
