"""Draws the state diagrams of docs/architecture.md from the tables that the code asks, so that they cannot be wrong.

python tools/state_diagrams.py            writes them into the page
python tools/state_diagrams.py --check    exits with 1 if the page has others
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Mapping
from pathlib import Path

from tasker.control.creation import BREAKER_MOVES, BreakerState
from tasker.control.lifecycle import DOOR_MOVES, MOVES, Door, Phase
from tasker.control.workers import WORKER_MOVES, WorkerState

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
DIAGRAMS: dict[str, tuple[Mapping[tuple[enum.Enum, enum.Enum], enum.Enum | None], enum.Enum]] = {
    "phase": (MOVES, Phase.RUNNING),  # type: ignore[dict-item]
    "door": (DOOR_MOVES, Door.OPEN),  # type: ignore[dict-item]
    "breaker": (BREAKER_MOVES, BreakerState.CLOSED),  # type: ignore[dict-item]
    "worker": (WORKER_MOVES, WorkerState.STARTING),  # type: ignore[dict-item]
}


def diagram(table: Mapping[tuple[enum.Enum, enum.Enum], enum.Enum | None], first: enum.Enum) -> str:
    """Returns a table of moves as a Mermaid state diagram; moves that change nothing are left out."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, move), after in table.items():
        if after is not before:
            target = "[*]" if after is None else _name(after)
            arrows.setdefault((_name(before), target), []).append(move.name.lower().replace("_", " "))
    lines = [f"    {before} --> {after}: {', '.join(moves)}" for (before, after), moves in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {_name(first)}", *lines, "```"])


def drawn(page: str) -> str:
    """Returns the page with each diagram between its two marks drawn anew."""
    for name, (table, first) in DIAGRAMS.items():
        begin, end = f"<!-- {name}: drawn by tools/state_diagrams.py -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            sys.exit(f"{PAGE.name} lacks the marks of the diagram {name!r}")
        page = f"{before}{begin}\n{diagram(table, first)}\n{end}{after}"
    return page


def _name(state: enum.Enum) -> str:
    return state.name.lower()


def main() -> int:
    """Runs the program; returns its exit status."""
    page = PAGE.read_text(encoding="utf-8")
    fresh = drawn(page)
    if "--check" in sys.argv[1:]:
        if fresh != page:
            print(f"{PAGE.name}: the diagrams are not those of the tables; run tools/state_diagrams.py")
        return int(fresh != page)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
