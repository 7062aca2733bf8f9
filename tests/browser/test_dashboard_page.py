"""The page of the dashboard, as people see and use it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the extra dashboard")
pytest.importorskip("uvicorn", reason="needs the extra dashboard")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra test")

from playwright.sync_api import expect

from support.waiting import WAIT, wait_until
from tasker import Config, Priority, TaskManager
from tasker.dashboard import serve

from .conftest import PATIENCE_MS, PHONE, OpenPage

TOKEN = "correct-horse-battery-staple"
HOSTILE = "<script>pwned = 1</script><img src=x onerror='pwned = 2'>"
GONE = "net::ERR_"
"""What the browser itself says of a server that is away."""

expect.set_options(timeout=PATIENCE_MS)


class Pools:
    """Managers and servers of a test, and a gate that their tasks wait at; all end with the test."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self._stack = ExitStack()

    def manager(self, name: str = "pool", **options: Any) -> TaskManager[object]:
        config = Config(
            **{
                "name": name,
                "on_create": object,
                "on_destroy": lambda r: None,
                "worker_count": 2,
                "max_worker_count": 2,
            }
            | {"max_retries": 0}
            | options
        )
        return self._stack.enter_context(TaskManager(config))

    def serve(self, *managers: Any, **options: Any) -> Any:
        return self._stack.enter_context(serve(*managers, **{"port": 0, **options}))

    def hold(self, manager: TaskManager[object], name: str = "hold", count: int = 1) -> None:
        """Has workers run a task of that name until the end of the test, or until the gate opens."""
        began = threading.Semaphore(0)

        def task(ctx: Any, resource: Any) -> None:
            began.release()
            self.gate.wait()

        task.__name__ = task.__qualname__ = name
        for _ in range(count):
            manager.submit(task)
            assert began.acquire(timeout=WAIT)

    def close(self) -> None:
        self.gate.set()
        self._stack.close()


@pytest.fixture
def pools() -> Iterator[Pools]:
    made = Pools()
    yield made
    made.close()


def square(ctx: Any, resource: Any, number: int) -> int:
    ctx.wait(0.001)  # as work does: a flood of failures is another matter
    if number % 10 == 7:
        raise ValueError("sevens are not squared\nby this pool")
    return number * number


def run_all(manager: TaskManager[object], count: int) -> None:
    for future in [manager.submit(square, number) for number in range(count)]:
        future.exception()


def is_live(page: Any) -> None:
    expect(page.locator("#status")).to_have_text("Live")


def tile(page: Any, name: str) -> Any:
    return page.locator(".tile").filter(has=page.locator("dt", has_text=name))


def number_in(page: Any, name: str) -> int:
    """Returns the total in the small print of a tile."""
    return int(tile(page, name).locator(".note").inner_text().split(" in total")[0].replace(",", ""))


def shows(page: Any, script: str, *arguments: Any) -> None:
    """Waits until a script returns true."""
    page.wait_for_function(script, arg=arguments[0] if arguments else None)


def test_numbers_under_load_are_true(pools: Pools, open_page: OpenPage) -> None:
    """While tasks run, a total on the page is one that was true a moment ago; afterwards, all of them are those of stats()."""
    manager = pools.manager(worker_count=3, max_worker_count=3)
    page = open_page(pools.serve(manager).url)
    is_live(page)
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            run_all(manager, 50)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(3):
            before = manager.stats().done_tasks
            wait_for_total(page, before)
            completed, failed = number_in(page, "Completed"), number_in(page, "Failed")
            assert completed + failed <= manager.stats().done_tasks
    finally:
        over.set()
        thread.join(WAIT)
    pools.hold(manager, count=3)
    waiting = [manager.submit(square, 1) for _ in range(4)] + [manager.submit(square, 2, priority=Priority.HIGH)]
    stats, metrics = manager.stats(), manager.metrics()
    assert (stats.running_tasks, stats.queued_tasks + stats.priority_tasks) == (3, 5)
    expect(tile(page, "Completed").locator(".note")).to_contain_text(f"{metrics.total_tasks_completed:,} in total")
    expect(tile(page, "Failed").locator(".note")).to_contain_text(f"{metrics.total_tasks_failed:,} in total, 10 %")
    expect(tile(page, "Queue").locator(".main")).to_have_text("5")
    expect(tile(page, "Queue").locator(".note")).to_have_text("1 urgent, 0 for later")
    expect(tile(page, "Workers").locator(".main")).to_have_text("3 of 3")
    expect(tile(page, "Workers").locator(".note")).to_have_text("3 tasks run, 0 starting")
    rows = page.locator("table.workers tbody tr")
    expect(rows).to_have_count(3)
    served = [int(text.replace(",", "")) for text in rows.locator("td:nth-child(5)").all_inner_texts()]
    assert sum(served) == stats.done_tasks
    assert rows.locator("th").all_inner_texts() == [one.name for one in manager.workers()]
    expect(page.locator(".groups summary").first).to_contain_text("sevens are not squared")
    expect(page.locator(".group-count").first).to_contain_text(f"{metrics.total_tasks_failed:,} tasks")
    pools.gate.set()
    assert [future.result(WAIT) for future in waiting] == [1, 1, 1, 1, 4]
    expect(tile(page, "Queue").locator(".main")).to_have_text("0")


