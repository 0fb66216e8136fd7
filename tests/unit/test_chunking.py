"""Passages point exactly at their place in the body, and nothing of the body is lost."""

from hypothesis import given
from hypothesis import strategies as st

from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article
from kb.chunking import MAX_PASSAGE_CHARS, entries, passages


def article(body: str, language: str = "zh", **fields: object) -> Article:
    given_fields: dict[str, object] = {
        "article_id": ArticleId("a"),
        "version": 3,
        "language": language,
        "domain": "cards",
        "title": "挂失补卡",
        "body": body,
        **fields,
    }
    return Article(**given_fields)


def test_title_questions_and_answer_are_passages_of_their_own() -> None:
    found = passages(article("正文。", questions=("卡丢了怎么办", "补卡多少钱", "挂失补卡"), answer="您好，我马上为您挂失。"))
    assert [(passage.kind, passage.text) for passage in found] == [
        ("question", "挂失补卡"),
        ("question", "卡丢了怎么办"),
        ("question", "补卡多少钱"),  # the third question repeats the title
        ("answer", "您好，我马上为您挂失。"),
        ("body", "正文。"),
    ]
    assert [passage.passage_id for passage in found] == ["a:zh:3:q0", "a:zh:3:q1", "a:zh:3:q2", "a:zh:3:a", "a:zh:3:b0"]


def test_body_is_cut_at_headings_and_keeps_their_names() -> None:
    body = "开头。\n\n## 手续费\n\n| 项目 | 元 |\n|---|---|\n| 补卡 | 15 |\n\n## 时间\n五到七个工作日。\n"
    found = [passage for passage in passages(article(body)) if passage.kind == "body"]
    assert [(passage.section, passage.text) for passage in found] == [
        ("", "开头。"),
        ("手续费", "| 项目 | 元 |\n|---|---|\n| 补卡 | 15 |"),
        ("时间", "五到七个工作日。"),
    ]


def test_long_paragraphs_are_cut_at_sentence_ends() -> None:
    sentence = "账单日后二十天为还款日，逾期会收取违约金。"
    found = [passage for passage in passages(article(sentence * 40)) if passage.kind == "body"]
    assert len(found) > 2
    assert all(passage.text.endswith("。") for passage in found)


def test_what_is_embedded_says_what_it_is_about() -> None:
    body = [entry for entry in entries(article("## 手续费\n十五元。")) if entry.passage.kind == "body"]
    assert body[0].dense == "挂失补卡 手续费\n十五元。"
    assert body[0].lexical == "手续费 十五元。"


@given(
    st.lists(
        st.sampled_from(["## 标题\n", "一句话。", "A sentence. ", "\n", "\n\n", "| a | b |\n", "- 项目\n", "很长的话" * 80, "  "]),
        max_size=25,
    ),
    st.sampled_from(["zh", "en"]),
)
def test_spans_are_exact_in_order_within_the_limit_and_lose_nothing(parts: list[str], language: str) -> None:
    body = "".join(parts)
    found = [passage for passage in passages(article(body, language)) if passage.kind == "body"]
    end = 0
    covered = []
    for passage in found:
        assert passage.text == body[passage.start : passage.end]
        assert passage.text.strip() == passage.text != ""
        assert passage.start >= end
        assert len(passage.text) <= MAX_PASSAGE_CHARS[language]
        end = passage.end
        covered.append(passage.text)
    headings = [line for line in body.splitlines() if line.startswith("## ")]
    lost = "".join(line for line in body.splitlines() if line not in headings)
    assert "".join("".join(covered).split()) == "".join(lost.split())
