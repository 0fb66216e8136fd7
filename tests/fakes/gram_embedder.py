"""An embedder without a model: hashed character bigrams. Texts that share characters are near, so engines can be tested in milliseconds."""

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np


class GramEmbedder:
    """Deterministic. ``seed`` makes another 'model' of it."""

    def __init__(self, dimension: int = 96, seed: str = "grams") -> None:
        self.dimension = dimension
        self.identity = f"{seed}:{dimension}"
        self.embedded = 0

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> np.ndarray:
        self.embedded += len(texts)
        return np.stack([self._one(text.lower()) for text in texts]) if texts else np.empty((0, self.dimension), np.float32)

    def _one(self, text: str) -> np.ndarray:
        vector = np.full(self.dimension, 0.05, np.float32)
        for gram in {text[at : at + 2] for at in range(len(text) - 1)} | set(text):
            vector[int.from_bytes(hashlib.sha256(gram.encode()).digest()[:4], "big") % self.dimension] += 1
        return vector / np.linalg.norm(vector)
