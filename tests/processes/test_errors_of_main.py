"""Errors of a script's own classes, and groups of errors, arrive as they were raised."""

from __future__ import annotations

from .programs import Program

ERRORS = """
    import dataclasses, sys, threading
    from tasker import Config, ProcessBackend, TaskManager

    @dataclasses.dataclass(frozen=True)
    class Refused(Exception):
        code: int
        why: str = "no reason"

    @dataclasses.dataclass(frozen=True, slots=True)
    class Slotted(Exception):
        code: int

    class Holding(Exception):
        def __init__(self, text):
            super().__init__(text)
            self.lock = threading.Lock()

    class Batch(ExceptionGroup):
        def __new__(cls, errors, number):
            batch = super().__new__(cls, "a batch", errors)
            batch.number = number
            return batch

        def derive(self, errors):
            return Batch(errors, self.number)

    def fail(ctx, resource, kind, *args, **more):
        raise kind(*args, **more)

    def caused():
        error = ValueError("deep")
        error.__cause__ = KeyError("cause")
        error.add_note("a note")
        return error

    def fail_with_group(ctx, resource):
        raise ExceptionGroup("several", [caused(), Holding("a lock"), Refused(5), ExceptionGroup("inner", [Slotted(6)])])

    def fail_with_batch(ctx, resource):
        raise Batch([ValueError(1)], 7)

    def fail_hard(ctx, resource):
        raise BaseExceptionGroup("hard", [KeyboardInterrupt()])

    def main():
        backend = ProcessBackend()
        with TaskManager(Config(on_create=object, worker_count=1, resource_pool_size=0, backend=backend)) as manager:
            for task in (lambda c, r: fail(c, r, Refused, 3), lambda c, r: fail(c, r, Refused, code=4, why="so"),
                         lambda c, r: fail(c, r, Slotted, code=5)):
                print(repr(manager.submit(task).exception(30)))
            group = manager.submit(fail_with_group).exception(30)
            value, holding, refused, inner = group.exceptions
            print(type(group).__name__, group.message, [type(error).__name__ for error in group.exceptions])
            print(repr(value.__cause__), value.__notes__, holding, repr(refused), repr(inner.exceptions[0]))
            batch = manager.submit(fail_with_batch).exception(30)
            print(type(batch) is Batch, batch.number, batch.args, batch.message)
            print(repr(manager.submit(fail_hard).exception(30)))

    if __name__ == "__main__":
        main()
"""


def test_frozen_errors_and_groups(program: Program) -> None:
    """Errors whose class forbids assignment arrive whole; of a group, each member arrives for itself, and one that
    cannot travel spoils no other."""
    assert program.run(ERRORS).splitlines() == [
        "Refused(code=3, why='no reason')",
        "Refused(code=4, why='so')",
        "Slotted(code=5)",
        "ExceptionGroup several ['ValueError', 'Holding', 'Refused', 'ExceptionGroup']",
        "KeyError('cause') ['a note'] a lock Refused(code=5, why='no reason') Slotted(code=6)",
        "True 7 ([ValueError(1)], 7) a batch",
        "BaseExceptionGroup('hard', [KeyboardInterrupt()])",
    ]
