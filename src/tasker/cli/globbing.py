"""Files by pattern, one at a time and in a stable order.

Not `glob.iglob`, for two reasons: its order is that of the directory, which changes when a file is
added, while --resume finds items by their index; and its `**` follows links to directories, even in a loop.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator

from .scarce import opened, out_of_descriptors


def matching_files(pattern: str, folder: str = "") -> Iterator[str]:
    """Yields the paths of the files that match, sorted within each directory.

    A relative pattern is looked for in `folder` (default: the working directory), and yields paths relative to it. `**`
    stands for any number of directories. Hidden files match only a pattern that begins with a dot.
    """
    drive, rest = os.path.splitdrive(pattern)
    root = drive + os.sep if rest.startswith(os.sep) else drive
    parts = [part for part in rest.split(os.sep) if part]
    prefix = os.path.join(folder, "") if folder and not root else ""
    for path in _match(prefix + root, _without_repeats(parts)):
        yield path[len(prefix) :]


def _without_repeats(parts: list[str]) -> list[str]:
    """Returns the parts with `**/**` reduced to `**`: otherwise each file would be found several times."""
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
        # Joined, not looked up: so `..` works, and a directory that may be entered but not listed.
        yield from _match(os.path.join(base, first), rest)
    else:
        for entry in _entries(base):
            if _fits(entry.name, first) and (not rest or entry.is_dir()):
                yield from _match(os.path.join(base, entry.name), rest)


def _match_deep(base: str, rest: list[str]) -> Iterator[str]:
    yield from _match(base, rest)
    for entry in _entries(base):
        # Links are not followed: one that leads upwards would be a loop.
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _match_deep(os.path.join(base, entry.name), rest)


def _has_magic(part: str) -> bool:
    return any(sign in part for sign in "*?[")


def _fits(name: str, pattern: str) -> bool:
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatch.fnmatchcase(name, pattern)


def _entries(base: str) -> list[os.DirEntry[str]]:
    """Returns the sorted entries of a directory; none if it cannot be read, as in glob. ``OSError`` if there is no descriptor left:
    its files would be missing without a word."""
    try:
        with opened(lambda: os.scandir(base or os.curdir)) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        if out_of_descriptors(error):
            raise
        return []
