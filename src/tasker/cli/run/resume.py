"""Going on with the output of a run that ended early.

Of several lines with one index, the last one counts. An item is skipped if its last line says done
*and* shows the same input, so a changed input file is noticed item by item. Everything else is run
again and appended.
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
    """Reads the lines of an output, and cuts off a last line that is incomplete.

    Raises UsageError, and leaves the file as it is, if it holds anything but results.
    """
    if not file.is_regular:
        raise UsageError(f"--resume needs a regular file, and {file.name} is not one")
    ledger = ResumeLedger()
    end = 0
    for number, line in enumerate(_lines(file.name), 1):
        if not line.endswith(b"\n"):
            file.truncate(end)
            break
        _add_line(ledger, line, f"{file.name} line {number}")
        end += len(line)
    return ledger


def _lines(path: str) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        yield from stream


def _add_line(ledger: ResumeLedger, line: bytes, where: str) -> None:
    try:
        record = json.loads(line)
        # Encoded anew, and so in the form in which fingerprints of items are taken.
        index, text, status = record["index"], strict_json.encode(record["input"]), record["status"]
        known = _is_index(index) and status in (DONE, FAILED)
    except (ValueError, RecursionError, TypeError, KeyError):
        raise _foreign(where) from None
    if not known:
        raise _foreign(where)
    ledger.add_line(index, strict_json.fingerprint(text) if status == DONE else 0)


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _foreign(where: str) -> UsageError:
    return UsageError(f"{where} is not a result of tasker run; nothing was changed")


def needs_compaction(ledger: ResumeLedger, total: int | None) -> bool:
    """Returns whether lines have to go: superseded ones, or those behind the end of the inputs.

    `total` is the number of items; None if the inputs were not read to their end.
    """
    return ledger.superseded > 0 or (total is not None and ledger.highest >= total)


def compact(file: LineFile, ledger: ResumeLedger, total: int | None) -> None:
    """Rewrites a file with one line for each item. Raises OutputError, and leaves the file as it is, if that fails."""
    target = os.path.realpath(file.name)  # through a link: replace the file, not the link
    temporary = f"{target}.tasker-tmp"
    try:
        # Through a temporary file: a run that is killed here leaves either the old file, whose
        # superseded lines the next --resume drops, or the new one.
        with open(temporary, "wb") as stream:
            stream.writelines(_kept(target, ledger, total))
            stream.flush()
            # Before the replacement: otherwise a crash of the machine might leave an empty file.
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
        if ledger.count_off_line(index) and (total is None or index < total):
            yield line


def _index_of(line: bytes) -> int:
    found = _INDEX.match(line)
    return int(found[1]) if found else int(json.loads(line)["index"])
