"""A measurement's JSON as one HTML page that needs nothing else. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from loadtest.charts import cdf, line_chart
from loadtest.measures import STAGES

Json = dict[str, Any]
_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;margin:24px auto;max-width:1180px;padding:0 16px;color:#1f2328}
h1{font-size:22px}h2{font-size:17px;margin-top:32px}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:4px 8px;border-bottom:1px solid #d8dee4;text-align:right;vertical-align:top}th:first-child,td:first-child{text-align:left}
th{font-weight:600;background:#f6f8fa}.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(480px,1fr));gap:12px}
svg{width:100%;height:auto;border:1px solid #d8dee4;border-radius:6px}.t{font:600 13px system-ui}.a{font:11px system-ui;fill:#57606a}
.g{stroke:#eaeef2}.m{stroke:#8c959f;stroke-dasharray:4 3}.bad{color:#b3261e}.good{color:#1a7f37}details{margin:8px 0}.note{color:#57606a}
"""


def page(report: Json, name: str) -> str:
    """The whole page. ``report``: as ``loadtest.bench`` and ``loadtest.soak`` write it."""
    rows = report["rows"]
    body = [
        f"<h1>{escape(name)}</h1><p>{escape(report['machine'])} Protocols: {escape(', '.join(report['protocols']))}. "
        f"Load average before: {report['load_average_before']:.2f}.</p>",
        _verdicts(report),
    ]
    if rows:
        body += [
            "<h2>Levels</h2>",
            _levels(rows),
            _charts(rows),
            "<h2>Stages</h2>",
            _stages(rows),
            "<h2>Processor and memory</h2>",
            _machine(rows),
        ]
        body += [_one_level(row) for row in rows]
    body.append('<p class="note">Definitions and how to read this: loadtest/README.md.</p>')
    head = f'<meta charset="utf-8"><title>{escape(name)}</title><style>{_STYLE}</style>'
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(body)}</body></html>\n"


def table(heads: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Cells are escaped; None is a dash."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    rows = "".join("<tr>" + "".join(f"<td>{'–' if cell is None else escape(str(cell))}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _verdicts(report: Json) -> str:
    lines: list[str] = []
    if "kept_up_channels" in report:
        lines.append(f"<li>Highest level kept up: <b>{report['kept_up_channels']} channels</b></li>")
    for check in report.get("checks", []):
        mark = '<b class="good">✓</b>' if check["passed"] else '<b class="bad">✗</b>'
        lines.append(f"<li>{mark} {escape(check['name'])}: {escape(check['detail'])}</li>")
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def _two(item: Json) -> str:
    return f"{_s(item['p50'])} / {_s(item['p95'])}"


def _s(value: float | None) -> str:
    return "–" if value is None else f"{value / 1000:.2f}"


def _gap(row: Json) -> str | None:
    gap = row["cer_gap"]
    return None if gap is None else f"{gap[0]:+.3f} [{gap[1]:+.3f}, {gap[2]:+.3f}]"


def _levels(rows: Sequence[Json]) -> str:
    heads = (
        "channels",
        "calls",
        "speech",
        "first partial p50/p95 s",
        "2 right p50/p95 s",
        "partial lag p50/p95 s",
        "final p50/p95/p99 s",
        "suggestion p50/p95 s",
        "missed (offline)",
        "CER (offline)",
        "CER gap, 95%",
        "revised",
        "finals lost",
        "late ms",
        "kept up",
    )
    lines = [
        (
            row["channels"],
            row["calls"] if not row["refused"] else f"{row['calls']}, {row['refused']} refused",
            f"{row['speech_ratio']:.0%}",
            _two(row["first_partial_ms"]),
            _two(row["two_right_ms"]),
            _two(row["partial_lag_ms"]),
            f"{_two(row['final_ms'])} / {_s(row['final_ms']['p99'])}",
            _two(row["suggestion_ms"]),
            f"{row['missed']} ({'–' if row['missed_offline'] is None else row['missed_offline']}) of {row['utterances']}",
            f"{row['cer']:.3f} ({'–' if row['cer_offline'] is None else format(row['cer_offline'], '.3f')})",
            _gap(row),
            f"{row['revision_rate']:.1%}",
            row["finals_lost"],
            row["late_ms"],
            "yes" if row["kept_up"] else "no",
        )
        for row in rows
    ]
    reasons = [f"<li>{row['channels']} channels: {escape('; '.join(row['failures']))}</li>" for row in rows if row["failures"]]
    return table(heads, lines) + (f"<details open><summary>not kept up</summary><ul>{''.join(reasons)}</ul></details>" if reasons else "")


def _charts(rows: Sequence[Json]) -> str:
    charts = []
    for title, key in (
        ("Speech end → final", "final_ms"),
        ("Speech start → first partial", "first_partial_ms"),
        ("Speech start → two right characters", "two_right_ms"),
    ):
        series = {
            f"{row['channels']}": cdf([wait[key] / 1000 for wait in row["detail"]["waits"] if wait[key] is not None])
            for row in rows
            if any(wait[key] is not None for wait in row["detail"]["waits"])
        }
        charts.append(
            line_chart(title, series, x_label="s", y_label="share", x_range=(0.0, _longest(rows, key)), y_range=(0.0, 1.0), marks=(1.2,))
        )
    if len(rows) == 1:
        return f'<div class="grid">{"".join(charts)}</div>'
    cores = {
        name: [(float(row["channels"]), row["cores"][name]) for row in sorted(rows, key=lambda row: row["channels"])]
        for name in ("server", "worker", "senders")
    }
    charts.append(line_chart("Cores", cores, x_label="channels", y_label="cores"))
    return f'<div class="grid">{"".join(charts)}</div>'


def _longest(rows: Sequence[Json], key: str) -> float:
    """Where a curve's axis ends, s: at the worst level's p95, at least at 2."""
    return max(2.0, *((row[key]["p95"] or 0) / 1000 for row in rows))


def _stages(rows: Sequence[Json]) -> str:
    heads = ("channels", *(f"{name} p50/p95 ms" for name in STAGES), "partials superseded")
    lines = [
        (
            row["channels"],
            *(f"{row['stages_ms'][name]['p50']} / {row['stages_ms'][name]['p95']}" for name in STAGES),
            row["partials_dropped"],
        )
        for row in rows
    ]
    return table(heads, lines)


def _machine(rows: Sequence[Json]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row["server_threads_cores"]))
    heads = (
        "channels",
        "server cores",
        "worker cores",
        "senders cores",
        "all else",
        *(f"thread {name}" for name in names),
        "server MB",
        "worker MB",
    )
    lines = [
        (
            row["channels"],
            *(row["cores"][name] for name in ("server", "worker", "senders", "others")),
            *(row["server_threads_cores"].get(name) for name in names),
            row["rss_mb"]["server"],
            row["rss_mb"]["worker"],
        )
        for row in rows
    ]
    return table(heads, lines)


