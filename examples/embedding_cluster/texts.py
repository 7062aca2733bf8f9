"""Prints the docstrings of the standard library, a line of JSON for each module: the input of `embed.py`."""

from __future__ import annotations

import ast
import json
import sysconfig
import tokenize
from pathlib import Path


def docstrings(path: Path) -> dict[str, str]:
    """Returns the docstrings of a module's functions and classes, by name."""
    try:
        with tokenize.open(path) as file:
            tree = ast.parse(file.read())
    except (SyntaxError, UnicodeError):  # some files are there to be wrong
        return {}
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return {node.name: text for node in found if (text := ast.get_docstring(node))}


if __name__ == "__main__":
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if "site-packages" not in path.parts and "test" not in path.parts and (texts := docstrings(path)):
            print(json.dumps({"module": str(path.relative_to(library)), "texts": texts}))
