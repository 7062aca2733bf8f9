"""A job file for `tasker run`: searches the index that index.py made.

    tasker run search.py queries.txt --set database=stdlib.db --output found.jsonl

An item is a query as a user would type it. The result is a list of the best matches, best first.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from urllib.parse import quote

from tasker import Context

database = "stdlib.db"  # --set database=PATH

HITS = 3
# A hit in the name has the most weight, then the docstring, then the code; the other columns are not searched.
BEST = """
SELECT name, path, line FROM code WHERE code MATCH ? ORDER BY bm25(code, 8.0, 4.0, 1.0) LIMIT ?
"""


def on_create() -> sqlite3.Connection:
    # Read-only: a mistyped path is an error and not a new, empty database.
    return sqlite3.connect(f"file:{quote(str(Path(database).resolve()))}?mode=ro", uri=True)


def on_destroy(connection: sqlite3.Connection) -> None:
    connection.close()


def task(_ctx: Context, connection: sqlite3.Connection, query: str) -> list[dict[str, str | int]]:
    """Returns matches for all of the words first, then matches for some of them."""
    words = [f'"{word}"' for word in re.findall(r"\w{3,}", query)]
    hits: dict[tuple[str, str, int], None] = {}  # as an ordered set
    for joined in (" AND ".join(words), " OR ".join(words)):
        hits.update(dict.fromkeys(connection.execute(BEST, (joined, HITS))))
    return [{"name": name, "path": path, "line": line} for name, path, line in list(hits)[:HITS]]
