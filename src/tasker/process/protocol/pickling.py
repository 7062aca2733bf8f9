"""Pickling: plain where that is enough, cloudpickle for the rest, and errors that name what could not travel.

Plain pickle is ten times as fast, and right for whatever can be imported on the other side. Lambdas, closures, and all that
was defined in the program's ``__main__`` (which is another module in the child) go by value, by cloudpickle. A class that
travelled by value comes back as the class it was, because cloudpickle keeps track of it.

Large buffers (arrays) are left out of the pickle and go beside it, see ``wire``.

A ``ContextVar`` cannot be pickled; but one that is found in a module is the same on the other side. One of ``__main__``
gets a twin there.
"""

from __future__ import annotations

import contextvars
import functools
import importlib
import io
import pickle
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from tasker.errors import TravelError
from tasker.logs import describe

from .by_value import CACHED, reduced_cache, reduced_property, with_slots
from .classes import reduced_class
from .own_globals import KINDS, variable_of, variables_of
from .own_globals import reduced as reduced_own
from .wire import MAPPED_SIZE, Parts

_PROTOCOL = 5
_MAIN = b"__main__"
PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})
"""Types whose values neither change nor hold anything."""

USER_ERRORS: tuple[type[BaseException], ...] = (BaseException,)
"""What the user's own methods may raise where something is pickled or made again."""


def pack(value: Any) -> Parts:
    """Pickles a value; raises what pickling raises, if cloudpickle cannot do it either."""
    buffers: list[pickle.PickleBuffer] = []

    def beside(buffer: pickle.PickleBuffer) -> bool:
        """Returns False for a buffer that goes beside the pickle."""
        try:
            if buffer.raw().nbytes < MAPPED_SIZE:
                return True
        except BufferError:  # not contiguous
            return True
        buffers.append(buffer)
        return False

    pickled = _plainly(value, beside)
    if pickled is not None:
        return [pickled, *buffers]
    buffers.clear()
    return [_by_value(value, beside), *buffers]


def pack_whole(value: Any) -> bytes:
    """Pickles a value in one piece, whatever its size."""
    pickled = _plainly(value)
    return _by_value(value) if pickled is None else pickled


def _plainly(value: Any, beside: Callable[[pickle.PickleBuffer], bool] | None = None) -> bytes | None:
    """Returns None where plain pickle cannot do it, or would refer to this program's ``__main__``."""
    try:
        pickled = pickle.dumps(value, _PROTOCOL, buffer_callback=beside)
    except Exception:  # whatever it is: cloudpickle tries next, and its error is the one that is raised
        return None
    return None if _MAIN in pickled else pickled


def _by_value(value: Any, beside: Callable[[pickle.PickleBuffer], bool] | None = None) -> bytes:
    file = io.BytesIO()
    _Pickler(file, _PROTOCOL, buffer_callback=beside).dump(value)
    return file.getvalue()  # and not a view of it, see ``Parts``


def unpack(parts: Parts) -> Any:
    """Makes the value again; raises what unpickling raises."""
    if len(parts) == 1:
        return pickle.loads(parts[0])  # noqa: S301  from our own pipe
    return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301  from our own pipe


def pack_named(value: Any, what: str) -> Parts:
    """Pickles a value like ``pack``; a failure is a ``TravelError`` that names ``what``."""
    try:
        return pack(value)
    except RecursionError as error:
        raise TravelError(f"{what} can't be pickled: it is nested too deeply") from error
    except BaseException as error:  # even a SystemExit of its ``__reduce__``: it is the outcome of this task alone
        raise TravelError(f"{what} can't be pickled: {describe(error)}") from error


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, obj: Any) -> Any:
        special = _special.get(type(obj))
        if special is not None:
            return special(obj)
        reduced = super().reducer_override(obj)
        return reduced_class(with_slots(obj, reduced)) if issubclass(type(obj), type) else reduced


# -- context variables ----------------------------------------------------------------------------------------------------

_homes: dict[contextvars.ContextVar[Any], tuple[str, str]] = {}
"""Where a variable was found."""
_homeless: dict[contextvars.ContextVar[Any], int] = {}
"""Those that were found nowhere, and how many modules there were then. They are kept alive here, so these are not many."""
_MOST_HOMELESS = 100
_twins: dict[tuple[str, str], contextvars.ContextVar[Any]] = {}


def home_of(variable: contextvars.ContextVar[Any]) -> tuple[str, str] | None:
    """Returns the module and the name under which a variable is found there, or None."""
    home = _homes.get(variable)
    if home is not None or _homeless.get(variable) == len(sys.modules):
        return home
    # A program that makes a variable for each object has many in no module, and a search through all names takes
    # milliseconds: then one is looked for under its own name alone, which nearly all have.
    remembered = variable in _homeless or len(_homeless) < _MOST_HOMELESS
    home = _search(variable) if remembered else _search_by_name(variable)
    if home is not None:
        _homes[variable] = home
        _homeless.pop(variable, None)
    elif remembered:
        _homeless[variable] = len(sys.modules)
    return home


def _search(variable: contextvars.ContextVar[Any]) -> tuple[str, str] | None:
    # Of copies, which are made in one step: other threads import modules meanwhile.
    for place, twin in _twins.copy().items():
        if twin is variable:
            return place
    for name, module in sys.modules.copy().items():
        for key, value in variables_of(module):
            if value is variable:
                return name, key
    return None


def _search_by_name(variable: contextvars.ContextVar[Any]) -> tuple[str, str] | None:
    for name, module in sys.modules.copy().items():
        if variable_of(module, variable.name) is variable:
            return name, variable.name
    return None


def variable_at(module: str, name: str, *default: Any) -> contextvars.ContextVar[Any]:
    """Returns the variable that has its home there."""
    if module != "__main__":
        found = getattr(importlib.import_module(module), name)
        assert isinstance(found, contextvars.ContextVar)
        return found
    place = module, name
    here = getattr(sys.modules[module], name, None)
    if isinstance(here, contextvars.ContextVar):
        return here
    if place not in _twins:
        _twins[place] = contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)
    return _twins[place]


def _reduced(variable: contextvars.ContextVar[Any]) -> Any:
    home = home_of(variable)
    if home is None:
        raise pickle.PicklingError(f"{variable!r} is not a global variable of a module")
    try:
        return variable_at, (*home, contextvars.Context().run(variable.get))
    except LookupError:
        return variable_at, home


_special: dict[type, Callable[[Any], Any]] = {
    contextvars.ContextVar: _reduced,
    CACHED: reduced_cache,
    functools.cached_property: reduced_property,
    **dict.fromkeys(KINDS, reduced_own),
}
"""How what cloudpickle cannot pickle, or not as the other side needs it, is pickled."""


def pack_variables(variables: contextvars.Context | None) -> list[tuple[tuple[str, str], bytes]] | None:
    """Packs those of the variables that can travel, each for itself; None if there are none."""
    if not variables:
        return None
    packed = []
    for variable, value in variables.items():
        home = home_of(variable)
        if home is None:
            continue
        try:
            packed.append((home, pack_whole(value)))
        except BaseException:  # noqa: S112  a handle of something here, of no use over there
            continue
    return packed or None


def unpack_variables(packed: list[tuple[tuple[str, str], bytes]] | None) -> contextvars.Context:
    """Returns a context in which they are set, except those that cannot be had here."""
    context = contextvars.Context()
    for home, value in packed or ():
        try:
            context.run(variable_at(*home).set, unpack([value]))
        except Exception:  # noqa: S112  its module or class is not here
            continue
    return context