def test_a_flood_of_failures(pools: Pools, open_page: OpenPage) -> None:
    """What came too fast to be seen one by one is told, and a group says that it has at least so many; the totals have them all."""
    manager = pools.manager()
    page = open_page(pools.serve(manager).url)
    is_live(page)

    def fails(ctx: Any, resource: Any) -> None:
        raise LookupError("there is none")

    submitted = 0
    while not page.get_by_text("came too fast to be shown").is_visible():
        futures = [manager.submit(fails) for _ in range(10_000)]
        submitted += len(futures)
        for future in futures:
            future.exception()
    wait_for_total(page, submitted)
    expect(page.locator(".group-count").first).to_contain_text("at least ")
    assert number_in(page, "Failed") == submitted == manager.metrics().total_tasks_failed


def wait_for_total(page: Any, least: int) -> None:
    """Waits until the page shows that at least so many tasks have ended."""
    shows(
        page,
        """(least) => [...document.querySelectorAll(".tile")].slice(0, 2)
            .map((one) => Number.parseInt(one.querySelector(".note").textContent.replaceAll(",", ""), 10))
            .reduce((all, one) => all + one, 0) >= least""",
        least,
    )


def test_a_restart_of_the_server_is_survived(pools: Pools, open_page: OpenPage) -> None:
    """The page says that it has lost its server, and of when its numbers are; it finds the next one by itself."""
    manager = pools.manager()
    server = pools.serve(manager)
    page = open_page(server.url, tolerates=GONE)
    is_live(page)
    server.close()
    expect(page.locator("#status")).to_have_text("Disconnected")
    expect(page.get_by_role("alert").first).to_contain_text("No connection to the server. The last numbers are of")
    run_all(manager, 20)
    pools.serve(manager, port=server.port)
    is_live(page)
    expect(page.locator("#banner")).to_be_hidden()
    wait_for_total(page, 20)


