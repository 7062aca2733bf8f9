"""Prints the matches in the output file of search.py: python show.py found.jsonl"""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path


def main(found: Path) -> None:
    root = Path(sysconfig.get_path("stdlib"))
    answers = sorted(map(json.loads, found.read_text(encoding="utf-8").splitlines()), key=lambda line: line["index"])
    width = max(len(answer["input"]) for answer in answers)
    for answer in answers:
        hits = answer.get("result") or []
        if not hits:
            print(f"{answer['input']:<{width}}  {answer.get('error', 'nothing found')}")
        for place, hit in enumerate(hits):
            path = Path(hit["path"])
            shown = path.relative_to(root) if path.is_relative_to(root) else path
            print(f"{answer['input'] if place == 0 else '':<{width}}  {hit['name']}  ({shown}:{hit['line']})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
