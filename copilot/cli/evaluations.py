"""The report of ``pangting kb eval`` for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = ("recall@1", "recall@5", "mrr", "ndcg@10")


def evaluation_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """From the JSON form. ``*`` marks a difference whose 95% interval leaves 0 out."""
    without = f", {report['unanswerable']} without an answer" if report["unanswerable"] else ""
    yield f"{report['queries']} queries{without}"
    for name, value in report["metrics"].items():
        yield f"  {name:<17} {value['value']:.3f}  [{value['low']:.3f}, {value['high']:.3f}]"
    if not report["variants"]:
        return
    yield ""
    yield f"{'noise':<20} {'fields':<16} " + " ".join(f"{name:>8}" for name in _SHOWN) + f"  {'MRR - clean':>12}  {'MRR - all':>12}"
    for variant in report["variants"]:
        values = " ".join(f"{variant['metrics'][name]['value']:>8.3f}" for name in _SHOWN)
        yield (
            f"{variant['noise']:<20} {variant['fields']:<16} {values}  "
            f"{_difference(variant['against_clean'])}  {_difference(variant['against_all'])}".rstrip()
        )


def _difference(estimates: Mapping[str, Mapping[str, float]]) -> str:
    if not estimates:
        return " " * 12
    found = estimates["mrr"]
    mark = "*" if found["low"] > 0 or found["high"] < 0 else " "
    return f"{found['value']:>+11.3f}{mark}"