def test_a_new_attempt_can_be_asked_for(pools: Pools, open_page: OpenPage) -> None:
    """By a button, which waits for nothing."""
    manager = pools.manager()
    server = pools.serve(manager)
    page = open_page(server.url, tolerates=GONE)
    is_live(page)
    server.close()
    page.get_by_role("button", name="Try now").wait_for()
    pools.serve(manager, port=server.port)
    page.locator("#retry").evaluate("(button) => button.click()")  # it may recover, and hide it, in the meantime
    is_live(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(pools: Pools, open_page: OpenPage, accessible: Callable[[Any], None], scheme: str) -> None:
    """axe-core finds nothing to object to: with tasks and failures, a stack, a decision to confirm, a notice, without a server."""
    first, second = pools.manager("first"), pools.manager("second", worker_count=1, max_worker_count=1)
    server = pools.serve(first, second, allow_control=True)
    page = open_page(server.url, scheme=scheme, tolerates=GONE)
    run_all(first, 20)
    pools.hold(first)
    wait_for_total(page, 20)
    expect(page.locator("table.workers .state[data-state=busy]")).to_have_count(1)
    page.locator(".groups summary").first.click()
    accessible(page)
    page.locator("table.workers button").first.click()
    expect(page.locator("#stack-note")).not_to_have_text("Asking…")
    accessible(page)
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Stop…").click()
    accessible(page)
    page.get_by_role("button", name="Cancel").click()
    second.pause()
    page.get_by_label("Managers").get_by_role("button", name="second").click()
    expect(page.locator(".notices")).to_contain_text("Paused")
    accessible(page)
    server.close()
    expect(page.locator("#status")).to_have_text("Disconnected")
    accessible(page)
    second.resume()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_of_the_gate(
    pools: Pools, open_page: OpenPage, accessible: Callable[[Any], None], scheme: str
) -> None:
    """Nor of a page that has nothing to show."""
    manager = pools.manager(worker_count=0)
    page = open_page(pools.serve(manager, token=TOKEN).url, scheme=scheme, tolerates="401")
    expect(page.locator("#gate")).to_be_visible()
    accessible(page)
    page.get_by_role("textbox", name="Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#gate-error")).to_have_text("this is not the token")
    accessible(page)
    page.get_by_role("textbox", name="Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    is_live(page)
    expect(page.get_by_text("No workers at present.")).to_be_visible()
    accessible(page)


def test_the_theme_can_be_chosen(pools: Pools, open_page: OpenPage) -> None:
    """And is kept for the next visit; until then it is that of the system."""
    page = open_page(pools.serve(pools.manager()).url, scheme="dark")
    is_live(page)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Theme: auto").click()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_a_phone(pools: Pools, open_page: OpenPage, accessible: Callable[[Any], None]) -> None:
    """390 pixels are enough: nothing is cut off or needs scrolling to the side, but what scrolls by itself."""
    manager = pools.manager(name="a-manager-with-a-name-that-is-longer-than-a-phone-is-wide" * 2)
    page = open_page(pools.serve(manager, allow_control=True).url, size=PHONE)
    is_live(page)
    run_all(manager, 20)
    pools.hold(manager, name="_".join(["a_task_with_a_long_name"] * 6))
    wait_for_total(page, 20)
    expect(page.locator("table.workers .task").filter(has_text="a_task_with_a_long_name")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    wider = """(most) => [...document.querySelectorAll("#view *")].filter((one) =>
        !one.closest(".scroll") && !one.closest(".visually-hidden") && one.getBoundingClientRect().right > most).length"""
    assert page.evaluate(wider, PHONE["width"]) == 0
    accessible(page)


def test_the_keyboard_is_enough(pools: Pools, open_page: OpenPage) -> None:
    """Tab leads to a worker, Enter shows its stack, Escape leads back to it."""
    manager = pools.manager()
    page = open_page(pools.serve(manager).url)
    is_live(page)
    pools.hold(manager, count=2)
    expect(page.locator("table.workers .state[data-state=busy]")).to_have_count(2)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    name = manager.workers()[0].name
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == name:
            break
    else:
        raise AssertionError("Tab never came to the worker")
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name=name)).to_be_visible()
    expect(page.locator("#stack-text")).to_contain_text("self.gate.wait()")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.textContent") == name


def test_focus_survives_new_numbers(pools: Pools, open_page: OpenPage) -> None:
    """Each second the page has new ones; what was chosen, opened or marked stays."""
    manager = pools.manager()
    page = open_page(pools.serve(manager).url)
    is_live(page)
    run_all(manager, 20)
    wait_for_total(page, 20)
    page.locator(".groups summary").first.click()
    page.locator("table.workers button").first.focus()
    focused = page.evaluate_handle("document.activeElement")
    run_all(manager, 20)
    wait_for_total(page, 40)
    assert page.evaluate("(before) => document.activeElement === before", focused)
    assert page.evaluate("document.querySelector('.groups details').open")


def test_a_stack_of_a_worker_without_a_task(pools: Pools, open_page: OpenPage) -> None:
    """The page says that there is none."""
    page = open_page(pools.serve(pools.manager()).url)
    page.locator("table.workers button").first.click()
    expect(page.locator("#stack-note")).to_contain_text("It runs no task or hook")


def test_nothing_has_happened_yet(pools: Pools, open_page: OpenPage) -> None:
    """Each empty part says so, with a zero or a dash in each number."""
    page = open_page(pools.serve(pools.manager(worker_count=0)).url)
    is_live(page)
    for words in ("No workers at present.", "No task has failed.", "Nothing unusual has happened."):
        expect(page.get_by_text(words)).to_be_visible()
    assert not [text for text in page.locator(".tile").all_inner_texts() if "NaN" in text or "undefined" in text]


def test_resources_that_cannot_be_made(pools: Pools, open_page: OpenPage) -> None:
    """The page says so, with the error, how often, and what is done about it; a card says it before it is chosen."""

    def refused() -> object:
        raise ConnectionRefusedError("no database today")

    manager = pools.manager("broken", on_create=refused, resource_pool_size=0)
    future = manager.submit(square, 1)
    page = open_page(pools.serve(pools.manager("well"), manager).url)
    card = page.get_by_label("Managers").get_by_role("button", name="broken")
    expect(card.locator(".pill[data-tone=bad]")).to_have_text("creations fail")
    card.click()
    notice = page.locator(".notices [data-tone=bad]")
    expect(notice).to_contain_text("in a row: ConnectionRefusedError: no database today. The breaker is")
    future.cancel()
    manager.kill()


