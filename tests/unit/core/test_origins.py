"""Where a resource that was left behind was made."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator

from tasker import Config, TaskManager
from tasker.core.origins import Origins, place_of
from tasker.core.stacks import stack_of_caller


def connect() -> object:
    """Makes a resource."""
    return object()


@contextlib.contextmanager
def opened() -> Iterator[object]:
    """The same as a context manager."""
    yield object()


CONFIG = Config(on_create=connect, worker_count=1)


def test_the_living() -> None:
    """A resource is shown from its creation to its end, with its owner and with the lines from where it was made."""
    origins, one, other = Origins(), object(), object()
    origins.made(one, "crew-1", CONFIG)
    origins.made(other, "run_task", CONFIG)
    assert len(origins.living) == 2
    origins.ended(other)
    origins.ended(other)
    (text,) = origins.living
    assert text.startswith(f"the resource of crew-1, made by connect ({__file__}:")
    assert 'in test_the_living\n    origins.made(one, "crew-1", CONFIG)' in text
    origins.ended(one)
    assert origins.living == ()


def test_places() -> None:
    """Of a function the line, of a wrapped one that of what it wraps, and of anything else what it is called."""
    line = connect.__code__.co_firstlineno
    assert place_of(connect) == f"connect ({__file__}:{line})"
    assert place_of(opened) == f"opened ({__file__}:{opened.__wrapped__.__code__.co_firstlineno})"  # type: ignore[attr-defined]
    assert place_of(object) == "object"
    assert place_of(functools.partial(connect)).startswith("functools.partial(")


def test_a_thread_of_the_library_has_no_caller() -> None:
    """There the stack would say nothing but how threads begin."""
    config = Config(on_create=connect, worker_count=1, name="crew", resource_pool_size=0, debug=True)
    with TaskManager(config) as m:
        m.queue_task(lambda ctx, resource: None)
        origins = m._engine.counters.origins
        assert origins is not None
        assert origins.living == (f"the resource of crew-1, made by {place_of(connect)}",)
    assert origins.living == ()


def test_only_the_innermost_of_many_frames() -> None:
    """A deep recursion does not fill the log, and the machinery of threads is left out."""
    seen: list[str] = []

    def even(levels: int) -> None:
        odd(levels - 1)

    def odd(levels: int) -> None:
        if levels > 0:
            even(levels - 1)
        else:
            seen.append(stack_of_caller())

    thread = threading.Thread(target=even, args=(50,))
    thread.start()
    thread.join()
    assert seen[0].count("  File ") == 20
    assert "threading.py" not in seen[0]
