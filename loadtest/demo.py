"""``make demo``: a real two-channel Mandarin call through the whole product, in real time, on one screen.

Public interfaces only: the command line for set-up, the Twilio-shaped websocket for the call, the agent's feed for what is shown, the API
for the artifacts. With ``--once`` the result is judged against the call's committed gold and decides the exit status.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from loadtest.call_view import CallView
from loadtest.feed_client import FeedClient
from loadtest.gold import judge, resolved
from loadtest.local_llm import MODEL_NAME, LocalLlm, fetch
from loadtest.server_process import ROOT, ServerFailed, ServerProcess, free_port
from streaming.play import play

Json = dict[str, Any]
SCENARIOS = ROOT / "loadtest" / "scenarios"
AGENT, SUPERVISOR = "demo-agent", "demo-quality"
USERS = {AGENT: ("agent", "演示坐席"), SUPERVISOR: ("inspector", "演示质检")}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the call; exit status 0 only if the result matches the gold")
    parser.add_argument("--call", default="demo", help="scenario in loadtest/scenarios (its call.wav is played)")
    parser.add_argument("--audio", type=Path, help="play this recording instead, but judge by the scenario's gold")
    parser.add_argument("--speed", type=float, default=1.0, help="1.0 is real time")
    parser.add_argument("--llm", choices=["local"], help="write replies and the summary with a small model on this machine (0.5 GB, once)")
    parser.add_argument("--json", action="store_true", help="print JSON lines for machines")
    parser.add_argument("--data-dir", type=Path, default=ROOT / "var" / "demo", help="where the demo keeps its data")
    return parser.parse_args()


class Demo:
    """One run of the demo."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        # A pipe has no width of its own; 80 columns would cut Chinese lines short.
        self.console = Console(highlight=False, quiet=options.json, width=None if sys.stdout.isatty() else 120)
        scenario = SCENARIOS / options.call
        if not (scenario / "gold.json").is_file():
            raise ServerFailed(f"There is no scenario {options.call!r} in {SCENARIOS}.")
        self.gold: Json = json.loads((scenario / "gold.json").read_text(encoding="utf-8"))
        self.audio: Path = options.audio or scenario / "call.wav"
        # Nobody but this machine reaches the demo, and whoever watches it wants to speak themselves.
        settings = {"PANGTING_TELEPHONY__BROWSER_CALLS": "1"}
        self.server = ServerProcess(data_dir=options.data_dir, http_port=free_port(8000), telephony_port=free_port(8765), settings=settings)
        self.view = CallView(self.console, json_lines=options.json)
        self.llm: LocalLlm | None = None

    @property
    def artifacts_timeout_s(self) -> float:
        return 360.0 if self.options.llm else 60.0

    def step(self, name: str, begun: float, note: str = "") -> None:
        self.console.print(f"  {name:<42}✓ {time.monotonic() - begun:.1f} s{'  ' + note if note else ''}")

    async def prepare(self) -> None:
        self.console.print("[bold]Server[/bold]")
        if self.options.llm:
            begun = time.monotonic()
            await asyncio.to_thread(self.start_llm)
            self.step("Language model ready", begun, MODEL_NAME)
        begun = time.monotonic()
        await asyncio.to_thread(self.server.prepare, USERS)
        self.step("Sample bank and accounts", begun)
        begun = time.monotonic()
        await asyncio.to_thread(self.server.start)
        await self.server.wait_ready_async()
        self.step("Server ready", begun, self.server.base)

    def start_llm(self) -> None:
        """A model beside the server; it is slow on a CPU that recognises speech too, so it is given time."""
        self.llm = LocalLlm(fetch())
        self.llm.start()
        self.server.settings |= {
            "PANGTING_LLM__URL": self.llm.base_url,
            "PANGTING_LLM__MODEL": MODEL_NAME,
            "PANGTING_LLM__REPLIES": "always",
            "PANGTING_LLM__TIMEOUT_S": "60",
            "PANGTING_LLM__AFTER_CALL_TIMEOUT_S": "240",
        }

    def stop(self) -> None:
        """The server, then the model it asks."""
        self.server.stop()
        if self.llm is not None:
            self.llm.stop()

    def show_urls(self) -> None:
        table = Table.grid(padding=(0, 2))
        passwords = self.server.passwords
        table.add_row("坐席侧边栏 Sidebar", f"{self.server.base}/agent", f"{AGENT} / {passwords[AGENT]}")
        table.add_row("试一试 Your own voice", f"{self.server.base}/try", f"{AGENT} / {passwords[AGENT]}")
        table.add_row("质检 Supervisor", f"{self.server.base}/calls", f"{SUPERVISOR} / {passwords[SUPERVISOR]}")
        table.add_row("集成密钥 Integration key", f"PANGTING_KEY={self.server.key}", "pangting play … (docs/tutorial.md)")
        self.console.print(Panel(table, title="打开 Open", title_align="left", expand=False))

    async def call(self, client: FeedClient) -> str:
        """Plays the call and shows it; the call id."""
        call_id = f"demo-{time.strftime('%Y%m%d-%H%M%S')}"
        self.console.print(f"\n[bold]Call[/bold] {call_id}  {self.audio.name}, Twilio Media Streams, real time\n")
        done = asyncio.Event()
        async with client.feed() as messages:

            async def follow() -> None:
                async for message in messages:
                    if message.get("call_id", message.get("call", {}).get("call_id")) == call_id:
                        self.view.receive(message)
                        if self.view.finished:
                            done.set()

            following = asyncio.create_task(follow())
            self.view.start()
            try:
                await play(
                    self.audio,
                    protocol="twilio",
                    url=self.server.telephony_url("twilio"),
                    key=self.server.key,
                    call_id=call_id,
                    metadata={"agent": AGENT},
                    on_event=lambda _event: None,
                    speed=self.options.speed,
                    language=self.gold.get("language", "zh"),
                )
                self.view.hung_up()
                waiting = asyncio.create_task(done.wait())
                finished, _ = await asyncio.wait(
                    {waiting, following}, timeout=self.artifacts_timeout_s, return_when=asyncio.FIRST_COMPLETED
                )
                if not finished:
                    raise ServerFailed(
                        f"The after-call artifacts did not appear within {self.artifacts_timeout_s:.0f} s; see {self.server.log_path}."
                    )
                waiting.cancel()
            finally:
                self.view.stop()
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await following
        return call_id

    async def run(self) -> int:
        await self.prepare()
        self.show_urls()
        client, inspector = FeedClient(self.server.base), FeedClient(self.server.base)
        try:
            await client.sign_in(AGENT, self.server.passwords[AGENT])
            await inspector.sign_in(SUPERVISOR, self.server.passwords[SUPERVISOR])
            call_id = await self.call(client)
            labels = await inspector.get("/bank/labels", language="zh")
            body = await inspector.get(f"/calls/{call_id}/artifacts")
            artifacts = {item["kind"]: item["body"] for item in body["artifacts"]}
            self.view.show_artifacts(artifacts, labels)
            self.view.show_latencies()
            status = self.verdict(artifacts) if self.options.once else 0
            self.console.print(f"\n  {self.server.base}/calls/{call_id}  ({SUPERVISOR})")
        finally:
            await client.aclose()
            await inspector.aclose()
        if not self.options.once:
            self.show_urls()
            self.console.print("The server stays up; Ctrl-C stops it.")
            assert self.server.process is not None
            await asyncio.to_thread(self.server.process.wait)
        return status

    def verdict(self, artifacts: dict[str, Json]) -> int:
        """Compares with the gold; 0 if everything matches."""
        checks = judge(self.gold, resolved(self.view.finals, self.view.secrets), self.view.suggestions, artifacts)
        if self.options.json:
            print(
                json.dumps(
                    {"type": "verdict", "checks": [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in checks]},
                    ensure_ascii=False,
                )
            )
        table = Table(title="Against the call's gold", title_justify="left", show_header=False, box=None, padding=(0, 2))
        for check in checks:
            table.add_row("[green]✓[/green]" if check.passed else "[red]✗[/red]", check.name, check.detail)
        self.console.print(table)
        failed = [check.name for check in checks if not check.passed]
        if failed:
            print(f"demo: the result does not match the gold: {', '.join(failed)}", file=sys.stderr)
        return 1 if failed else 0


async def run(options: argparse.Namespace) -> int:
    demo = Demo(options)
    try:
        return await demo.run()
    finally:
        await asyncio.to_thread(demo.stop)


def main() -> None:
    try:
        sys.exit(asyncio.run(run(arguments())))
    except ServerFailed as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