def test_several_managers(pools: Pools, open_page: OpenPage) -> None:
    """Each has a card with its state; choosing one shows it."""
    first, second = pools.manager("first"), pools.manager("second", worker_count=1, max_worker_count=1)
    page = open_page(pools.serve(first, second).url)
    expect(page.locator("#view h2")).to_have_text("first")
    card = page.get_by_label("Managers").get_by_role("button", name="second")
    card.click()
    expect(page.locator("#view h2")).to_have_text("second")
    expect(page.locator("table.workers tbody tr")).to_have_count(1)
    second.pause()
    expect(card).to_contain_text("paused")
    second.resume()


def test_what_comes_from_a_program_is_text(pools: Pools, open_page: OpenPage) -> None:
    """The name of a task or a manager and the message of an error that are markup are shown as they are; nothing of it runs."""
    manager = pools.manager(name=HOSTILE)
    page = open_page(pools.serve(manager).url)

    def fails(ctx: Any, resource: Any) -> None:
        raise RuntimeError(HOSTILE)

    fails.__name__ = fails.__qualname__ = HOSTILE
    manager.submit(fails).exception()
    pools.hold(manager, name=HOSTILE)
    expect(page.locator("table.workers .task").filter(has_text=HOSTILE)).to_have_count(1)
    expect(page.locator(".groups .message").first).to_have_text(HOSTILE)
    page.locator(".groups summary").first.click()
    expect(page.locator(".stories h4").first).to_contain_text(HOSTILE)
    expect(page.locator("#view h2")).to_have_text(HOSTILE)
    assert page.evaluate("typeof pwned") == "undefined"
    assert page.evaluate("[...document.images].every((one) => one.closest('h1'))")


def test_a_token_does_not_stay_in_the_address(pools: Pools, open_page: OpenPage) -> None:
    """It is exchanged at once: it is neither in the address, nor in the history, nor in what scripts can read."""
    server = pools.serve(pools.manager(), token=TOKEN)
    page = open_page(server.url_with_token)
    is_live(page)
    assert page.url == server.url
    kept = page.evaluate(
        "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, document.body.innerHTML])"
    )
    assert TOKEN not in kept
    assert page.evaluate("[document.cookie, history.length <= 2]") == ["", True]
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], TOKEN in cookie["value"]) == (True, "Strict", False)
    page.reload()
    is_live(page)


def test_a_page_that_may_not_change_anything_has_no_controls(pools: Pools, open_page: OpenPage) -> None:
    """As it is by default."""
    page = open_page(pools.serve(pools.manager()).url)
    is_live(page)
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    expect(page.get_by_role("button", name="Stop…")).to_have_count(0)


def test_controls(pools: Pools, open_page: OpenPage) -> None:
    """Each button does to the manager what it says, tells so, and stopping asks first."""
    manager = pools.manager()
    page = open_page(pools.serve(manager, allow_control=True).url, tolerates="409")  # of the sizes that are refused
    result = page.locator(".result")
    page.get_by_role("button", name="Pause").click()
    expect(result).to_have_text("Done: pause")
    assert manager.stats().paused
    page.get_by_role("button", name="Resume").click()
    expect(result).to_have_text("Done: resume")
    assert not manager.stats().paused
    page.get_by_label("Workers at least").fill("3")
    page.get_by_label("at most").fill("5")
    page.get_by_role("button", name="Resize").click()
    expect(result).to_have_text("Done: resize")
    assert (manager.explain().worker_count, manager.explain().max_worker_count) == (3, 5)
    expect(page.locator("table.workers tbody tr")).to_have_count(3)
    page.get_by_label("Workers at least").fill("9")
    page.get_by_role("button", name="Resize").click()
    expect(result).to_contain_text("max_worker_count")
    assert manager.explain().worker_count == 3
    generation = manager.stats().generation
    page.get_by_role("button", name="Refresh resources").click()
    expect(result).to_have_text("Done: refresh")
    wait_until(lambda: manager.stats().generation == generation + 1, WAIT)
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Cancel").click()
    assert manager.submit(square, 3).result(WAIT) == 9
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".heading .pill")).to_have_text("ended")
    expect(page.get_by_role("button", name="Pause")).to_be_disabled()
