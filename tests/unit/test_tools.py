"""The question desk: what may run, what is refused, what waits for a confirmation; on a real SQLite file and a real HTTP server."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot.domain.errors import EngineError, Forbidden, InvalidInput, NotFound
from copilot.domain.ids import OrgId, UserId
from copilot.telemetry.clock import SystemClock
from copilot.tools.database import ViewsDatabase
from copilot.tools.desk import ToolDesk
from copilot.tools.files import ToolSet, parse_tools
from copilot.tools.sql import View, checked

SAMPLE = (Path(__file__).parents[2] / "kb/samples/tools/tools.yaml").read_text(encoding="utf-8")
ORG, AGENT = OrgId("default"), UserId("u1")
VIEWS = (View(name="fees", columns={"item": "", "fee": ""}), View(name="hours", columns={"branch": "", "district": ""}))


@pytest.fixture
def database(tmp_path) -> Path:
    path = tmp_path / "views.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE secret (name TEXT, balance INTEGER); INSERT INTO secret VALUES ('高立冬', 88123);
            CREATE TABLE fees_table (item TEXT, product TEXT, fee INTEGER, note TEXT);
            INSERT INTO fees_table VALUES ('补卡', '信用卡', 15, '');
            INSERT INTO fees_table VALUES ('跨行转账', '借记卡', 5, '柜台'), ('跨行取款', '借记卡', 3, '第4笔起');
            CREATE VIEW fee_schedule AS SELECT * FROM fees_table;
            CREATE VIEW branch_hours AS SELECT '滨江支行' branch, '滨江区' district, '9:00-17:00' weekday, '' weekend;
            """
        )
    return path


class Writer:
    """A text model that answers with the SQL it was given."""

    model_id = "scripted"

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.asked: list[dict[str, object]] = []

    def complete_json(self, prompt_name, variables, schema):
        self.asked.append(variables)
        return {"sql": self.sql}


def desk(database: Path | None, *, tools: ToolSet | None = None, model=None, most_rows: int = 50):
    lines = []
    made = ToolDesk(
        tools=tools or parse_tools(SAMPLE),
        database=ViewsDatabase(f"sqlite:///{database}", 2.0) if database is not None else None,
        clock=SystemClock(),
        audit=lines.append,
        model=model,
        most_rows=most_rows,
    )
    return made, lines


# --- SQL ------------------------------------------------------------------------------------------------------------------------------

