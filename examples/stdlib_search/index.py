"""A job file for `tasker run`: builds a full-text index of Python source files, by function, method and class.

    tasker run index.py sources.txt --set database=stdlib.db --output indexed.jsonl

Each worker owns a connection. An item is the path of a file, whose rows are replaced in one transaction. So indexing a file
twice, by a retry or a resumed run, changes nothing.
"""

from __future__ import annotations

import ast
import sqlite3
import tokenize
from collections.abc import Iterator

from tasker import Context

database = "stdlib.db"  # --set database=PATH

SCHEMA = """
CREATE VIRTUAL TABLE IF NOT EXISTS code
USING fts5(name, docstring, source, path UNINDEXED, line UNINDEXED, tokenize = 'porter unicode61');
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, first_row INTEGER NOT NULL, last_row INTEGER NOT NULL);
"""

Row = tuple[str, str, str, str, int]


def on_create() -> sqlite3.Connection:
    connection = sqlite3.connect(database, timeout=30, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(SCHEMA)
    return connection


def on_destroy(connection: sqlite3.Connection) -> None:
    connection.close()


def check_health(error: BaseException) -> bool:
    """Blames the connection for errors of SQLite, and the file for all others."""
    return not isinstance(error, sqlite3.Error)


def task(ctx: Context, connection: sqlite3.Connection, path: str) -> dict[str, int]:
    with tokenize.open(path) as file:  # respects the file's encoding declaration
        source = file.read()
    rows = list(definitions(path, source))
    ctx.raise_if_cancelled()
    connection.execute("BEGIN IMMEDIATE")
    try:
        replace(connection, path, rows)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return {"definitions": len(rows), "bytes": len(source)}


def replace(connection: sqlite3.Connection, path: str, rows: list[Row]) -> None:
    old = connection.execute("SELECT first_row, last_row FROM files WHERE path = ?", (path,)).fetchone()
    if old:
        connection.execute("DELETE FROM code WHERE rowid BETWEEN ? AND ?", old)
    (last,) = connection.execute("SELECT coalesce(max(rowid), 0) FROM code").fetchone()
    connection.executemany("INSERT INTO code (name, docstring, source, path, line) VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (path, last + 1, last + len(rows)))


def definitions(path: str, source: str) -> Iterator[Row]:
    """Yields the functions, methods and classes of a file; a class without the bodies of its methods."""
    lines = source.splitlines(keepends=True)
    for node, name in named(ast.parse(source), ""):
        end = node.end_lineno or node.lineno
        if isinstance(node, ast.ClassDef):
            end = min([end, *(child.lineno - 1 for child in node.body if isinstance(child, FUNCTIONS))])
        yield name, ast.get_docstring(node) or "", "".join(lines[node.lineno - 1 : end]), path, node.lineno


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def named(parent: ast.AST, prefix: str) -> Iterator[tuple[Definition, str]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, Definition):
            yield node, prefix + node.name
            yield from named(node, f"{prefix}{node.name}.")
        else:
            yield from named(node, prefix)
