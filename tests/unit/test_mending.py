"""Words put back by their sound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from copilot.domain.ids import ArticleId
from copilot.domain.knowledge import Article
from kb.mending import Vocabulary

TEXT = (
    "信用卡被盗刷怎么办，先挂失再申请退款。放款时间和转账限额可以在手机银行查询。"
    "盗刷之后要报案，盗刷的钱可以追回。信用卡年费。怎么申请？怎么查询？"
)
BANK = Article(article_id=ArticleId("a"), version=1, language="zh", domain="d", title="信用卡盗刷", body=TEXT, answer=TEXT)


@pytest.fixture
def words() -> Vocabulary:
    made = Vocabulary()
    made.take([BANK])
    return made


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("我的卡被到刷了", "我的卡被盗刷了"),
        ("转帐现额是多少", "转账限额是多少"),
        ("方款要多久", "放款要多久"),
        ("辛用卡怎么办", "信用卡怎么办"),
        ("信卡怎么挂失", "信用卡怎么挂失"),
    ],
    ids=["same sound", "two words", "folded sound", "first character", "one lost"],
)
def test_a_word_of_the_articles_is_put_back(words: Vocabulary, heard: str, meant: str) -> None:
    assert words.mend(heard) == meant


@pytest.mark.parametrize(
    "said", ["我的信用卡被盗刷了", "事实就是这样", "今天天气真好啊", "hello 123", "【卡号#1】到了", "", "卡", "咋个整嘛，退钱给我"]
)
def test_what_is_said_in_words_of_its_own_stays(words: Vocabulary, said: str) -> None:
    assert words.mend(said) == said


def test_words_go_with_the_last_article_that_has_them(words: Vocabulary) -> None:
    other = replace(BANK, article_id=ArticleId("b"), title="理财", body="理财产品到期赎回", answer="")
    words.take([BANK, other])
    assert words.mend("理才产品") == "理财产品"
    words.take([other])
    assert words.mend("被到刷了") == "被到刷了"
    assert words.mend("理才产品") == "理财产品"
    words.take([replace(other, title="存款", body="定期存款", answer="")])
    assert words.mend("理才产品") == "理才产品"
    assert words.mend("订期存款") == "定期存款"
