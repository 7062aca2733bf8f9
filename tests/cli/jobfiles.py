"""Job files that several tests use."""

SQUARE = """
    def task(ctx, resource, item):
        return int(item) ** 2
"""

# Runs until the file `go` exists, unless its context is cancelled; marks its start and its end.
GATED = """
    from pathlib import Path

    def task(ctx, resource, item):
        Path(f"started-{item}").touch()
        while not Path("go").exists():
            if ctx.wait(0.005):
                Path(f"cancelled-{item}").touch()
            ctx.raise_if_cancelled()
        return int(item)
"""

# As GATED, but deaf to its context.
DEAF = """
    import time
    from pathlib import Path

    def task(ctx, resource, item):
        Path(f"started-{item}").touch()
        while not Path("go").exists():
            time.sleep(0.005)
        return int(item)
"""

# The item "3" waits until it is cancelled.
THIRD_WAITS = """
    def task(ctx, resource, item):
        if item == "3":
            ctx.wait(60)
            ctx.raise_if_cancelled()
        return item
"""
