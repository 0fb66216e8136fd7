"""Customers' problems put together by meaning and named by their words. Pure and deterministic.

Average-linkage clustering (Sokal and Michener 1958, scikit-learn's) of the embedded problems, after their common mean is taken out: the
vectors of one model point mostly one way, and only what is left tells problems apart. Names are the words with the highest class-based
TF-IDF (Grootendorst 2022, arXiv:2203.05794): tf(t, c) · ln(1 + A / f(t)), with A words a class on average and f(t) over all classes.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kb.analysis import content_words, normalise

MOST_PROBLEMS = 2000
"""Clustered at once: memory and time grow with the square."""
DISTANCE = 0.75
"""Mean cosine distance within which two groups become one. Chosen on the sample bank's Mandarin intents: docs/explanation/analytics.md."""
LEAST_SIZE = 5
REACH = 0.35
"""Least cosine between a problem and the middle of the cluster it is put into."""
SAME = 0.8
"""Middles of two rounds that are this near are one cluster, which keeps its id."""
_TERMS = 4
_NOTHING = 1e-4
_LEAST_CALLS_OF_A_TERM = 3
"""A word in a name was said in as many problems of the cluster: nothing that one customer alone said names a cluster."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A cluster: ``middle`` is the mean of its centred vectors, unit length; ``members``: rows, the nearest to the middle first."""

    cluster_id: str
    terms: tuple[str, ...]
    members: tuple[int, ...]
    middle: Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """The clusters of one language, the largest first. ``mean``: what is taken from a vector before it is compared."""

    mean: Vectors
    clusters: tuple[Found, ...]

    def assign(self, vectors: Vectors) -> list[str]:
        """The id of the nearest cluster of each row, empty where none is within ``REACH``."""
        if not self.clusters or len(vectors) == 0:
            return [""] * len(vectors)
        near = centred(vectors, self.mean) @ np.stack([one.middle for one in self.clusters]).T
        best = near.argmax(axis=1)
        return [self.clusters[column].cluster_id if near[row, column] >= REACH else "" for row, column in enumerate(best)]


def packed(vector: Vectors) -> str:
    """A unit vector as a digest keeps it: half the precision of its numbers is enough to tell problems apart."""
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def unpacked(kept: Sequence[str]) -> Vectors:
    """[n, d] of what ``packed`` made."""
    rows = [np.frombuffer(base64.b64decode(one), "<f2").astype(np.float32) for one in kept]
    return np.stack(rows) if rows else np.zeros((0, 1), np.float32)


def centred(vectors: Vectors, mean: Vectors) -> Vectors:
    """Without the common mean, unit length again. One that is the mean itself stays as it is: others like it are like it still."""
    moved = vectors - mean
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    made: Vectors = np.where(lengths > _NOTHING, moved / np.maximum(lengths, _NOTHING), vectors).astype(np.float32)
    return made


def cluster(vectors: Vectors, texts: Sequence[str], language: str, earlier: Clustering | None = None) -> Clustering:
    """``vectors``: [n, d], unit rows, n at most ``MOST_PROBLEMS``; ``texts``: the problems, whose words name the clusters.

    Groups of fewer than ``LEAST_SIZE`` are no clusters. ``earlier``: the last round's, whose ids are kept where a middle hardly moved.
    """
    from sklearn.cluster import AgglomerativeClustering

    if len(vectors) < LEAST_SIZE:
        mean = vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1], np.float32)
        return Clustering(mean=mean.astype(np.float32), clusters=())
    mean = vectors.mean(axis=0).astype(np.float32)
    points = centred(vectors, mean)
    engine = AgglomerativeClustering(n_clusters=None, distance_threshold=DISTANCE, metric="cosine", linkage="average")
    labels = engine.fit_predict(points.astype(np.float64))
    groups = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    groups = sorted((group for group in groups if len(group) >= LEAST_SIZE), key=lambda group: (-len(group), int(group[0])))
    names = distinctive([[texts[int(row)] for row in group] for group in groups], language)
    made = []
    for group, terms in zip(groups, names, strict=True):
        middle = points[group].mean(axis=0)
        middle = (middle / max(float(np.linalg.norm(middle)), 1e-9)).astype(np.float32)
        nearness = points[group] @ middle
        members = tuple(int(group[at]) for at in np.argsort(-nearness, kind="stable"))
        made.append(Found(cluster_id=_new_id(middle, language), terms=terms, members=members, middle=middle))
    return Clustering(mean=mean, clusters=_kept_ids(made, earlier))


def distinctive(classes: Sequence[Sequence[str]], language: str) -> list[tuple[str, ...]]:
    """The words that name each class of texts against the others."""
    seen = [Counter(word for text in texts for word in _words(text, language)) for texts in classes]
    every: Counter[str] = Counter()
    for counts in seen:
        every.update(counts)
    average = sum(every.values()) / len(classes) if classes else 0.0
    named = []
    for counts in seen:
        weights = {word: n * math.log(1 + average / every[word]) for word, n in counts.items() if n >= _LEAST_CALLS_OF_A_TERM}
        ranked = sorted(weights, key=lambda word: (-weights[word], word))
        named.append(tuple(ranked[:_TERMS]))
    return named


def _words(text: str, language: str) -> frozenset[str]:
    """Once a text: a word that one customer keeps saying counts once."""
    if language == "zh":
        return frozenset(word for word in content_words(text, "zh") if len(word) > 1 and not any(char.isdigit() for char in word))
    # Whole words are shown, not the stems that the index compares.
    stems = content_words(text, "en")
    words = (word.strip(".,;:!?'\"()") for word in normalise(text).split())
    return frozenset(word for word in words if len(word) > 2 and word.isalpha() and content_words(word, "en") & stems)


def _new_id(middle: Vectors, language: str) -> str:
    return f"{language}-{hashlib.sha256(middle.tobytes()).hexdigest()[:10]}"


def _kept_ids(made: Sequence[Found], earlier: Clustering | None) -> tuple[Found, ...]:
    if earlier is None or not earlier.clusters or not made:
        return tuple(made)
    near = np.stack([one.middle for one in made]) @ np.stack([one.middle for one in earlier.clusters]).T
    pairs = sorted((-float(near[a, b]), a, b) for a in range(near.shape[0]) for b in range(near.shape[1]) if near[a, b] >= SAME)
    ids: dict[int, str] = {}
    taken: set[int] = set()
    for _, row, column in pairs:
        if row not in ids and column not in taken:
            ids[row] = earlier.clusters[column].cluster_id
            taken.add(column)
    return tuple(
        Found(cluster_id=ids.get(row, one.cluster_id), terms=one.terms, members=one.members, middle=one.middle)
        for row, one in enumerate(made)
    )
