"""The job file: loaded by its path, and checked before anything is started."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import re
import sys
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tasker.cli.exit_codes import UsageError

logger: logging.Logger = logging.getLogger("tasker.cli")

MODULE_PREFIX = "_tasker_job_"

# The functions that a job file may define, and their arguments.
HOOKS: dict[str, tuple[str, ...]] = {
    "task": ("ctx", "resource", "item"),
    "on_create": (),
    "on_destroy": ("resource",),
    "resource": (),
    "check_health": ("error",),
}


class Settings(dict[str, Any]):
    """The values of --set: a dict whose keys can also be read as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no --set {name}=... was given") from None


@dataclass(frozen=True, slots=True)
class Job:
    """The task that a job file defines, and its hooks as arguments of Config."""

    name: str
    task: Callable[..., Any]
    hooks: dict[str, Any]


def load_job(path: str, settings: dict[str, Any]) -> Job:
    """Loads a job file. Raises UsageError, in one line, for anything that is wrong with it."""
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"{path}: no such job file")
    module = _execute(file, path, Settings(settings))
    _override(module, path, settings)
    return Job(file.stem, _task_of(module, path), _hooks_of(module, path))


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
        raise UsageError(f"{shown}: does not import: {_one_line(error, file)}") from error
    return module


def _override(module: ModuleType, path: str, settings: dict[str, Any]) -> None:
    """Sets the globals that --set names, above the defaults of the job file."""
    # After the file was executed: otherwise its own `database = "app.db"` would win.
    for name, value in settings.items():
        defined = getattr(module, name, None)
        if name in HOOKS or name.startswith("__") or _is_code(defined):
            raise UsageError(f"--set {name}: in {path} that name is not a setting")
        setattr(module, name, value)


def _is_code(value: object) -> bool:
    return isinstance(value, ModuleType | type) or inspect.isroutine(value)


def _module_name(file: Path) -> str:
    """Returns a name for the module that shadows no other."""
    # `jobs.py` beside a package `jobs`, or a job file called `json.py`, must not take the place of that module.
    digest = zlib.crc32(str(file.resolve()).encode("utf-8", "surrogateescape"))
    return f"{MODULE_PREFIX}{re.sub(r'[^0-9A-Za-z_]', '_', file.stem)}_{digest:08x}"


def _one_line(error: BaseException, file: Path) -> str:
    """Returns an error on one line, with the line of the job file that it comes from."""
    text = " ".join(traceback.format_exception_only(error)[-1].split())
    if isinstance(error, SyntaxError):
        return f"{text} (line {error.lineno})" if "line" not in text else text
    here = str(file.resolve())
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == here]
    return f"{text} (line {lines[-1]})" if lines else text


def _task_of(module: ModuleType, path: str) -> Callable[..., Any]:
    task = getattr(module, "task", None)
    if task is None:
        raise UsageError(f"{path}: defines no task(ctx, resource, item)")
    if not callable(task):
        raise UsageError(f"{path}: task is {type(task).__name__}, not a function")
    if inspect.iscoroutinefunction(task):
        raise UsageError(f"{path}: task is async; tasker run takes plain functions")
    _check_arguments(task, "task", path)
    function: Callable[..., Any] = task
    return function


def _check_arguments(function: Callable[..., Any], what: str, path: str) -> None:
    try:
        inspect.signature(function).bind(*HOOKS[what])
    except TypeError as error:
        wanted = f"{what}({', '.join(HOOKS[what])})"
        raise UsageError(f"{path}: must be callable as {wanted}: {error}") from None
    except ValueError:
        return  # a builtin without a signature: whether it fits shows when it is called


def _hooks_of(module: ModuleType, path: str) -> dict[str, Any]:
    hooks = _defined(module, path)
    if "resource" in hooks and ("on_create" in hooks or "on_destroy" in hooks):
        raise UsageError(f"{path}: defines resource and on_create/on_destroy; choose one way")
    if "on_destroy" in hooks and "on_create" not in hooks:
        raise UsageError(f"{path}: defines on_destroy without on_create")
    if "resource" not in hooks:
        hooks.setdefault("on_create", _nothing)
    return hooks


def _defined(module: ModuleType, path: str) -> dict[str, Any]:
    hooks: dict[str, Any] = {}
    for name in HOOKS:
        hook = getattr(module, name, None)
        if hook is None or name == "task":
            continue
        if not callable(hook):
            raise UsageError(f"{path}: {name} is {type(hook).__name__}, not a function")
        _check_arguments(hook, name, path)
        hooks[name] = hook
    return hooks


def _nothing() -> None:
    """The resource of a job that needs none."""
