"""Text of users on a screen: names of tasks and messages of errors may hold anything."""

from __future__ import annotations

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Controls, formats (such as what reverses the direction of text), lone surrogates, private use, ends of lines."""


def clean(text: str, encoding: str = "utf-8") -> str:
    """Returns a text on one line, with escapes in place of what would move the cursor, change what was drawn, or has no bytes
    in ``encoding``."""
    flat = " ".join(text.split())
    if not flat.isprintable():
        flat = "".join(_escaped(one) if unicodedata.category(one) in _HIDDEN else one for one in flat)
    return flat.encode(encoding, "backslashreplace").decode(encoding)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
