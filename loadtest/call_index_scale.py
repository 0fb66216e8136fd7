"""The index of calls at scale: how fast it is built, what it takes, how long searches last.

    python -m loadtest.call_index_scale --calls 100000 --dir /var/tmp/calls-index

Calls are put together from the lines of the labelled calls, 40 each, with numbers of their own; teams, agents, categories and times as in
``loadtest.fake_calls``. Documents go in as the server writes them, in batches of 200. Two things are measured apart, so that the rest can
be made at scale: analysing and blinding a call (here each line is analysed once, and calls are put together from what came of it), and
embedding (here vectors are drawn around 200 centres). The store is not part of it.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from copilot.search.embedded import EmbeddedCallIndex
from copilot.search.engine import FACETS, Asked, Document, Mark
from copilot.search.terms import Blinder, Terms, Word, wanted
from loadtest import call_set
from loadtest.fake_calls import rows

_BATCH = 200
_LINES = 40
_CLUSTERS = 200
DIMENSION = 384
QUERIES = {
    "one word": ("年费", False),
    "two words": ("信用卡 减免", False),
    "a rare phrase": ('"办理停车证"', False),
    "three words": ("信用卡 盗刷 冻结", False),
    "by sound": ("到刷", True),
    "two words by sound": ("新用卡 年废", True),
    "English words": ("credit card fee", False),
}


class _Drawn:
    """Names the vectors that are drawn instead of embedded."""

    identity = "drawn"
    dimension = DIMENSION


def documents(calls: int, blind: Blinder, seed: int = 7) -> Iterator[list[Document]]:
    """Batches, oldest calls first."""
    rng = np.random.default_rng(seed)
    lines = [blind.terms([line["text"]]) for call in call_set.load("calls") for line in call["utterances"]]
    centres = rng.normal(size=(_CLUSTERS, DIMENSION)).astype(np.float32)
    end = datetime(2026, 11, 1, tzinfo=UTC)
    for batch in rows(calls, end, seed):
        made: list[Document] = []
        for row in batch:
            said = [lines[n] for n in rng.integers(0, len(lines), _LINES)] + [blind.terms([str(rng.integers(10**8))])]
            vector = centres[rng.integers(_CLUSTERS)] + 0.6 * rng.normal(size=DIMENSION).astype(np.float32)
            made.append(
                Document(
                    call_id=row["call_id"],
                    revision=row["changed_at"].isoformat(),
                    started_ms=round(row["started_at"].timestamp() * 1000),
                    facets={
                        "team": (row["team_id"],), "agent": (row["agent_id"],), "intent": (row["intent"],),
                        "ticket": (row["ticket_level1"], f"/{row['ticket_level2']}"), "language": ("zh",), "protocol": ("raw",),
                        "direction": ("inbound",), "risk": (row["risk_band"],),
                        **({"score": (row["score_band"],), "state": (row["qa_state"],)} if row["qa_state"] else {}),
                    },
                    terms=Terms(
                        text=tuple(chain.from_iterable(one.text for one in said)),
                        sounds=tuple(chain.from_iterable(one.sounds for one in said)),
                        chars=tuple(set(chain.from_iterable(one.chars for one in said))),
                    ),
                    about=row["call_id"],
                    vector=vector / np.linalg.norm(vector),
                )
            )  # fmt: skip
            if len(made) == _BATCH:
                yield made
                made = []
        if made:
            yield made


def analysis_ms(blind: Blinder, calls: int = 100, seed: int = 5) -> float:
    """Processor time of analysing and blinding a call of 40 lines."""
    rng = np.random.default_rng(seed)
    lines = [line["text"] for call in call_set.load("calls") for line in call["utterances"]]
    begun = time.process_time()
    for _ in range(calls):
        blind.terms([lines[n] for n in rng.integers(0, len(lines), _LINES)])
    return round((time.process_time() - begun) * 1000 / calls, 2)


def timed(work: Callable[[], Any], times: int) -> dict[str, float]:
    """p50 and p95 in ms, by the clock and of processor time: they differ by what else the machine does."""
    spent, used = [], []
    for _ in range(times):
        begun, worked = time.perf_counter(), time.process_time()
        work()
        spent.append((time.perf_counter() - begun) * 1000)
        used.append((time.process_time() - worked) * 1000)
    figures = {"p50_ms": (spent, 50), "p95_ms": (spent, 95), "cpu_p50_ms": (used, 50), "cpu_p95_ms": (used, 95)}
    return {name: round(float(np.percentile(values, share)), 1) for name, (values, share) in figures.items()}


def measure(index: EmbeddedCallIndex, blind: Blinder, times: int) -> dict[str, Any]:
    """What → p50 and p95 of the page of twenty, and of all facets with their counts."""
    found: dict[str, Any] = {}

    def both(name: str, asked: Asked) -> None:
        page = index.newest(asked, 21)
        found[name] = {
            "calls": page.total,
            "page": timed(lambda: index.newest(asked, 21), times),
            "facets": timed(lambda: index.counts(asked, FACETS), times),
        }

    for name, (text, by_sound) in QUERIES.items():
        needs = tuple(blind.phrases(word, by_sound) for word in wanted(text).words)
        both(name, Asked(needs=needs))
    word = (blind.phrases(Word(han="年费"), False),)
    both("one word, of a team lead", Asked(needs=word, reach=(("agent", ("lead",)), ("team", ("t07",)))))
    both("one word, two categories, high risk", Asked(needs=word, chosen={"ticket": ("/card-billing", "complaint"), "risk": ("high",)}))
    both("everything", Asked())
    both("one team, high risk", Asked(chosen={"team": ("t07",), "risk": ("high",)}))
    five = {"team": ("t07",), "ticket": ("/complaint-fee",), "score": ("fatal",), "state": ("reviewed",), "language": ("en",)}
    both("five facets that no call fits", Asked(chosen=five))
    rng = np.random.default_rng(3)
    for name, asked in (("meaning", Asked()), ("meaning, one team", Asked(chosen={"team": ("t07",)}))):
        vector = rng.normal(size=DIMENSION).astype(np.float32)
        vector /= np.linalg.norm(vector)
        terms = [term for term in blind.terms(["信用卡年费怎么减免"]).text if term != "."]

        def near(asked: Asked = asked, vector: Any = vector, terms: Sequence[str] = terms) -> None:
            index.nearest(vector, asked, 200)
            index.matching("text", terms, asked, 200)

        found[name] = {"page": timed(near, times)}
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.call_index_scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--dir", type=Path, required=True, help="an empty directory for the index; kept, so that --measure can use it")
    parser.add_argument("--measure", action="store_true", help="measure an index that is there")
    parser.add_argument("--times", type=int, default=50)
    options = parser.parse_args(argv)
    blind = Blinder(b"scale" * 6)
    report: dict[str, Any] = {"analysis_cpu_ms_a_call": analysis_ms(blind)}
    if not options.measure:
        index = EmbeddedCallIndex(options.dir, _Drawn(), "scale")
        begun, used, done = time.perf_counter(), time.process_time(), 0
        for batch in documents(options.calls, blind):
            index.write(batch, [], Mark(at=datetime(2026, 11, 1, tzinfo=UTC), call_id=batch[-1].call_id))
            done += len(batch)
            if done % 10_000 == 0:
                print(f"{done:,} calls, {time.perf_counter() - begun:.0f} s", flush=True)
        index.close()
        report["build"] = {
            "calls": done,
            "seconds": round(time.perf_counter() - begun, 1),
            "cpu_seconds": round(time.process_time() - used, 1),
            "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    files = [path for path in options.dir.rglob("*") if path.is_file()]
    graph = sum(path.stat().st_size for path in files if path.name == "vectors")
    report["disk_mib"] = {"graph": graph >> 20, "documents": (sum(path.stat().st_size for path in files) - graph) >> 20}
    begun = time.perf_counter()
    index = EmbeddedCallIndex(options.dir, _Drawn(), "scale")
    report["open_seconds"] = round(time.perf_counter() - begun + _opened(index), 2)
    report["queries"] = measure(index, blind, options.times)
    index.close()
    print(json.dumps(report, ensure_ascii=False, indent=1))


def _opened(index: EmbeddedCallIndex) -> float:
    """Seconds until the index can be searched."""
    begun = time.perf_counter()
    index.state()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
