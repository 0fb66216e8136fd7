"""Tickets as files: nothing in a cell is a formula, nobody gets what he may not see."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from openpyxl import load_workbook

from copilot.assembly.webhooks import TicketFiles
from copilot.domain.artifacts import Artifact, Summary, TicketClassification
from copilot.domain.calls import Call
from copilot.domain.events import CallEnded
from copilot.telemetry.clock import ManualClock
from postcall.export import COLUMNS, TicketLine, safe, write_csv, write_xlsx
from tests.fakes.celery_target import BANK, sample_packs
from tests.fakes.stores import AT, CALL, ORG, make_store, said, scope, sqlite_url, started

pytestmark = pytest.mark.anyio
TICKET = TicketClassification(
    level1="credit-card", level2="card-loss-replacement", confidence=0.87654, taxonomy_version="1", measures=("办理挂失",)
)
NO_FILTERS = dict.fromkeys(("after", "before", "level1", "level2", "agent_id"))
HOSTILE = ['=HYPERLINK("http://x","y")', "+1+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "＝1", "\x00=1", "\ufeff=1"]


def line(overall: str) -> TicketLine:
    call = Call(org_id=ORG, call_id=CALL, started_at=AT, duration_ms=61_400, language="zh")
    return TicketLine(call=call, agent="林", ticket=TICKET, summary=Summary(language="zh", overall=overall), confirmed=True)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_begins_a_formula(text: str) -> None:
    assert safe(text)[:1] == "'"
    rows = list(csv.reader(io.StringIO(b"".join(write_csv([line(text)], None, "zh")).decode("utf-8-sig"))))
    assert rows[1][COLUMNS["zh"].index("小结")].startswith("'")
    sheet = load_workbook(io.BytesIO(b"".join(write_xlsx([line(text)], None, "zh")))).active
    cell = sheet.cell(2, COLUMNS["zh"].index("小结") + 1)
    assert (cell.data_type, str(cell.value)[:1]) == ("s", "'")


def test_a_cell_stays_what_it_was_otherwise() -> None:
    assert safe('客户说:"卡,丢了"') == '客户说:"卡,丢了"'
    assert len(safe("长" * 50_000)) == 32_000
    rows = list(csv.reader(io.StringIO(b"".join(write_csv([line("甲,乙\n丙")], sample_packs().taxonomy, "zh")).decode("utf-8-sig"))))
    assert rows[1][2:8] == ["61", "林", "", "信用卡", "挂失补卡", "0.877"]
    assert rows[1][-2:] == ["甲,乙\n丙", "是"]


async def test_filters_scope_and_both_forms(tmp_path: Path) -> None:
    clock = ManualClock(AT)
    store = make_store(sqlite_url(tmp_path), tmp_path, clock)
    store.people.ensure_org(ORG)
    store.people.create_user(ORG, "u1", "林晓", ["agent"], user_id="u1")
    store.articles(ORG).put_pack("taxonomy", "*", (BANK / "taxonomy.yaml").read_text(encoding="utf-8"))
    for name, agent in (("c1", "u1"), ("c2", "u2")):
        opened = await store.journal.open(ORG, name, "node")
        await store.journal.append(ORG, opened, [started(agent), said("卡丢了"), CallEnded(reason="hangup", duration_ms=5000)])
    for job in store.outbox.lease(clock.now(), 60):
        if job.kind == "ticket":
            store.outbox.finish(job.job_id, Artifact(kind="ticket", version=1, body=TICKET))
    store.wrap_up.submit(scope("u1", "agent"), "c1")
    files = TicketFiles(store)

    def exported(who, **filters: object) -> list[list[str]]:
        text = b"".join(files.write(who, "csv", "en", {**NO_FILTERS, **filters})).decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text)))[1:]

    everybody = exported(scope("i", "inspector"))
    assert {(row[0], row[3], row[-1]) for row in everybody} == {("c1", "林晓", "yes"), ("c2", "u2", "no")}
    assert {row[5] for row in everybody} == {"Credit cards"}
    assert [row[0] for row in exported(scope("u2", "agent"))] == ["c2"]
    assert exported(scope("i", "inspector", org="other")) == []
    assert exported(scope("i", "inspector"), level1="loan") == []
    assert [row[0] for row in exported(scope("i", "inspector"), agent_id="u1")] == ["c1"]
    assert exported(scope("i", "inspector"), before=AT) == []
    assert len(exported(scope("i", "inspector"), after=AT)) == 2
    sheet = load_workbook(io.BytesIO(b"".join(files.write(scope("i", "inspector"), "xlsx", "zh", NO_FILTERS)))).active
    assert [cell.value for cell in sheet[1]] == list(COLUMNS["zh"])
    assert sheet.max_row == 3
    store.close()
