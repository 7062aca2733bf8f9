"""A pool of embedding models, each in a process of its own: work on every core, and a crash that costs one task.

The model weights the words of a text by their rarity in Python's standard library and hashes them into a vector. It is small,
but slow to load, and pure Python, so threads would take turns. The texts are the docstrings of the standard library. One text
crashes the model's "native code", and one keeps the model busy for ever.
Run it with: python examples/embedding_processes.py
"""

from __future__ import annotations

import ast
import ctypes
import hashlib
import importlib.util
import math
import re
import tokenize
from array import array
from collections import Counter
from collections.abc import Iterator

from tasker import Config, Context, MaxRetriesExceeded, ProcessBackend, TaskCancelled, TaskManager, WorkerLost

SIZE = 256
MODULES = """
    argparse asyncio.events asyncio.queues bisect calendar collections configparser contextlib copy csv datetime
    difflib fileinput fractions functools glob heapq http.client ipaddress json.decoder json.encoder logging
    mailbox os pathlib pickle queue random shutil socket sqlite3.dump statistics string subprocess tarfile
    tempfile textwrap threading urllib.parse uuid xml.dom.minidom zipfile
"""
CRASH = "a text that the model's native code can't take"
ENDLESS = "a text that keeps the model busy for ever"


def docstrings() -> Iterator[tuple[str, str]]:
    """Yields name and docstring of each documented function and class in some modules of the standard library."""
    for module in MODULES.split():
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            continue
        with tokenize.open(spec.origin) as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
                yield f"{module}.{node.name}", text


def words(text: str) -> list[str]:
    return [word.removesuffix("s") for word in re.findall(r"[a-z]{3,}", text.lower())]


class Model:
    """The expensive resource, made once in each child process."""

    def __init__(self) -> None:
        texts = [{*words(text)} for _, text in docstrings()]
        seen = Counter(word for text in texts for word in text)
        self.rarity = {word: math.log(len(texts) / count) for word, count in seen.items()}

    def embed(self, text: str) -> array[float]:
        vector = array("d", bytes(8 * SIZE))
        for word, count in Counter(words(text)).items():
            digest = hashlib.blake2b(word.encode(), digest_size=32).digest()
            weight = (1 + math.log(count)) * self.rarity.get(word, 1.0)
            for place in range(8):  # a word is spread over eight places, with a sign each
                index, sign = digest[4 * place], digest[4 * place + 1]
                vector[index % SIZE] += weight if sign % 2 else -weight
        length = math.sqrt(sum(value * value for value in vector)) or 1.0
        return array("d", (value / length for value in vector))


def embed(ctx: Context, model: Model, text: str) -> array[float]:
    """The task. Its argument and its result are pickled; the model stays in the child."""
    if text == CRASH:
        ctypes.string_at(0)  # reads address 0, as faulty native code might: a segmentation fault, not an exception
    while text == ENDLESS:
        pass
    return model.embed(text)


def nearest(query: array[float], vectors: dict[str, array[float]]) -> list[str]:
    def likeness(name: str) -> float:
        return sum(a * b for a, b in zip(query, vectors[name], strict=True))

    return sorted(vectors, key=likeness, reverse=True)[:3]


def main() -> None:
    config = Config(
        on_create=Model,
        worker_count=2,
        max_worker_count=2,
        resource_pool_size=0,
        max_retries=1,
        cancel_grace=0.2,
        backend=ProcessBackend(max_tasks=5000),  # replaces a leaking model in time
    )
    texts = dict(docstrings())
    with TaskManager(config) as manager:
        print(f"{len(texts)} docstrings")
        crash = manager.submit(embed, CRASH)
        only_once = manager.submit(embed, CRASH, once=True)
        endless = manager.submit(embed, ENDLESS)
        vectors = dict(zip(texts, manager.map(embed, texts.values()), strict=True))
        print(f"{len(vectors)} vectors, although two texts crashed their model")

        try:
            crash.result()
        except MaxRetriesExceeded as error:
            print(f"given up after {error.attempts} models: {error.__cause__!r}")
        try:
            only_once.result()
        except WorkerLost as error:
            print(f"not tried again: {error}")
        endless.cancel()  # the task ignores its context, so its process is terminated
        try:
            endless.result()
        except TaskCancelled:
            print("the endless one was ended")

        for query in ("the median of some numbers", "insert into a sorted list"):
            print(f"{query}: {', '.join(nearest(manager.queue_task(embed, query), vectors))}")
        for process in manager.stats().processes:
            print(f"{process.worker}: {process.rss // 2**20} MiB, {process.cpu_seconds:.1f} s of processor time")
    ledger = manager.stats().resources
    print(f"models: {ledger.created} made, {ledger.destroyed} ended, {ledger.lost} lost with their process")


if __name__ == "__main__":
    main()
