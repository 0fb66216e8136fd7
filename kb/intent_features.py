"""What the intent classifier sees of a sentence: its vector, centred, and its words, letter grams and sounds, hashed. Does no I/O."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kb.analysis import analyse

Matrix = npt.NDArray[np.float32]
BUCKETS = 2048
WORD_WEIGHT = 0.6
"""Length of the hashed part beside the vector's length of 1."""


def term_counts(text: str, language: str) -> Counter[str]:
    """Words, and by sound pairs of syllables (zh) or by letters trigrams (en): what survives a misheard character."""
    terms = analyse(text, language)
    counts = Counter(terms.words)
    counts.update(f"~{sound}" for sound in terms.pinyin)
    if language != "zh":
        counts.update(f"#{gram}" for gram in terms.bigrams)
    return counts


def document_frequency(counted: Sequence[Counter[str]]) -> Matrix:
    """``[BUCKETS]``: weight of every bucket, high for what few sentences hold."""
    seen = np.zeros(BUCKETS)
    for counts in counted:
        for bucket in {_bucket(term)[0] for term in counts}:
            seen[bucket] += 1
    return np.log(1 + (1 + len(counted)) / (1 + seen)).astype(np.float32)


def hashed(counted: Sequence[Counter[str]], idf: Matrix) -> Matrix:
    """``[len(counted), BUCKETS]``, rows of length 1 (0 for a sentence without terms)."""
    rows = np.zeros((len(counted), BUCKETS), np.float32)
    for row, counts in zip(rows, counted, strict=True):
        for term, count in counts.items():
            bucket, sign = _bucket(term)
            row[bucket] += sign * idf[bucket] * (1 + math.log(count))
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    result: Matrix = rows / np.maximum(norms, 1e-6)
    return result


def features(vectors: Matrix, mean: Matrix, lexical: Matrix) -> Matrix:
    """``[n, dimension + BUCKETS + 1]``. The model's vectors share one large direction; without it the differences have room."""
    moved = vectors - mean
    moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-6)
    return np.hstack([moved, WORD_WEIGHT * lexical, np.ones((len(moved), 1), np.float32)]).astype(np.float32)


def _bucket(term: str) -> tuple[int, float]:
    """Where a term is counted, and with which sign, so that those which collide cancel rather than add up."""
    code = zlib.crc32(term.encode())
    return code % BUCKETS, 1.0 if code >> 31 else -1.0
