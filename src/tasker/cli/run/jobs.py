"""The job file: loaded by its path, and checked before anything is started."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import json
import logging
import os
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tasker.cli.exit_codes import UsageError
from tasker.core.user_functions import is_async

from . import import_errors, setting_names
from .result_encoder import ResultEncoder
from .type_names import MODULE_PREFIX, type_name

logger: logging.Logger = logging.getLogger("tasker.cli")

# The functions that a job file may define, and their arguments.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "task": ("ctx", "resource", "item"),
    "task_many": ("ctx", "resource", "items"),
    "on_create": (),
    "on_destroy": ("resource",),
    "resource": (),
    "check_health": ("error",),
    "encode": ("value",),
}
HOOKS = ("on_create", "on_destroy", "resource", "check_health")  # those that the manager calls


class MisfitError(Exception):
    """The job does what no retry can mend: it does not fit its part. The run ends."""


class Settings(dict[str, Any]):
    """The values of --set: a dict whose keys can also be read as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no --set {name}=... was given") from None


@dataclass(frozen=True, slots=True)
class JobVersion:
    """Checksums of a job file and of the values of --set. They are in each result line, for --resume."""

    file: str
    settings: str

    def __str__(self) -> str:
        return f"{self.file}-{self.settings}"

    @classmethod
    def of(cls, source: bytes, settings: dict[str, Any]) -> JobVersion:
        """Returns the version of a job."""
        values = json.dumps(settings, sort_keys=True).encode()
        return cls(f"{zlib.crc32(source):08x}", f"{zlib.crc32(values):08x}")


@dataclass(frozen=True, slots=True)
class Job:
    """The task that a job file defines, and its hooks as arguments of Config."""

    name: str
    path: str  # absolute
    shown: str  # the path as it was given, for messages
    task: Callable[..., Any]  # `task_many`, if that is all there is
    task_many: Callable[..., Any] | None
    hooks: dict[str, Any]
    encoder: ResultEncoder
    version: JobVersion


def load_job(given: str, settings: dict[str, Any], shown: str | None = None) -> Job:
    """Loads a job file. Raises UsageError, in one line, for anything that is wrong with it.

    `shown` is what messages call it, if not by the path.
    """
    file, path = Path(given), shown or given
    absolute = os.path.abspath(file)  # now: the file may change the working directory
    if not file.is_file():
        raise UsageError(f"{path}: no such job file")
    source = _read(file, path)
    if settings:  # only then: the file is parsed once more for it
        setting_names.check_names(source, list(settings), path)
    module = _execute(file, path, Settings(settings))
    _override(module, path, settings)
    functions = _functions_of(module, path)
    return Job(
        name=file.stem,
        path=absolute,
        shown=path,
        task=functions.get("task") or functions["task_many"],
        task_many=functions.get("task_many"),
        hooks=_hooks_of(functions, path),
        encoder=ResultEncoder(functions.get("encode")),
        version=JobVersion.of(source, settings),
    )


def check_chunk(job: Job, chunk: int | None) -> None:
    """Raises UsageError if the job does not define what --chunk, or its absence, has called."""
    if chunk is not None and job.task_many is None:
        raise UsageError(f"--chunk: {job.shown} defines no task_many(ctx, resource, items)")
    if chunk is None and job.task is job.task_many:
        raise UsageError(f"{job.shown}: defines task_many, and no task: say --chunk N")


