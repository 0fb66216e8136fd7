"""A live call on a terminal: partials rewritten in place, finals, intents and suggestions as they come, artifacts after."""

from __future__ import annotations

import json
import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]
_WHO = {"customer": ("客户", "cyan"), "agent": ("坐席", "green"), "mixed": ("通话", "white")}
_ANSWER = {"pass": "[green]✓[/green]", "fail": "[red]✗[/red]", "na": "[dim]–[/dim]", "not_scorable": "[yellow]?[/yellow]"}


def percentile(values: list[float], share: float) -> float:
    """The ``share`` quantile (0–1) by the nearest-rank method; 0 for no values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


class CallView:
    """Keeps what the feed sent of one call, and shows it (or prints it as JSON lines)."""

    def __init__(self, console: Console, *, json_lines: bool = False) -> None:
        self.console = console
        self.json_lines = json_lines
        self.finals: list[Json] = []
        self.suggestions: list[Json] = []
        self.events: list[Json] = []
        self.partials: dict[str, Json] = {}
        self.secrets: dict[str, str] = {}
        self.ready: dict[str, float] = {}
        self.hung_up_at = 0.0
        self._live: Live | None = None

    @property
    def finished(self) -> bool:
        """All that is made from the words of the call is ready or given up."""
        done = {event["kind"] for event in self.events if event["type"] in ("artifact_ready", "artifact_failed")}
        return {"summary", "ticket", "qa"} <= done

    def start(self) -> None:
        if self.console.is_terminal and not self.json_lines:
            self._live = Live(console=self.console, refresh_per_second=12, transient=True)
            self._live.start()

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def hung_up(self) -> None:
        self.hung_up_at = time.monotonic()

    def receive(self, message: Json) -> None:
        """One message of the feed."""
        if message["type"] == "partial":
            partial = message["partial"]
            self.partials[partial["channel"]] = partial
            self._refresh()
        elif message["type"] == "secrets":
            self.secrets.update(message["values"])
        elif message["type"] == "event":
            event = message["envelope"]["event"]
            self.events.append(event)
            if self.json_lines:
                print(json.dumps(event, ensure_ascii=False), flush=True)
            self._show(event, message["_at"])

    def _refresh(self) -> None:
        if self._live is None:
            return
        lines = []
        for channel, partial in self.partials.items():
            who, colour = _WHO[channel]
            line = Text(f"{partial['start_ms'] / 1000:7.1f}  {who}  ", style=f"dim {colour}")
            line.append(partial["stable"], style="default")
            line.append(partial["unstable"] + " …", style="dim italic")
            lines.append(line)
        self._live.update(Group(*lines))

    def _show(self, event: Json, at: float) -> None:
        show = self.console.print
        kind = event["type"]
        if kind == "utterance_final":
            self.finals.append(event)
            self.partials.pop(event["channel"], None)
            self._refresh()
            who, colour = _WHO[event["channel"]]
            show(Text.assemble((f"{event['start_ms'] / 1000:7.1f}  ", "dim"), (f"{who}  ", colour), event["text"]))
        elif kind == "intent_detected":
            show(Text(f"               意图 {event['intent']}  {event['confidence']:.0%}", style="magenta"))
        elif kind == "suggestion_offered":
            self.suggestions.append(event)
            if event["kind"] == "nothing":
                show(Text("               没有可靠的答案 Nothing reliable found", style="dim"))
                return
            self._show_card(event)
        elif kind == "reply_refused":
            show(Text(f"               AI 的回复未通过核对（{event['reason']}），以上面的答复为准", style="dim"))
        elif kind == "compliance_alerted":
            show(Text(f"               ⚠ {event['rule_id']}：{event['quote']}", style="yellow"))
        elif kind == "checklist_ticked":
            show(Text(f"               ☑ {event['step_id']}", style="dim green"))
        elif kind == "call_ended":
            show(Text(f"{event['duration_ms'] / 1000:7.1f}  挂机 {event['reason']}", style="dim"))
        elif kind == "artifact_ready":
            self.ready[event["kind"]] = at - self.hung_up_at
        elif kind == "artifact_failed":
            show(Text(f"               话后失败 {event['kind']}: {event['reason']}", style="red"))

    def _show_card(self, card: Json) -> None:
        """The text with its sources; of a generated one, which sentence rests on which."""
        show = self.console.print
        took = f"{card['confidence']:.0%} · {card['total_ms']:.0f} ms"
        sources = [f"{source['title']} · v{source['version']}" for source in card["citations"]]
        if not card["generated"]:
            show(Text(f"               建议 {card['text']}", style="bold"))
            show(Text(f"               出处 {sources[0]} · {took}", style="dim"))
            return
        show(Text("               AI 生成，请核对", style="yellow"))
        for sentence in card["sentences"]:
            marks = "".join(f"[{number + 1}]" for number in sentence["citations"])
            show(Text(f"               {card['text'][sentence['start'] : sentence['end']]} {marks}", style="bold"))
        for number, source in enumerate(sources, start=1):
            show(Text(f"               出处 [{number}] {source} · {took}", style="dim"))

    def show_artifacts(self, artifacts: dict[str, Json], labels: Json) -> None:
        """Three boxes: summary, ticket, quality score."""
        summary, ticket, card = (artifacts.get(kind, {}) for kind in ("summary", "ticket", "qa"))
        generated = summary.get("method") == "llm"
        lines = ["AI 生成，请核对"] if generated else []
        lines.append(summary.get("overall", ""))
        for title, key in (("问题", "problems"), ("处理", "actions"), ("承诺", "commitments"), ("后续", "follow_ups")):
            for statement in summary.get(key, []):
                said = f"  ← {' '.join(statement['utterance_ids'])}" if generated else ""
                lines.append(f"{title}  {statement['text']}{said}")
        self.console.print(Panel(Text("\n".join(lines)), title="小结 Summary", title_align="left"))
        names = labels["categories"]
        path = f"{names.get(ticket.get('level1'), ticket.get('level1'))} › {names.get(ticket.get('level2'), ticket.get('level2'))}"
        measures = "\n".join(f"建议  {measure}" for measure in ticket.get("measures", []))
        self.console.print(
            Panel(Text(f"{path}   {ticket.get('confidence', 0):.0%}\n{measures}".strip()), title="工单 Ticket", title_align="left")
        )
        table = Table.grid(padding=(0, 2))
        for item in card.get("items", []):
            name = labels["rubric_items"].get(item["item_id"], {}).get("name", item["item_id"])
            evidence = item["evidence"][0] if item["evidence"] else None
            quote = f"{evidence['start_ms'] / 1000:.1f} s 「{evidence['quote']}」" if evidence else ""
            table.add_row(
                _ANSWER[item["answer"]],
                name,
                f"{item['points']:g}/{item['max_points']:g}",
                Text(quote, style="dim", overflow="ellipsis", no_wrap=True),
            )
        self.console.print(Panel(table, title=f"质检 QA  {card.get('score', 0):.0f} / 100", title_align="left"))

    def latencies(self) -> dict[str, list[float]]:
        """ms by name, for tables."""
        rows: dict[str, list[float]] = {"final after speech end": [final["timings"]["after_speech_ms"] for final in self.finals]}
        shown = [card for card in self.suggestions if card["kind"] != "nothing" and not card["generated"]]
        written = [card for card in self.suggestions if card["generated"]]
        rows["suggestion after speech end"] = [card["total_ms"] for card in shown]
        if written:
            rows["generated reply after speech end"] = [card["total_ms"] for card in written]
        for card in [*shown, *written]:
            for stage in card["stages"]:
                if card["generated"] and not stage["name"].startswith("llm"):
                    continue
                rows.setdefault(f"  {stage['name']}", []).append(stage["ms"])
        return rows

    def show_latencies(self) -> None:
        table = Table(title="Latency (ms)", title_justify="left", box=None, padding=(0, 2))
        table.add_column("")
        for column in ("n", "p50", "p95"):
            table.add_column(column, justify="right")
        for name, values in self.latencies().items():
            table.add_row(name, str(len(values)), f"{percentile(values, 0.5):.0f}", f"{percentile(values, 0.95):.0f}")
        for kind, seconds in self.ready.items():
            table.add_row(f"{kind} after hang-up", "1", f"{1000 * seconds:.0f}", "")
        self.console.print(table)
