"""The first steps: a pool of calculators.

Each worker makes one calculator, lends it to one task at a time, and switches it off at the end.
Run it with: python examples/basic.py
"""

from __future__ import annotations

import itertools
import sys

from tasker import Config, Context, TaskManager

serial_numbers = itertools.count(1)


def say(text: str) -> None:
    """Prints a line in one piece, since the workers print as well."""
    sys.stdout.write(f"{text}\n")


class Calculator:
    """Stands for anything that is expensive to make: a connection, a browser, a model."""

    def __init__(self) -> None:
        self.serial = next(serial_numbers)
        say(f"calculator {self.serial}: on")

    def divide(self, a: float, b: float) -> float:
        return a / b

    def off(self) -> None:
        say(f"calculator {self.serial}: off")


# A task is a function of a context, the worker's resource and further arguments.
def divide(_ctx: Context, calculator: Calculator, a: float, b: float) -> float:
    return calculator.divide(a, b)


def main() -> None:
    # Two workers make a calculator each. This example does not use `run_task`, so it keeps no resources for it.
    config = Config(on_create=Calculator, on_destroy=Calculator.off, worker_count=2, resource_pool_size=0)

    with TaskManager(config) as manager:
        # Wait for one result.
        say(f"84 / 2 = {manager.queue_task(divide, 84, 2)}")

        # Submit many, collect the results later. A TaskFuture is a concurrent.futures.Future.
        futures = [manager.submit(divide, 100, n) for n in (1, 2, 4, 5)]
        say(f"100 divided by 1, 2, 4, 5: {[future.result() for future in futures]}")

        # A task's own error goes to its caller. The worker and its calculator stay in service.
        try:
            manager.queue_task(divide, 1, 0)
        except ZeroDivisionError as error:
            say(f"1 / 0 failed: {error}")
        say(f"and still 9 / 3 = {manager.queue_task(divide, 9, 3)}")

        # Without waiting: a callback gets (result, error) in the worker's thread.
        manager.submit(divide, 22, 7, callback=lambda result, error: say(f"callback: {result:.4f}, error: {error}"))

    # Leaving the block finished all accepted tasks and switched every calculator off.
    say(f"ledger: {manager.stats().resources}")


if __name__ == "__main__":
    main()
