"""The timetable: what is due comes out in order, and what is over does not stay."""

from __future__ import annotations

from tasker.control.timetable import Timetable


class Entry:
    """An entry with a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ended = False

    def over(self) -> bool:
        """See ``Entry``."""
        return self.ended


def names(entries: list[Entry]) -> list[str]:
    """Their names, in order."""
    return [entry.name for entry in entries]


def test_empty() -> None:
    """Nothing is due."""
    table: Timetable[Entry] = Timetable()
    assert table.moment is None
    assert table.take(1e9) == []
    assert len(table) == 0


def test_in_the_order_of_their_moments() -> None:
    """The earliest first, and of two at the same moment the one that came first; each once."""
    table: Timetable[Entry] = Timetable()
    for name, due in [("late", 3.0), ("first", 1.0), ("second", 1.0), ("later", 4.0)]:
        table.add(Entry(name), due)
    assert table.moment == 1.0
    assert names(table.take(0.999)) == []
    assert names(table.take(3.0)) == ["first", "second", "late"]
    assert table.moment == 4.0
    assert names(table.take(9.0)) == ["later"]


def test_one_entry_at_two_moments() -> None:
    """It comes out twice."""
    table: Timetable[Entry] = Timetable()
    entry = Entry("twice")
    table.add(entry, 2.0)
    table.add(entry, 1.0)
    assert table.take(1.0) == [entry]
    assert table.take(2.0) == [entry]


def test_what_is_over_is_swept() -> None:
    """However many entries end before their moment, the table holds no more than a bound and the living ones."""
    table: Timetable[Entry] = Timetable()
    living = [Entry(str(number)) for number in range(40)]
    for number, entry in enumerate(living):
        table.add(entry, 1000.0 + number)
    most = 0
    for number in range(10_000):
        entry = Entry("gone")
        entry.ended = True
        table.add(entry, 1.0 + number)
        most = max(most, len(table))
    assert most <= 2 * len(living) + 64
    assert [one for one in table.take(1e9) if not one.ended] == living
