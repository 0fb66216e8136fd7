"""The raw protocol's page says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from copilot.domain.errors import RemoteProtocolError
from copilot.domain.transcript import TranscriptFinal, TranscriptPartial
from streaming import connection, gateway, switchboard
from streaming.telephony import interleaved, messages
from streaming.telephony.protocol import make_protocol

PAGE = (Path(__file__).parents[2] / "docs/reference/raw-protocol.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = [json.loads(line) for block in BLOCKS for line in re.sub(r"\n ", " ", block).strip().splitlines()]


def example(kind, having=None):
    return next(e for e in EXAMPLES if e["type"] == kind and (having is None or having in e))


def test_the_examples_are_taken_and_answered_as_shown():
    protocol = make_protocol("raw", {})
    (start,) = protocol.receive_text(json.dumps(example("start")))
    assert len(start.legs) == 2
    protocol.accept(start.external_id)
    assert json.loads(protocol.messages_to_send()[0]) == example("started")
    assert len(protocol.receive_text(json.dumps(example("gap")))) == 2
    partial, final = example("partial"), example("final")
    protocol.queue_event(TranscriptPartial(**{k: v for k, v in partial.items() if k != "type"}))
    protocol.queue_event(TranscriptFinal(**{k: v for k, v in final.items() if k != "type"}))
    assert [json.loads(text) for text in protocol.messages_to_send()] == [partial, final]


def test_every_close_code_is_in_the_table():
    listed = {int(code) for code in re.findall(r"^\| (\d{4}) \|", PAGE, re.MULTILINE)}
    ours = {
        messages.PROTOCOL_VIOLATION,
        messages.UNSUPPORTED,
        messages.BAD_PAYLOAD,
        messages.TOO_BIG,
        connection.INTERNAL,
        connection.TRY_AGAIN_LATER,
        connection.NOTHING_TO_RESUME,
        connection.TIMED_OUT,
        connection.CONFLICT,
        connection.NOT_ANNOUNCED,
        connection.RESTART,
        switchboard.TAKEN_OVER,
    }
    assert listed == ours


def test_limits_are_as_said():
    assert f"{interleaved.MAX_BINARY_BYTES:,} bytes" in PAGE
    assert gateway.GatewayConfig().start_timeout_s == 10
    assert gateway.GatewayConfig().idle_timeout_s == 15 * 60
    assert gateway.GatewayConfig().ping_s == 20
    with pytest.raises(RemoteProtocolError, match=f"at most {messages.MAX_METADATA_ENTRIES} "):
        make_protocol("raw", {}).receive_text(json.dumps(example("start") | {"metadata": {str(n): "" for n in range(33)}}))
