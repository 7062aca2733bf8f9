"""Files by pattern, one at a time and in a stable order.

Not `glob.iglob`: its order is the directory's own, which changes when a file is added, and
--resume finds items by their place. It also follows links to directories for ever.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator


def matching_files(pattern: str) -> Iterator[str]:
    """Paths of the files that match; `**` stands for any number of directories."""
    drive, rest = os.path.splitdrive(pattern)
    root = drive + os.sep if rest.startswith(os.sep) else drive
    parts = [part for part in rest.split(os.sep) if part]
    yield from _match(root, _without_repeats(parts))


def _without_repeats(parts: list[str]) -> list[str]:
    """`**/**` means `**`; left as it is, each file would be found several times."""
    return [p for n, p in enumerate(parts) if p != "**" or n == 0 or parts[n - 1] != "**"]


def _match(base: str, parts: list[str]) -> Iterator[str]:
    if not parts:
        if os.path.isfile(base):
            yield base
        return
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _match_deep(base, rest or ["*"])
    elif not _has_magic(first):
        yield from _match(os.path.join(base, first), rest)
    else:
        for entry in _entries(base):
            if _fits(entry.name, first) and (not rest or entry.is_dir()):
                yield from _match(os.path.join(base, entry.name), rest)


def _match_deep(base: str, rest: list[str]) -> Iterator[str]:
    yield from _match(base, rest)
    for entry in _entries(base):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _match_deep(os.path.join(base, entry.name), rest)


def _has_magic(part: str) -> bool:
    return any(sign in part for sign in "*?[")


def _fits(name: str, pattern: str) -> bool:
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatch.fnmatchcase(name, pattern)


def _entries(base: str) -> list[os.DirEntry[str]]:
    """One directory, sorted; one that cannot be read holds nothing, as for glob."""
    try:
        with os.scandir(base or os.curdir) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []
