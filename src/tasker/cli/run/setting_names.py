"""Which names of a job file --set may set, so that a mistyped one is noticed."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from tasker.cli.exit_codes import UsageError


def check_names(source: bytes, names: list[str], path: str) -> None:
    """Raises UsageError for a name that a job file never mentions.

    A name counts as mentioned where the file defines or reads it as a global, and as a text, as in `settings["NAME"]`.
    A file that hands `settings` on, or that imports `*`, may use any name.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # executing the file will report it
    if _may_use_any(tree):
        return
    mentioned = set(_mentioned(tree))
    for name in names:
        if name not in mentioned:
            close = difflib.get_close_matches(name, _globals(tree), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UsageError(f"--set {name}: {path} does not define {name}{hint}")


def _mentioned(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="settings"), attr=name):
                yield name
            case ast.Constant(value=str(text)):
                yield text
            case ast.alias(name=name, asname=other):
                yield other or name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name


def _globals(tree: ast.Module) -> list[str]:
    """Returns the globals that a file assigns, for the hint."""
    statements = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    names = [node for statement in statements for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return [name.id for name in names if isinstance(name.ctx, ast.Store)]


def _may_use_any(tree: ast.Module) -> bool:
    # Each use of `settings` that shows which setting is meant; the other ones may mean any.
    plain = {id(node) for shown in ast.walk(tree) for node in _shown_by(shown)}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id="settings") if id(node) not in plain:
                return True
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                return True
    return False


def _shown_by(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Subscript(value=ast.Name(id="settings") as settings, slice=ast.Constant()):
            yield settings
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="settings") as settings, attr="get"), args=[ast.Constant(), *_]
        ):
            yield settings
        case ast.Attribute(value=ast.Name(id="settings") as settings, attr=name) if not hasattr(dict, name):
            yield settings