def _read(file: Path, shown: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {shown}: {error.strerror}") from None


def _execute(file: Path, shown: str, settings: Settings) -> ModuleType:
    name = _module_name(file)
    spec = importlib.util.spec_from_loader(name, importlib.machinery.SourceFileLoader(name, str(file.resolve())))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Before the file is executed, for top-level statements that use a setting.
    vars(module).update(settings, settings=settings)
    sys.modules[name] = module  # dataclasses and pickle look up the module of a class by its name
    sys.path.insert(0, str(file.resolve().parent))  # so that the file can import its neighbours
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit as well: `sys.exit()` at the top of the file
        logger.debug("job file %s did not import", shown, exc_info=True)
        raise UsageError(f"{shown}: does not import: {import_errors.explain(error, file)}") from error
    return module


def _override(module: ModuleType, path: str, settings: dict[str, Any]) -> None:
    """Sets the globals that --set names, above the defaults of the job file."""
    # After the file was executed: otherwise its own `database = "app.db"` would win.
    for name, value in settings.items():
        defined = getattr(module, name, None)
        if name in FUNCTIONS or name.startswith("__") or _is_code(defined):
            raise UsageError(f"--set {name}: in {path} that name is not a setting")
        setattr(module, name, value)


def _is_code(value: object) -> bool:
    return isinstance(value, ModuleType | type) or inspect.isroutine(value)


def _module_name(file: Path) -> str:
    """Returns a name for the module that shadows no other."""
    # `jobs.py` beside a package `jobs`, or a job file called `json.py`, must not take the place of that module.
    digest = zlib.crc32(str(file.resolve()).encode("utf-8", "surrogateescape"))
    return f"{MODULE_PREFIX}{re.sub(r'[^0-9A-Za-z_]', '_', file.stem)}_{digest:08x}"


def _functions_of(module: ModuleType, path: str) -> dict[str, Callable[..., Any]]:
    """Returns the functions that a job file defines, checked as far as that is possible without calling them."""
    functions: dict[str, Callable[..., Any]] = {}
    for name in FUNCTIONS:
        function = getattr(module, name, None)
        if function is None:
            continue
        if not callable(function):
            raise UsageError(f"{path}: {name} is {type(function).__name__}, not a function")
        _check_kind(function, name, path)
        _check_arguments(function, name, path)
        functions[name] = function
    if "task" not in functions and "task_many" not in functions:
        raise UsageError(f"{path}: defines no task(ctx, resource, item)")
    return functions


def _check_kind(function: Callable[..., Any], name: str, path: str) -> None:
    # `asynccontextmanager` wraps an asynchronous generator in a plain function.
    if is_async(function) or inspect.isasyncgenfunction(inspect.unwrap(function)):
        raise UsageError(f"{path}: {name} is async; tasker run takes plain functions")
    if inspect.isgeneratorfunction(function) and name != "task_many":  # which may yield its results
        hint = "add @contextlib.contextmanager" if name == "resource" else "it has to return, not to yield"
        raise UsageError(f"{path}: {name} is a generator; {hint}")


def _check_arguments(function: Callable[..., Any], name: str, path: str) -> None:
    try:
        inspect.signature(function).bind(*FUNCTIONS[name])
    except TypeError as error:
        wanted = f"{name}({', '.join(FUNCTIONS[name])})"
        raise UsageError(f"{path}: must be callable as {wanted}: {error}") from None
    except ValueError:
        return  # a builtin without a signature: whether it fits shows when it is called


def _hooks_of(functions: dict[str, Callable[..., Any]], path: str) -> dict[str, Any]:
    hooks: dict[str, Any] = {name: functions[name] for name in HOOKS if name in functions}
    if "resource" in hooks and ("on_create" in hooks or "on_destroy" in hooks):
        raise UsageError(f"{path}: defines resource and on_create/on_destroy; choose one way")
    if "on_destroy" in hooks and "on_create" not in hooks:
        raise UsageError(f"{path}: defines on_destroy without on_create")
    if "resource" in hooks:
        hooks["resource"] = _checked_resource(hooks["resource"], path)
    else:
        hooks.setdefault("on_create", _nothing)
    return hooks


def _checked_resource(resource: Callable[[], Any], path: str) -> Callable[[], Any]:
    @functools.wraps(resource)
    def checked() -> Any:
        manager = resource()
        if not all(hasattr(type(manager), name) for name in ("__enter__", "__exit__")):
            found = type_name(type(manager))
            raise MisfitError(f"{path}: resource() returned {found}, and no context manager (or define on_create)")
        return manager

    return checked


def _nothing() -> None:
    """The resource of a job that needs none."""
