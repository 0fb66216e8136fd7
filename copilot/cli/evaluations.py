"""The reports of ``pangting kb reindex``, ``kb eval`` and ``kb tune`` for people."""

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
    kept = [(variant, variant["loss_kept"]["mrr"]) for variant in report["variants"] if "mrr" in variant["loss_kept"]]
    if kept:
        yield ""
        yield "Loss of MRR under noise with all fields, as a share of the loss without one:"
    for variant, share in kept:
        yield f"{variant['noise']:<20} {variant['fields']:<16} {share['value']:>8.2f}  [{share['low']:.2f}, {share['high']:.2f}]"


def reindex_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """From the JSON form, of a rebuild or of a check."""
    if "written" in report:
        rate = report["written"] / max(report["seconds"], 0.01)
        yield f"{report['passages']} passages in {report['seconds']:.1f} s ({rate:.0f} a second; those embedded before cost little)."
    if report["stale"]:
        yield f"The index must be built again: {report['stale']}."
    elif report["differences"]:
        yield f"Index and store differ in {len(report['differences'])} articles: {', '.join(report['differences'][:10])}"
    else:
        yield f"Index and store agree (watermark {report['watermark']})."


def gap_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """From the JSON form."""
    yield f"{report['calls']} calls of the last {report['days']} days{', the newest only' if report['capped'] else ''}."
    for gap in report["gaps"]:
        yield f"{gap['count']:>5}  {gap['examples'][0]}  [{gap['intent'] or '-'}; last {gap['last']}]"
    if not report["gaps"]:
        yield "Nothing was asked that found no answer."


def tuning_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """From the JSON form."""
    if not report["languages"]:
        yield "Too few queries with an answer in any language; nothing was fitted."
    for one in report["languages"]:
        size = f"{one['queries']} queries ({one['readings']} readings with noise)"
        yield f"{one['language']}: {size}, {one['unanswerable']} without an answer"
        for label, key in (("before", "before"), ("fitted", "after"), ("cross-validated", "cross_validated")):
            yield f"  {label:<17} " + "  ".join(f"{name} {value['value']:.3f}" for name, value in one[key].items())
        gain = one["gain"]
        yield f"  {'gain in MRR':<17} {gain['value']:+.3f}  [{gain['low']:+.3f}, {gain['high']:+.3f}], cross-validated by article"
        if not one["adopted"]:
            yield "  The weights stay as they were: cross-validated, the fitted ones were worse."
        yield f"  {'weights':<17} " + "  ".join(f"{name} {weight:g}" for name, weight in one["weights"].items())
        area = one["answerability_auc"]
        if area is None:
            yield "  No queries without an answer: confidence and the bar for nothing fits stay as they were."
        else:
            interval = f"[{area['low']:.3f}, {area['high']:.3f}]"
            yield f"  {'nothing fits':<17} below confidence {one['threshold']:.2f}; AUC {area['value']:.3f} {interval}"
    yield "Stored; running servers rank so within a second." if report["kept"] else "Not stored."


def _difference(estimates: Mapping[str, Mapping[str, float]]) -> str:
    if not estimates:
        return " " * 12
    found = estimates["mrr"]
    mark = "*" if found["low"] > 0 or found["high"] < 0 else " "
    return f"{found['value']:>+11.3f}{mark}"
