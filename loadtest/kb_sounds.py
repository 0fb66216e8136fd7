"""What listening to sounds is worth: ``python -m loadtest.kb_sounds`` (on dev), ``… --part test`` (to look once).

Four ways to search the sample bank in Mandarin: without any use of sounds, with the pinyin field, with mending (``kb.mending``), with
both. The weights of each are fitted on the dev queries, clean, with made noise and as they were heard, so that no way is judged against a
crippled one. Then each is scored on clean queries, on made noise of seeds that the fit did not see, and on what the recogniser heard.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from copilot.assembly import engines
from copilot.settings import Settings
from kb.embedded import EmbeddedEngine
from kb.embeddings import RememberingEmbedder
from kb.evaluation import LabelledQuery, read_queries
from kb.fusion import FIELDS
from kb.loaders import load_articles
from kb.measures import Estimate, bootstrap, paired_bootstrap, ratio_estimate
from kb.noise import Noise, noisy
from kb.ranking import DEFAULT_RANKING
from kb.service import KnowledgeBase, Observed
from kb.tuning import Reading, fitted_weights, ranks

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests/data/kb_eval"
BANK = ROOT / "kb/samples/bank"
NOISE = Noise(kind="mixed", rate=0.2)
FIT_SEED, SEEDS = 1, (1, 11)
"""Of the noise fitted to, and of the noises judged by on test. On dev the first of them was fitted to."""

WAYS: Mapping[str, tuple[bool, Sequence[str]]] = {
    "no sounds": (False, [name for name in FIELDS if name != "pinyin"]),
    "pinyin field": (False, FIELDS),
    "mending": (True, [name for name in FIELDS if name != "pinyin"]),
    "both": (True, FIELDS),
}
"""Way → (mending, fields)."""


class Bench:
    """The sample bank, indexed; every text is looked up once for each way of mending."""

    def __init__(self, folder: Path) -> None:
        embedder = RememberingEmbedder(engines.open_embedder(Settings()), folder / "queries.sqlite")
        passages = engines.remembering(Settings(), embedder)
        base = KnowledgeBase(EmbeddedEngine(folder / "index", passages), embedder)
        base.load(load_articles(BANK), 1)
        self._known: dict[tuple[bool, str], Observed | None] = {}
        self._bases = {mend: base.ranked_by(_ranking(mend)) for mend in (False, True)}

    def read(self, queries: Sequence[LabelledQuery], texts: Sequence[str], *, mend: bool) -> list[Reading]:
        """One reading a query, of the text in its place."""
        return [Reading(query=query, found=self._observe(text, mend)) for query, text in zip(queries, texts, strict=True)]

    def _observe(self, text: str, mend: bool) -> Observed | None:
        if (mend, text) not in self._known:
            self._known[mend, text] = self._bases[mend].observe(text, "zh") if text else None
        return self._known[mend, text]


def _ranking(mend: bool) -> Any:
    languages = {name: replace(one, mend=mend) for name, one in DEFAULT_RANKING.languages.items()}
    return replace(DEFAULT_RANKING, languages=languages)


def conditions(part: str, seeds: Sequence[int]) -> dict[str, tuple[list[LabelledQuery], list[str]]]:
    """Condition → queries and what is looked up for them."""
    queries = read_queries(DATA / f"{part}.zh.jsonl")
    spoken = read_queries(DATA / f"spoken.{part}.zh.jsonl")
    found = {"clean": (queries, [query.text for query in queries])}
    found |= {f"noise {seed}": (queries, [noisy(query.text, NOISE, seed) for query in queries]) for seed in seeds}
    return found | {
        "spoken, as written": (spoken, [query.text for query in spoken]),
        "spoken, as heard": (spoken, [query.heard or "" for query in spoken]),
    }


def judge(reciprocal: Mapping[str, npt.NDArray[np.float64]], names: Sequence[str]) -> Json:
    """MRR and R@5 of every condition, and the losses."""
    report: Json = {}
    for name, values in reciprocal.items():
        report[name] = {"mrr": _form(bootstrap(values.tolist())), "recall@5": _form(bootstrap((values >= 1 / 5).astype(float).tolist()))}
    report["loss, noise"] = _form(bootstrap(_noise_loss(reciprocal, names).tolist()))
    report["loss, heard"] = _form(paired_bootstrap(reciprocal["spoken, as written"].tolist(), reciprocal["spoken, as heard"].tolist()))
    return report


def _noise_loss(reciprocal: Mapping[str, npt.NDArray[np.float64]], names: Sequence[str]) -> npt.NDArray[np.float64]:
    """Per query, the mean over the noises."""
    loss: npt.NDArray[np.float64] = np.mean([reciprocal["clean"] - reciprocal[name] for name in names], axis=0)
    return loss


def _form(estimate: Estimate | None) -> list[float] | None:
    return None if estimate is None else [estimate.value, estimate.low, estimate.high]


def measure(bench: Bench, part: str) -> Json:
    """Every way, fitted on dev and judged on ``part``."""
    scores: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    report: Json = {"part": part, "ways": {}}
    judged = conditions(part, SEEDS)
    for way, (mend, fields) in WAYS.items():
        dev = conditions("dev", (FIT_SEED,))
        readings = [
            reading
            for name, (queries, texts) in dev.items()
            if name != "spoken, as written"
            for reading in bench.read(queries, texts, mend=mend)
        ]
        weights = fitted_weights(readings, DEFAULT_RANKING.of("zh").weights, fields)
        scores[way] = {}
        for name, (queries, texts) in judged.items():
            places = ranks(bench.read(queries, texts, mend=mend), weights)
            scores[way][name] = np.where(places > 0, 1.0 / np.maximum(places, 1), 0.0)
        print(way, weights, file=sys.stderr, flush=True)
        noises = [f"noise {seed}" for seed in SEEDS if part == "test" or seed != FIT_SEED]
        report["ways"][way] = {"weights": weights, **judge(scores[way], noises)}
        base = scores["no sounds"]
        if way != "no sounds":
            report["ways"][way]["loss kept, noise"] = _form(
                ratio_estimate(_noise_loss(scores[way], noises).tolist(), _noise_loss(base, noises).tolist())
            )
            report["ways"][way]["loss kept, heard"] = _form(
                ratio_estimate(
                    (scores[way]["spoken, as written"] - scores[way]["spoken, as heard"]).tolist(),
                    (base["spoken, as written"] - base["spoken, as heard"]).tolist(),
                )
            )
            report["ways"][way]["gain"] = {
                name: _form(paired_bootstrap(scores[way][name].tolist(), base[name].tolist())) for name in judged
            }
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.kb_sounds", description="Measures what listening to sounds is worth.")
    parser.add_argument("--part", choices=("dev", "test"), default="dev")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "kb_sounds", help="index and vectors of the queries")
    options = parser.parse_args(arguments)
    print(json.dumps(measure(Bench(options.folder), options.part), ensure_ascii=False, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