def _profile(row: Json) -> str:
    if "profile" not in row:
        return ""
    lines = [(line["thread"], line["module"], line["in"], f"{line['cores']:.3f}") for line in row["profile"]]
    return f"<details><summary>Python time by part</summary>{table(('thread', 'module', 'calling', 'cores'), lines)}</details>"


def _one_level(row: Json) -> str:
    detail = row["detail"]
    waits = {
        label: [(wait["at"], wait[key] / 1000) for wait in detail["waits"] if wait[key] is not None]
        for label, key in (("final", "final_ms"), ("first partial", "first_partial_ms"))
    }
    marks = tuple(detail["window_s"])
    cores = {
        label: [(point["at"], point[key]) for point in detail["machine"]]
        for label, key in (("server", "server_cores"), ("senders", "sender_cores"))
    }
    memory = {"server": [(point["at"], point["rss_mb"]) for point in detail["machine"]]}
    charts = [
        line_chart("Waits", waits, x_label="s of the level", y_label="s", marks=marks),
        line_chart("Cores", cores, x_label="s of the level", y_label="cores", marks=marks),
        line_chart("Resident memory", memory, x_label="s of the level", y_label="MB", marks=marks),
    ]
    calls = [
        (
            call["name"],
            call["from_s"],
            call["seconds"],
            *(
                (_two(call["first_partial_ms"]), _two(call["final_ms"]), call["missed"], call["cer"])
                if "final_ms" in call
                else ("", "", "", "")
            ),
            call["late_ms"],
            call["error"] or "",
        )
        for call in detail["calls"]
    ]
    heads = ("call", "from s", "length s", "first partial p50/p95 s", "final p50/p95 s", "missed", "CER", "late ms", "refused")
    audio = row["audio"]
    account = ", ".join(f"{name} {value:.1f} s" for name, value in audio["outcomes_s"].items())
    return (
        f"<h2>{row['channels']} channels</h2><p>Audio sent {audio['sent_s']:.1f} s = {escape(account)}; unaccounted "
        f'{audio["unaccounted_s"]:.3f} s.</p><div class="grid">{"".join(charts)}</div>'
        f"<details><summary>{len(calls)} calls</summary>{table(heads, calls)}</details>{_profile(row)}"
    )
