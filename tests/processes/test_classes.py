"""Classes that travel by value, as those of `__main__` do: the one that the program has is never touched."""

from __future__ import annotations

import enum
from abc import ABC
from typing import Any, ClassVar

import pytest

from tasker import RemoteTraceback


def test_a_result_leaves_its_class_alone(make: Any) -> None:
    """Attributes and registries are what the program has made of them, and no second class is registered."""
    made: list[type] = []

    class Registered:
        def __init_subclass__(cls) -> None:
            made.append(cls)

    class Square(Registered):
        results: ClassVar[list[int]] = [-1]
        factor = 1

        def __init__(self, number: int) -> None:
            self.number = number * self.factor

        def __eq__(self, other: object) -> bool:
            return type(other) is Square and other.number == self.number

        __hash__ = None  # type: ignore[assignment]

    def square(ctx: Any, thing: Any, number: int) -> Square:
        Square.results.append(99)  # in the child
        return Square(number * number)

    results = Square.results
    with make(worker_count=2) as m:
        for number in (0, 1, 2):
            value = m.queue_task(square, number)
            assert type(value) is Square
            Square.results.append(value.number)
        Square.factor = 2
        futures = [m.submit(square, number) for number in range(100)]
        assert [future.result(30).number for future in futures] == [2 * n * n for n in range(100)]
    assert Square.results is results
    assert results == [-1, 0, 1, 4]
    assert made == [Square]


def test_an_error_leaves_its_class_alone(make: Any) -> None:
    """The same for what a task raises, and for its cause."""

    class Refused(Exception):
        seen: ClassVar[list[int]] = []

    def refuse(ctx: Any, thing: Any, number: int) -> None:
        raise Refused(number) from Refused(-number)

    seen = Refused.seen
    with make() as m:
        for number in (1, 2, 3):
            with pytest.raises(Refused) as caught:
                m.queue_task(refuse, number)
            assert type(caught.value.__cause__) is Refused
            assert isinstance(caught.value.__cause__.__cause__, RemoteTraceback)
            Refused.seen.append(number)
    assert Refused.seen is seen
    assert seen == [1, 2, 3]


def test_other_kinds_of_classes(make: Any) -> None:
    """Enumerations, abstract classes and their registries."""

    class Colour(enum.Enum):
        RED = 1
        BLUE = 2

    class Shape(ABC):  # noqa: B024
        pass

    class Circle(Shape):
        pass

    def give(ctx: Any, thing: Any) -> Any:
        return Colour.BLUE, Circle()

    with make() as m:
        Colour.note = []  # type: ignore[attr-defined]
        note = Colour.note  # type: ignore[attr-defined]
        for _ in range(2):
            colour, circle = m.queue_task(give)
            assert colour is Colour.BLUE
            assert type(circle) is Circle
            assert isinstance(circle, Shape)
            note.append(colour)
        Shape.register(int)
        m.queue_task(give)
        assert issubclass(int, Shape)
    assert Colour.note is note  # type: ignore[attr-defined]
    assert len(note) == 2


def test_a_class_that_was_made_in_the_child(make: Any) -> None:
    """It arrives whole, once, and is then left alone as well."""

    def give(ctx: Any, thing: Any, number: int) -> Any:
        if not hasattr(thing, "kind"):

            class Local:
                born = "there"

                def __init__(self, number: int) -> None:
                    self.number = number

                def twice(self) -> int:
                    return 2 * self.number

            thing.kind = Local
        return thing.kind(number)

    with make() as m:
        first = m.queue_task(give, 1)
        assert (first.born, first.twice()) == ("there", 2)
        type(first).born = "changed"
        second = m.queue_task(give, 2)
        assert type(second) is type(first)
        assert (second.born, second.twice()) == ("changed", 4)


def test_a_class_is_sent_as_it_is_now(make: Any) -> None:
    """The child has the attributes of the moment in which the task was sent."""

    class Setting:
        value = 1

    with make() as m:
        for value in (1, 2, 3):
            Setting.value = value
            assert m.queue_task(lambda ctx, thing: Setting.value) == value