GOOD = [
    "SELECT item, fee FROM fees",
    "select count(*) from fees where fee > 5",
    "SELECT f.item FROM fees f JOIN hours h ON h.branch = f.item WHERE h.district IN ('a', 'b') ORDER BY f.fee DESC LIMIT 5",
    "SELECT district, COUNT(branch) AS n FROM hours GROUP BY district HAVING COUNT(branch) > 1 ORDER BY n",
    "SELECT * FROM fees WHERE item LIKE '%卡%' OR fee BETWEEN 1 AND 3",
    "SELECT item FROM fees WHERE fee = (SELECT MAX(fee) FROM fees)",
    "SELECT CASE WHEN fee > 5 THEN 'high' ELSE 'low' END AS level, ROUND(AVG(fee), 2) FROM fees GROUP BY level",
]
BAD = [
    "",
    ";",
    "SELECT 1",
    "SELECT item FROM fees; DROP TABLE fees",
    "SELECT item FROM fees; SELECT 1",
    "DROP TABLE fees",
    "DELETE FROM fees",
    "UPDATE fees SET fee = 0",
    "INSERT INTO fees VALUES (1, 2)",
    "REPLACE INTO fees VALUES (1, 2)",
    "TRUNCATE fees",
    "ALTER TABLE fees ADD x",
    "CREATE TABLE x AS SELECT * FROM fees",
    "SELECT * INTO x FROM fees",
    "WITH x AS (SELECT * FROM fees) SELECT * FROM x",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
    "SELECT item FROM fees UNION SELECT name FROM secret",
    "SELECT item FROM fees UNION ALL SELECT sql FROM sqlite_master",
    "SELECT * FROM secret",
    "SELECT * FROM main.fees",
    "SELECT * FROM sqlite_master",
    "SELECT name FROM pragma_table_info('secret')",
    "SELECT load_extension('x')",
    "SELECT item, randomblob(1000000000) FROM fees",
    "SELECT writefile('x', item) FROM fees",
    "SELECT readfile('/etc/passwd') FROM fees",
    "PRAGMA query_only = OFF",
    "ATTACH 'x' AS y",
    "VACUUM",
    "SELECT balance FROM fees",
    "SELECT secret.name FROM fees",
    "SELECT f.item FROM fees f, hours h",
    "SELECT * FROM fees CROSS JOIN hours",
    "SELECT * FROM fees JOIN hours",
    "SELECT * FROM fees NATURAL JOIN hours",
    "SELECT * FROM fees JOIN hours USING (branch)",
    "SELECT item FROM fees WHERE EXISTS (SELECT 1 FROM secret WHERE balance > 0)",
    "SELECT (SELECT name FROM secret) FROM fees",
    "SELECT item FROM fees LIMIT (SELECT 9)",
    "SELECT item FROM fees LIMIT 5 OFFSET 999999999",
    "SELECT item FROM fees WHERE fee = :fee",
    "SELECT item FROM fees WHERE fee = ?",
    "SELECT pg_sleep(10) FROM fees",
    "SELECT item FROM fees FOR UPDATE",
    "EXPLAIN SELECT item FROM fees",
    "SELECT item FROM (SELECT item FROM (SELECT item FROM fees))",
    "SELECT item FROM fees WHERE item GLOB '*' AND item REGEXP 'x'",
    "SELECT group_concat(item) OVER (ORDER BY fee) FROM fees",
    "SELECT item FROM fees -- ok\n; DROP TABLE fees",
    "COPY fees TO '/tmp/x'",
    "/* SELECT item FROM fees */ DELETE FROM fees",
    "SELECT item FROM fees WHERE 1=1 /*!50000 OR 1=1 */ ; --",
    "BEGIN; SELECT item FROM fees",
    "SELECT item FROM \"fees\" WHERE item = 'x' OR item IN (SELECT name FROM 'secret')",
    "SELECT item FROM fees, json_each('[1]')",
    "CALL x()",
    "GRANT ALL ON fees TO public",
    "SET ROLE admin",
    "SELECT CAST(item AS regclass) FROM fees",
    "SELECT item FROM fees TABLESAMPLE (10)",
    "SELECT a.item FROM fees a JOIN fees b ON 1=1 JOIN fees c ON 1=1 JOIN fees d ON 1=1",
    "VALUES (1)",
    "SELECT a.item FROM fees a JOIN fees b ON 1 = 1",
    "SELECT " + "1+" * 400 + "1 FROM fees",
]


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
@pytest.mark.parametrize("sql", GOOD)
def test_a_plain_question_may_run_and_is_bounded(sql: str, dialect: str) -> None:
    written = checked(sql, VIEWS, dialect=dialect, most_rows=20)
    assert written.upper().startswith("SELECT")
    limit = int(written.upper().rsplit("LIMIT ", 1)[1].split()[0])
    assert limit <= 20


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
@pytest.mark.parametrize("sql", BAD, ids=range(len(BAD)))
def test_an_attack_does_not_run(sql: str, dialect: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked(sql, VIEWS, dialect=dialect, most_rows=20)
    assert "secret" not in str(caught.value)


def test_more_rows_than_allowed_are_not_asked_for() -> None:
    assert checked("SELECT item FROM fees LIMIT 9999", VIEWS, dialect="sqlite", most_rows=20).endswith("LIMIT 20")


WORDS = [
    "SELECT",
    "item",
    "fee",
    "FROM",
    "fees",
    "secret",
    "WHERE",
    "=",
    "(",
    ")",
    ",",
    ";",
    "*",
    "'",
    '"',
    "--",
    "/*",
    "*/",
    "DROP",
    "DELETE",
    "UPDATE",
    "UNION",
    "JOIN",
    "ON",
    "hours",
    "branch",
    "name",
    "balance",
    "INTO",
    "WITH",
    "AS",
    "sqlite_master",
    "LIMIT",
    "1",
    "0",
    "OR",
    "AND",
    "EXISTS",
    "PRAGMA",
    "ATTACH",
    "load_extension",
    "pragma_table_info",
    ".",
    "main",
    "NULL",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "IN",
    "LIKE",
    "'%'",
    "||",
    ":x",
    "?",
]


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join), st.text(max_size=80)))
def test_whatever_is_written_only_the_views_are_ever_read(sql: str) -> None:
    try:
        written = checked(sql, VIEWS, dialect="sqlite", most_rows=20)
    except InvalidInput:
        return
    reads: set[str] = set()
    connection = sqlite3.connect(":memory:")
    connection.executescript("CREATE TABLE secret(name, balance); CREATE TABLE fees(item, fee); CREATE TABLE hours(branch, district);")

    def watch(action: int, first: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ:
            reads.add(str(first))
        return sqlite3.SQLITE_OK if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION) else sqlite3.SQLITE_DENY

    connection.set_authorizer(watch)
    with contextlib.suppress(sqlite3.OperationalError):  # not every statement that is allowed makes sense
        connection.execute(written)
    assert reads <= {"fees", "hours"}


