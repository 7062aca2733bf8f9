"""Going on with the output of a run that ended early.

A line counts by its index, and the last line of an index is the one that holds. An item is
skipped when its last line says done *and* shows the same input: so a changed input file is
noticed item by item. Everything else is run again and appended. Where that leaves two lines of
one index, the file is rewritten at the end without the older one, through a temporary file that
replaces it in one step. A run killed before that leaves both, and the next one finds them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from tasker.cli import strict_json
from tasker.cli.exit_codes import UsageError

from .output import LineFile, OutputError
from .records import DONE, FAILED
from .resume_ledger import ResumeLedger

_INDEX = re.compile(rb'\{"index": (\d+), ')


def load_ledger(file: LineFile) -> ResumeLedger:
    """Read the lines that a file holds, and cut off a last one that was half written."""
    if not file.is_regular:
        raise UsageError(f"--resume needs a regular file, and {file.name} is none")
    ledger = ResumeLedger()
    end = 0
    for number, line in enumerate(_lines(file.name), 1):
        if not line.endswith(b"\n"):
            file.truncate(end)
            break
        _note(ledger, line, f"{file.name} line {number}")
        end += len(line)
    return ledger


def _lines(path: str) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        yield from stream


def _note(ledger: ResumeLedger, line: bytes, where: str) -> None:
    try:
        record = json.loads(line)
        index, text, status = record["index"], strict_json.encode(record["input"]), record["status"]
        known = _is_index(index) and status in (DONE, FAILED)
    except (ValueError, RecursionError, TypeError, KeyError):
        raise _foreign(where) from None
    if not known:
        raise _foreign(where)
    ledger.note(index, strict_json.fingerprint(text) if status == DONE else 0)


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _foreign(where: str) -> UsageError:
    return UsageError(f"{where} is not a result of tasker run; nothing was changed")


def needs_compaction(ledger: ResumeLedger, total: int | None) -> bool:
    """Whether lines must go: older ones of an index, or those behind the end of the input."""
    return ledger.superseded > 0 or (total is not None and ledger.highest >= total)


def compact(file: LineFile, ledger: ResumeLedger, total: int | None) -> None:
    """Rewrite a file with one line for each index; OutputError, and the old file, if that fails."""
    target = os.path.realpath(file.name)  # through a link: replace the file, not the link
    temporary = f"{target}.tasker-tmp"
    try:
        with open(temporary, "wb") as stream:
            stream.writelines(_kept(target, ledger, total))
            stream.flush()
            os.fsync(stream.fileno())
            shutil.copymode(target, temporary)
            os.replace(temporary, target)
    except OSError as error:
        raise OutputError(file.name, error) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _kept(path: str, ledger: ResumeLedger, total: int | None) -> Iterator[bytes]:
    for line in _lines(path):
        index = _index_of(line)
        if ledger.consume_line(index) and (total is None or index < total):
            yield line


def _index_of(line: bytes) -> int:
    found = _INDEX.match(line)
    return int(found[1]) if found else int(json.loads(line)["index"])
