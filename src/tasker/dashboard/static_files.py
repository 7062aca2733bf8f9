"""The files of the page, read once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from starlette.responses import Response

_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the page."""

    data: bytes
    type: str

    def response(self) -> Response:
        return Response(self.data, media_type=self.type)


def load() -> dict[str, StaticFile]:
    """Returns the files by name. No other name is ever looked up on the disk."""
    found = {}
    for file in files(__package__).joinpath("static").iterdir():
        kind = _TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            found[file.name] = StaticFile(file.read_bytes(), kind)
    return found