def test_the_connection_itself_can_only_read(database: Path) -> None:
    views = ViewsDatabase(f"sqlite:///{database}", 2.0)
    for statement in ("DELETE FROM fees_table", "CREATE TABLE x (y)", "PRAGMA query_only = OFF", "ATTACH DATABASE 'x.db' AS x"):
        with pytest.raises(EngineError):
            views.rows(statement, {}, 5)
    assert views.rows("SELECT COUNT(*) FROM fees_table", {}, 5)[1] == ((3,),)


def test_a_query_that_takes_too_long_is_broken_off(database: Path) -> None:
    views = ViewsDatabase(f"sqlite:///{database}", 0.05)
    endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT COUNT(*) FROM r"
    with pytest.raises(EngineError, match="too long"):
        views.rows(endless, {}, 5)


# --- questions ------------------------------------------------------------------------------------------------------------------------


def test_a_known_question_is_answered_by_its_query_and_audited(database: Path) -> None:
    asked, lines = desk(database)
    answer = asked.ask("补卡工本费要多少钱", "zh", ORG, AGENT)
    assert (answer.status, answer.source, answer.generated) == ("answered", "fee_of", False)
    assert answer.rows == (("补卡", "信用卡", "15", ""),)
    assert [(line.action, line.target, line.actor) for line in lines] == [("tool.query", "fee_of", "u1")]
    assert "补卡" not in str(lines), "a question is content"


@pytest.mark.parametrize("value", ["' OR 1=1 --", "%'; DROP TABLE fees_table; --"])
def test_what_is_asked_is_a_value_and_no_sql(database: Path, value: str) -> None:
    tools = parse_tools(
        """
views: [{id: fee_schedule, columns: {item: x, fee: y}}]
questions: [{id: q, name: {zh: q}, patterns: {zh: ['费用 (?P<item>.+)']}, sql: 'SELECT item FROM fee_schedule WHERE item = :item'}]
"""
    )
    asked, _ = desk(database, tools=tools)
    assert asked.ask(f"费用 {value}", "zh", ORG, AGENT).rows == ()
    assert ViewsDatabase(f"sqlite:///{database}", 2.0).rows("SELECT COUNT(*) FROM fees_table", {}, 5)[1] == ((3,),)


@pytest.mark.parametrize(
    ("sql", "status"),
    [
        ("SELECT item, fee FROM fee_schedule WHERE fee > 4", "answered"),
        ("SELECT name, balance FROM secret", "refused"),
        ("DELETE FROM fee_schedule", "refused"),
        ("", "refused"),
    ],
)
def test_what_a_model_writes_is_checked_like_everything(database: Path, sql: str, status: str) -> None:
    asked, lines = desk(database, model=Writer(sql))
    answer = asked.ask("哪些业务收得最贵", "zh", ORG, AGENT)
    assert answer.status == status
    assert "88123" not in str(answer)
    assert lines[0].action == ("tool.query" if status == "answered" else "tool.refused")
    assert answer.generated is (status == "answered")


def test_a_question_about_a_person_never_reaches_a_model_or_the_database(database: Path) -> None:
    model = Writer("SELECT item FROM fee_schedule")
    asked, _ = desk(database, model=model)
    for question in ("客户的名字叫高立冬，他的余额是多少", "13812345678的账单", "查一下卡号6222021234567890123的积分"):
        assert asked.ask(question, "zh", ORG, AGENT).status == "refused"
    assert model.asked == []


def test_without_views_or_a_fitting_question_it_says_so(database: Path) -> None:
    assert "No views" in desk(None)[0].ask("补卡多少钱", "zh", ORG, AGENT).refused
    assert "fits" in desk(database)[0].ask("今天天气好吗", "zh", ORG, AGENT).refused


# --- look-ups -------------------------------------------------------------------------------------------------------------------------


class Core:
    """A bank's system over HTTP, which remembers what it was asked."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        core = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                core.paths.append(self.path)
                if "redirect" in self.path:
                    self.send_response(302)
                    self.send_header("Location", "/v1/elsewhere")
                    self.end_headers()
                    return
                body = b"x" * 100_000 if "long" in self.path else json.dumps({"state": "locked", "owner": "高立冬", "waiting": 3}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def core():
    server = Core()
    yield server
    server.http.shutdown()
    server.http.server_close()


def tool(core: Core, **changes) -> str:
    values = {"confirm": "false", "pattern": "[a-z./%?&#0-9@:-]+"} | changes
    return f"""
hosts: ["{core.host}"]
http:
  - id: look
    name: {{zh: 查}}
    url: "http://{core.host}/v1/things/{{key}}/state"
    parameters: {{key: {{pattern: "{values["pattern"]}", label: {{zh: 编号}}}}}}
    fields: [state, waiting]
    confirm: {values["confirm"]}
