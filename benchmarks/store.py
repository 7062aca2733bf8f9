"""A run as plain data in a file, from which the report and the plots are made."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.runner import Absent, Figure, Outcome, Spread, Verdict


@dataclass(slots=True, kw_only=True)
class Run:
    """All outcomes of one run, and the machine."""

    name: str
    machine: dict[str, str]
    outcomes: list[Outcome]

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_rounded(dataclasses.asdict(self)), indent=1)
        (folder / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")

    @staticmethod
    def load(folder: Path, name: str) -> Run | None:
        """Returns the stored run, or None if there is none."""
        try:
            data = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Run(name=data["name"], machine=data["machine"], outcomes=[_outcome(one) for one in data["outcomes"]])


def _outcome(data: dict[str, Any]) -> Outcome:
    plain = {key: value for key, value in data.items() if key not in ("figures", "absent", "verdicts")}
    return Outcome(
        **plain,
        figures=[Figure(**one) for one in data["figures"]],
        absent=[Absent(**one) for one in data["absent"]],
        verdicts=[Verdict(**{**one, "measured": Spread(**one["measured"])}) for one in data["verdicts"]],
    )


def _rounded(value: Any) -> Any:
    """Rounds to six digits, which are more than any clock provides."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
