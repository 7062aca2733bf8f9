"""What a child has of the surroundings of its parent, whatever they are like."""

from __future__ import annotations

import pytest

from .programs import Program, methods

PROXIES = """
    import multiprocessing, sys
    from tasker import Config, ProcessBackend, TaskManager

    def add(ctx, resource, shared, key):
        shared[key] = key * key
        return len(shared)

    def main(method):
        backend = ProcessBackend(start_method=method)
        with TaskManager(Config(on_create=object, worker_count=1, resource_pool_size=0, backend=backend)) as manager:
            manager.queue_task(lambda ctx, resource: None)
            with multiprocessing.get_context("spawn").Manager() as server:
                shared = server.dict()
                print([manager.queue_task(add, shared, key) for key in range(3)], dict(shared))

    if __name__ == "__main__":
        main(sys.argv[1])
"""


@methods
def test_proxies_of_multiprocessing(program: Program, method: str) -> None:
    """A task can use the proxies of a `multiprocessing.Manager` of this process, even of one that was made later."""
    assert program.run(PROXIES, method) == "[1, 2, 3] {0: 0, 1: 1, 2: 4}\n"


SURROUNDINGS = """
    import os, sys
    from pathlib import Path
    from tasker import Config, ProcessBackend, TaskManager

    def config(method):
        backend = ProcessBackend(start_method=method)
        return Config(on_create=object, worker_count=1, resource_pool_size=0, backend=backend)

    def look(ctx, resource):
        import added
        return added.VALUE, os.getcwd(), sys.argv

    def main(method):
        with TaskManager(config(method)) as first:
            first.queue_task(lambda ctx, resource: None)
            folder = Path("folder").resolve()
            folder.mkdir()
            (folder / "added.py").write_text("VALUE = 7")
            sys.path.insert(0, str(folder))
            sys.argv.append("more")
            os.chdir(folder)
            with TaskManager(config(method)) as second:
                print(second.queue_task(look) == (7, str(folder), sys.argv))

    if __name__ == "__main__":
        main(sys.argv[1])
"""


@methods
def test_changes_before_a_child_starts(program: Program, method: str) -> None:
    """It has `sys.path`, the current directory and `sys.argv` as they are then, and not as the fork server has them."""
    assert program.run(SURROUNDINGS, method) == "True\n"


AWKWARD = """
    import os, sys
    from pathlib import Path
    Path("json.py").write_text("raise SystemExit('not this one')")
    if sys.argv[2] == "path":
        sys.path.append(Path("somewhere"))
    elif sys.argv[2] == "long":
        sys.path += [f"/nowhere/{number}/" + "x" * 200 for number in range(3000)]
    from tasker import Config, ProcessBackend, TaskManager

    def main(method):
        backend = ProcessBackend(start_method=method)
        config = Config(on_create=object, worker_count=1, resource_pool_size=0, ready_timeout=20, backend=backend)
        with TaskManager(config) as manager:
            print(manager.queue_task(lambda ctx, resource: 7))

    if __name__ == "__main__":
        main(sys.argv[1])
"""


@pytest.mark.parametrize("what", ["path", "long", "json.py"])
@methods
def test_an_awkward_path(program: Program, method: str, what: str) -> None:
    """A `Path` in `sys.path`, more of it than an argument of a program may have, and a module of the script's folder that
    has the name of one of the standard library: children start all the same."""
    assert program.run(AWKWARD, method, what) == "7\n"


ENVIRONMENT = """
    import os, sys
    from pathlib import Path
    from tasker import Config, ProcessBackend, TaskManager

    def config(method):
        backend = ProcessBackend(start_method=method, preload=["preloaded_by_test"])
        return Config(on_create=object, worker_count=1, resource_pool_size=0, backend=backend)

    def look(ctx, resource):
        return [os.environ.get(name) for name in ("SET", "CHANGED", "REMOVED", "PRELOADED")]

    def main(method):
        os.environ.update(CHANGED="before", REMOVED="before")
        with TaskManager(config(method)) as first:
            print(first.queue_task(look))
            os.environ.update(SET="after", CHANGED="after")
            del os.environ["REMOVED"]
            with TaskManager(config(method)) as second:
                print(second.queue_task(look))

    if __name__ == "__main__":
        Path("preloaded_by_test.py").write_text("import os; os.environ['PRELOADED'] = 'there'")
        main(sys.argv[1])
"""


@methods
def test_the_environment_when_a_child_starts(program: Program, method: str) -> None:
    """It has the variables of this process as they are then, and those that a preloaded module has set."""
    before, after = program.run(ENVIRONMENT, method).splitlines()
    there = "'there'" if method == "forkserver" else "None"
    assert before == f"[None, 'before', 'before', {there}]"
    assert after == f"['after', 'after', None, {there}]"
