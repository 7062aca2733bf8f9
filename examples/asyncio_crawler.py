"""A crawler: a few HTTP clients in one event loop, against a server that fails, hangs and drops connections.

Each page that a link leads to becomes a task. A server error is the fault of the page and is recorded. A dropped connection is
the fault of the client: the client is destroyed, and another one fetches the page again. If a page hangs, the task's own time
limit ends the attempt, and the client stays in service.
Run it with: pip install httpx && python examples/asyncio_crawler.py
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tasker import AsyncTaskManager, Config, Context

PAGES = 200
LIMIT = 0.5  # seconds for a page


class Site:
    """A web site in miniature: page n links to 2n and 2n + 1."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                number = int(request.split()[1].rpartition(b"/")[2])
                self.requests[number] += 1
                if number % 50 == 49:
                    await asyncio.sleep(2 * LIMIT)  # hangs
                if number % 20 == 13 and self.requests[number] == 1:
                    return  # hangs up without an answer
                status = b"500 Oops" if number % 40 == 31 else b"200 OK"
                links = " ".join(f"<a href=/page/{n}>" for n in (2 * number, 2 * number + 1) if n <= PAGES).encode()
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(links), links))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client, or this program, closed the connection
        finally:
            writer.close()


@asynccontextmanager
async def local_server(site: Site) -> AsyncIterator[str]:
    """Serves the site on a free port; yields its address."""
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def is_healthy(error: BaseException) -> bool:
    """Blames the client for a broken connection, and the page for an error response or a timeout."""
    return not isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError))


async def fetch(_ctx: Context, client: httpx.AsyncClient, number: int) -> list[int]:
    """Fetches a page; returns the numbers of the pages that it links to."""
    async with asyncio.timeout(LIMIT):
        page = await client.get(f"/page/{number}")
    page.raise_for_status()
    return [int(link) for link in re.findall(r"/page/(\d+)", page.text)]


async def crawl(manager: AsyncTaskManager[httpx.AsyncClient]) -> tuple[list[int], dict[str, list[int]], int]:
    """Follows all links from page 1; returns the pages that were fetched, those that failed, and how many needed more
    than one attempt."""
    fetched: list[int] = []
    failed: dict[str, list[int]] = {}
    again = 0
    seen, front = {1}, {manager.submit(fetch, 1): 1}
    while front:
        done, _ = await asyncio.wait(front, return_when=asyncio.FIRST_COMPLETED)
        for future in done:
            number = front.pop(future)
            again += future.attempts > 1
            try:
                links = future.result()
            except (httpx.HTTPStatusError, TimeoutError) as error:
                failed.setdefault(type(error).__name__, []).append(number)
                continue
            fetched.append(number)
            for link in links:
                if link not in seen:
                    seen.add(link)
                    front[manager.submit(fetch, link)] = link
    return fetched, failed, again


async def main() -> None:
    async with local_server(Site()) as address:

        @asynccontextmanager
        async def client() -> AsyncIterator[httpx.AsyncClient]:
            async with httpx.AsyncClient(base_url=address, trust_env=False, verify=False) as one:
                yield one

        config = Config(
            resource=client,
            check_health=is_healthy,
            worker_count=4,
            max_worker_count=16,
            burst_interval=0.02,
            resource_pool_size=0,
        )
        async with AsyncTaskManager(config) as manager:
            fetched, failed, again = await crawl(manager)
            stats, metrics = manager.stats(), manager.metrics()
        print(f"pages fetched: {len(fetched)}, the last of them {max(fetched)}")
        for kind, numbers in sorted(failed.items()):
            print(f"{kind}: pages {sorted(numbers)}")
        print(f"fetched again after the server hung up: {again}, clients replaced: {stats.replaced_workers}")
        print(f"clients made: {stats.resources.created}")
        print(f"half of the pages took less than {1000 * metrics.p50_execution_time:.1f} ms")
        print("resources:", manager.stats().resources)


if __name__ == "__main__":
    asyncio.run(main())