"""


def test_a_look_up_shows_its_fields_only_and_is_audited(core: Core) -> None:
    asked, lines = desk(None, tools=parse_tools(tool(core)))
    answer = asked.look_up("look", {"key": "a1"}, "", ORG, AGENT)
    assert (answer.columns, answer.rows) == (("state", "waiting"), (("locked", "3"),))
    assert [line.action for line in lines] == ["tool.call"]


@pytest.mark.parametrize("key", ["../../admin", "a?x", "a#b", "a/b", "@evil.example", "%2e%2e%2fadmin", "http://10.0.0.1"])
def test_a_value_cannot_leave_its_place_in_the_url(core: Core, key: str) -> None:
    asked, _ = desk(None, tools=parse_tools(tool(core)))
    asked.look_up("look", {"key": key}, "", ORG, AGENT)
    (path,) = core.paths
    assert path.count("/") == 4
    assert path.startswith("/v1/things/")
    assert path.endswith("/state")
    assert "?" not in path


def test_a_redirect_is_not_followed_and_a_long_answer_not_read(core: Core) -> None:
    asked, lines = desk(None, tools=parse_tools(tool(core)))
    for key in ("redirect", "long"):
        with pytest.raises(EngineError):
            asked.look_up("look", {"key": key}, "", ORG, AGENT)
    assert len(core.paths) == 2
    assert [line.action for line in lines] == ["tool.failed", "tool.failed"]


def test_what_touches_a_customer_runs_only_when_the_agent_confirmed_exactly_that(core: Core) -> None:
    asked, lines = desk(None, tools=parse_tools(tool(core, confirm="true")))
    first = asked.look_up("look", {"key": "a1"}, "", ORG, AGENT)
    assert (first.status, core.paths) == ("confirm", [])
    for values, user in (({"key": "a2"}, AGENT), ({"key": "a1"}, UserId("u2"))):
        again = asked.look_up("look", {"key": "a1"}, "", ORG, AGENT)
        with pytest.raises(Forbidden):
            asked.look_up("look", values, again.confirmation, ORG, user)
    assert core.paths == []
    assert asked.look_up("look", {"key": "a1"}, first.confirmation, ORG, AGENT).status == "answered"
    with pytest.raises(Forbidden):
        asked.look_up("look", {"key": "a1"}, first.confirmation, ORG, AGENT)
    assert len(core.paths) == 1
    assert [line.action for line in lines] == ["tool.call"]


def test_wrong_values_and_unknown_look_ups_are_refused(core: Core) -> None:
    asked, _ = desk(None, tools=parse_tools(tool(core, pattern="[a-z]{2}")))
    for values in ({}, {"key": "abc"}, {"key": "ab", "more": "x"}, {"key": "ab\n"}):
        with pytest.raises(InvalidInput):
            asked.look_up("look", values, "", ORG, AGENT)
    with pytest.raises(NotFound):
        asked.look_up("nothing", {}, "", ORG, AGENT)
    assert core.paths == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("hosts: []", "hosts"),
        ('url: "http://bank.example/{key}"', "among `hosts`"),
        ('url: "http://{key}/x"', "fixed host"),
        ('url: "ftp://a.example/{key}"', "https"),
        ("method: POST", "confirm"),
        ("method: DELETE", "GET or POST"),
        ("fields: []", "fields"),
        ("timeout_s: 60", "timeout_s"),
        ('parameters: {key: {pattern: "(", label: {zh: x}}}', "regular expression"),
        ('parameters: {key: {pattern: ".*", label: {zh: x}}}', "does not match nothing"),
        ("parameters: {}", "holes"),
    ],
)
def test_a_tool_file_that_cannot_be_trusted_is_refused_with_its_place(change: str, message: str) -> None:
    import yaml

    data = {
        "hosts": ["a.example"],
        "http": [
            {"id": "t", "name": {"zh": "t"}, "url": "https://a.example/{key}", "fields": ["x"],
             "parameters": {"key": {"pattern": "[a-z]+", "label": {"zh": "k"}}}}
        ],
    }  # fmt: skip
    changed = yaml.safe_load(change)
    (data if "hosts" in changed else data["http"][0]).update(changed)
    with pytest.raises(InvalidInput, match=message):
        parse_tools(yaml.safe_dump(data))


def test_the_sample_file_is_good_and_lists_its_tools() -> None:
    asked, _ = desk(None)
    assert {item["id"] for item in asked.listed("en")} == {"fee_of", "hours_in", "queue_length", "card_state"}
    assert [item["name"] for item in asked.listed("zh") if item["id"] == "card_state"] == ["查客户的卡状态"]
