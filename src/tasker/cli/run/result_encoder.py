"""Results as JSON: rules for common types that JSON lacks, and the path to a value that has no JSON form.

The C encoder of `json` is tried first. Only if it fails, the result is walked in Python, which is slower and finds the
place.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import math
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from tasker.cli import strict_json

from .type_names import type_name

_LONGEST_PATH = 200
_LONGEST_STEP = 40


class NoJsonForm(Exception):
    """A value inside a result has no JSON form."""

    def __init__(self, reason: str, is_misfit: bool) -> None:
        super().__init__(reason)
        self.is_misfit: bool = is_misfit
        """Whether the type is to blame, as opposed to one value of it: then further results will be no better."""
        self._steps: list[str] = []  # from the inside to the outside

    def within(self, step: str) -> None:
        """Adds the step that leads from the enclosing value to the one that was at fault so far."""
        self._steps.append(step)

    def __str__(self) -> str:
        path = "$" + "".join(reversed(self._steps))
        if len(path) > _LONGEST_PATH:
            path = f"{path[: _LONGEST_PATH // 2]}...{path[-_LONGEST_PATH // 2 :]}"
        return f"{path}: {self.args[0]}"


class NoRuleError(TypeError):
    """There is no rule for a type."""


class ResultEncoder:
    """Encodes results. `encode` is the job's function for values of types that no rule covers, or None. Thread-safe."""

    def __init__(self, encode: Callable[[Any], Any] | None) -> None:
        self._job_encode = encode
        self.quickly: Callable[[Any], str] = strict_json.encoder(self._plainer)
        """As `encode`, but it raises anything where a result has no JSON form, and lets lone surrogates pass."""

    def encode(self, result: Any) -> str:
        """Returns a result as JSON. Raises NoJsonForm if it has none."""
        try:
            text = self.quickly(result)
            text.encode()  # a lone surrogate has no form in UTF-8
        except Exception:
            return self._encode_slowly(result)
        return text

    def _encode_slowly(self, result: Any) -> str:
        try:
            return strict_json.encode(_Walk(self._plainer).plain(result))
        except RecursionError:
            raise NoJsonForm("it is nested too deeply", False) from None

    def _plainer(self, value: Any) -> Any:
        """Returns a value one step nearer to JSON."""
        try:
            return by_rule(value)
        except NoRuleError:
            if self._job_encode is None:
                raise
            return self._job_encode(value)


def by_rule(value: Any) -> Any:
    """Returns a value one step nearer to JSON, by the first rule that fits. Raises NoRuleError if none does."""
    # By `type`, here and below: `isinstance` asks `__class__`, at which a proxy may raise anything.
    kind = type(value)
    for kinds, rule in _RULES:
        if issubclass(kind, kinds):
            return rule(value)
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)}
    # numpy's arrays and scalars, and what follows their protocol: pandas' series, tensors.
    if hasattr(kind, "dtype") and hasattr(kind, "tolist"):
        return _from_array(value)
    raise NoRuleError(f"{type_name(kind)} has no JSON form")


def _iso(value: Any) -> str:
    text: str = value.isoformat()
    return text


def _base64(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode("ascii")


def _sorted(value: Any) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:  # elements of several types
        return list(value)


def _from_array(value: Any) -> Any:
    dtype_kind = getattr(value.dtype, "kind", None)
    if dtype_kind == "M":
        # Times in nanoseconds, which datetime cannot hold: `tolist` would return bare integers.
        value = value.astype(str)
    plain = value.tolist()
    # A long double stays what it is, and a duration may lose its unit.
    if type(plain) is type(value) or dtype_kind == "m":
        raise NoRuleError(f"{type_name(type(value))} of {value.dtype} has no JSON form")
    return plain


_RULES: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (Enum, lambda value: value.value),  # first: a member may be of another type as well
    ((dt.date, dt.time), _iso),  # a datetime is a date
    ((Decimal, UUID, PurePath), str),
    ((bytes, bytearray, memoryview), _base64),
    ((set, frozenset), _sorted),
)


class _Walk:
    """One walk through a result."""

    def __init__(self, plainer: Callable[[Any], Any]) -> None:
        self._plainer = plainer
        self._enclosing: set[int] = set()

    def plain(self, value: Any) -> Any:
        """Returns a value that consists of JSON's own types alone. Raises NoJsonForm."""
        kind = type(value)
        if value is None or issubclass(kind, str | int | float):
            return _leaf(value)
        if id(value) in self._enclosing:
            raise NoJsonForm(f"{type_name(kind)} contains itself", False)
        self._enclosing.add(id(value))
        try:
            if issubclass(kind, dict):
                return self._object(value)
            if issubclass(kind, list | tuple):
                return self._array(value)
            return self.plain(self._one_step(value))
        except (NoJsonForm, RecursionError):
            raise
        except Exception as error:  # raised by the value's own methods, such as a dict's items()
            raise NoJsonForm(f"{type_name(kind)} cannot be encoded: {_text(error)}", False) from error
        finally:
            self._enclosing.discard(id(value))

    def _object(self, value: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, inner in value.items():
            plain_key = _key(key)
            if plain_key in found:
                raise NoJsonForm(f"two keys are both {plain_key!r} in JSON", False)
            try:
                found[plain_key] = self.plain(inner)
            except NoJsonForm as error:
                error.within(_step(plain_key))
                raise
        return found

    def _array(self, value: Any) -> list[Any]:
        found = []
        for number, inner in enumerate(value):
            try:
                found.append(self.plain(inner))
            except NoJsonForm as error:
                error.within(f"[{number}]")
                raise
        return found

    def _one_step(self, value: Any) -> Any:
        try:
            plainer = self._plainer(value)
        except NoRuleError as error:
            raise NoJsonForm(f"{error}; the job file may define encode(value) for it", True) from None
        except RecursionError:
            raise
        except Exception as error:
            raise NoJsonForm(f"{type_name(type(value))} cannot be encoded: {_text(error)}", True) from error
        if plainer is value:
            raise NoJsonForm(f"encode(value) returned the {type_name(type(value))} that it was called with", True)
        return plainer


def _leaf(value: Any) -> Any:
    if issubclass(type(value), float) and not math.isfinite(value):
        raise NoJsonForm(f"{float(value)!r} is not JSON", False)
    try:
        strict_json.encode(value).encode()
    except UnicodeEncodeError as error:
        surrogate = ord(error.object[error.start])
        raise NoJsonForm(f"the text has a lone surrogate (U+{surrogate:04X}), which is not UTF-8", False) from None
    except Exception as error:  # an integer with too many digits, for example
        raise NoJsonForm(_text(error), False) from error
    return value


def _key(key: Any) -> Any:
    """Returns the key of an object as a text, or as what json writes as a text."""
    plain = key
    try:
        while not (plain is None or issubclass(type(plain), str | int | float)):
            plain = by_rule(plain)
            if issubclass(type(plain), dict | list):
                raise NoRuleError
    except NoRuleError:
        raise NoJsonForm(f"a key is {type_name(type(key))}, and keys in JSON are texts", True) from None
    except Exception as error:
        raise NoJsonForm(f"a key, {type_name(type(key))}, cannot be encoded: {_text(error)}", True) from error
    return _leaf(plain)


def _step(key: Any) -> str:
    if isinstance(key, str) and key.isidentifier() and len(key) <= _LONGEST_STEP:
        return f".{key}"
    text = key if isinstance(key, str) else json.dumps(key)
    return f"[{json.dumps(text[:_LONGEST_STEP])}]"


def _text(error: Exception) -> str:
    try:
        return repr(error)
    except Exception:
        return type(error).__qualname__
