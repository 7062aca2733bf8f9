"""A job file for `tasker run`: turns the texts of a module into vectors, with a model in each actor of a Ray cluster.

    tasker run embed.py texts.jsonl --backend ray --address auto --output vectors.jsonl

The model has the shape of a small transformer, with weights that are drawn instead of learned: it needs no download and is
the same on every node, and what it says of a text is of no use. An item is all texts of a module: one call for many texts,
since a call over Ray costs a millisecond.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np
import ray

from tasker import Context

WORDS, SIZE, LAYERS, LONGEST = 1 << 16, 128, 12, 256
Matrix = np.ndarray[Any, np.dtype[np.float32]]


class Model:
    """The expensive resource, made once in each actor."""

    def __init__(self) -> None:
        random = np.random.default_rng(seed=7)
        self.words: Matrix = random.standard_normal((WORDS, SIZE), dtype=np.float32)
        self.layers: Matrix = random.standard_normal((LAYERS, SIZE, SIZE), dtype=np.float32) / np.float32(SIZE**0.5)
        self.node: str = ray.get_runtime_context().get_node_id()

    def embed(self, text: str) -> Matrix:
        words = re.findall(r"[a-z]{2,}", text.lower())[:LONGEST] or [""]
        state: Matrix = self.words[[zlib.crc32(word.encode()) % WORDS for word in words]]
        for weights in self.layers:
            attention = np.exp(state @ state.T / np.float32(SIZE))
            state = np.tanh((attention / attention.sum(axis=1, keepdims=True)) @ state @ weights + state)
        vector: Matrix = state.mean(axis=0)
        return vector / np.linalg.norm(vector)


def on_create() -> Model:
    return Model()


def task(ctx: Context, model: Model, item: dict[str, Any]) -> dict[str, Any]:
    vectors = {name: model.embed(text).round(5) for name, text in item["texts"].items()}
    return {"node": model.node, "vectors": vectors}
