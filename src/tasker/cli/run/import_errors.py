"""Why a job file does not import, on one line, with the place in the user's own code."""

from __future__ import annotations

import traceback
from pathlib import Path

from .errors_as_data import describe


def explain(error: BaseException, file: Path) -> str:
    """Returns the error of a job file that was executed, and the file and line that it comes from."""
    described = describe(error)
    kind = described.type
    message = error.msg if isinstance(error, SyntaxError) else described.message
    text = f"{kind}: {message}" if message else kind
    place = _place(error, file.resolve())
    return f"{text} ({place})" if place else text


def _place(error: BaseException, file: Path) -> str:
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        # The file that cannot be parsed has no frame: it is not executed.
        places.append((error.filename, error.lineno))
    own = [(name, line) for name, line in places if _is_own(name, file.parent)]
    if not own:
        return ""
    name, line = own[-1]
    shown = "" if name == str(file) else f"{Path(name).relative_to(file.parent)} "
    return f"{shown}line {line}"


def _is_own(name: str, folder: Path) -> bool:
    """Returns whether a file is the user's: in the job's folder, and not of a package that is installed there."""
    path = Path(name)
    return path.is_relative_to(folder) and "site-packages" not in path.relative_to(folder).parts
