"""Writing, reviewing and retiring articles, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from copilot.domain.article_life import ArticleFilter, DraftConflict, Origin
from copilot.domain.errors import Conflict, Forbidden, NotFound
from copilot.domain.ids import ArticleId, OrgId, UserId
from copilot.domain.knowledge import Article
from copilot.domain.people import Scope, User
from copilot.store.store import Store
from copilot.telemetry.clock import ManualClock
from tests.fakes.stores import AT, ORG, make_store, new_database, postgres_server, sqlite_url

DAY = AT.date()


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(AT)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    url = sqlite_url(tmp_path) if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))
    opened = make_store(url, tmp_path, clock)
    opened.people.ensure_org(ORG)
    yield opened
    opened.close()


def user(name: str, *roles: str, org: str = ORG) -> User:
    return User(org_id=OrgId(org), user_id=UserId(name), username=name, display_name=name, roles=frozenset(roles))  # type: ignore[arg-type]


AUTHOR, OTHER, AGENT = user("author", "editor"), user("other", "editor"), user("agent", "agent")


def article(answer: str = "挂失免费。", *, begins: date | None = None, ends: date | None = None, name: str = "card-loss") -> Article:
    return Article(
        article_id=ArticleId(name), version=9, language="zh", domain="cards", title="银行卡挂失", body="", answer=answer,
        source="卡片业务手册", owner="卡组", products=("debit_card",), valid_from=begins, valid_to=ends,
    )  # fmt: skip


def publish(store: Store, text: Article) -> None:
    """Through the whole way: a draft by one person, published by another."""
    desk = store.article_desk(ORG)
    try:
        known = desk.versions(text.article_id, text.language)
    except NotFound:
        made = desk.create(text, AUTHOR)
    else:
        made = desk.save(text, next((row.revision for row in known if row.article.state == "draft"), 0), AUTHOR)
    sent = desk.submit(text.article_id, text.language, made.revision, AUTHOR)
    desk.publish(text.article_id, text.language, sent.revision, OTHER)


def audit(store: Store) -> list[tuple[str, str]]:
    scope = Scope(org_id=ORG, user_id=UserId("aud"), roles=frozenset({"auditor"}))
    return [(entry.actor, entry.action) for entry in reversed(store.audit.entries(scope))]


def test_a_draft_is_published_only_by_another_person_and_every_step_is_audited(store: Store) -> None:
    desk, articles = store.article_desk(ORG), store.articles(ORG)
    made = desk.create(article(), AUTHOR)
    assert (made.article.version, made.article.state) == (1, "draft")
    mark = articles.watermark()
    assert articles.published() == []
    with pytest.raises(Conflict):
        desk.publish("card-loss", "zh", made.revision, OTHER)
    sent = desk.submit("card-loss", "zh", made.revision, AUTHOR)
    with pytest.raises(Forbidden):
        desk.publish("card-loss", "zh", sent.revision, AUTHOR)
    with pytest.raises(Forbidden):
        desk.publish("card-loss", "zh", sent.revision, AGENT)
    with pytest.raises(DraftConflict):
        desk.publish("card-loss", "zh", made.revision, OTHER)
    with pytest.raises(Conflict):
        desk.save(article("改"), sent.revision, AUTHOR)
    back = desk.reject("card-loss", "zh", sent.revision, OTHER, "费用不对")
    assert (back.article.state, back.reason) == ("draft", "费用不对")
    assert articles.watermark() == mark, "nothing in force has changed, so no index has to be looked at"
    saved = desk.save(article("挂失免费，补卡15元。"), back.revision, AUTHOR)
    sent = desk.submit("card-loss", "zh", saved.revision, AUTHOR)
    done = desk.publish("card-loss", "zh", sent.revision, OTHER, "已核对手册")
    assert (done.article.state, done.decided_by) == ("published", "other")
    assert articles.watermark() > mark
    assert [(item.version, item.answer) for item in articles.published()] == [(1, "挂失免费，补卡15元。")]
    assert audit(store) == [
        ("author", "article.create"),
        ("author", "article.submit"),
        ("other", "article.reject"),
        ("author", "article.submit"),
        ("other", "article.publish"),
    ]
    assert store.audit.first_broken(ORG) is None


def test_whoever_sent_it_to_review_or_wrote_a_word_in_it_cannot_publish_it(store: Store) -> None:
    desk = store.article_desk(ORG)
    made = desk.create(article(), AUTHOR)
    saved = desk.save(article("挂失，免费。"), made.revision, OTHER)
    sent = desk.submit("card-loss", "zh", saved.revision, user("third", "editor"))
    for person in ("author", "other", "third"):
        with pytest.raises(Forbidden):
            desk.publish("card-loss", "zh", sent.revision, user(person, "editor", "ops_admin"))
        with pytest.raises(Forbidden):
            desk.reject("card-loss", "zh", sent.revision, user(person, "editor"), "不行不行")
    desk.publish("card-loss", "zh", sent.revision, user("boss", "ops_admin"))


def test_the_second_of_two_who_save_gets_both_texts(store: Store) -> None:
    desk = store.article_desk(ORG)
    first = desk.create(article("甲"), AUTHOR)
    desk.save(article("乙"), first.revision, OTHER)
    with pytest.raises(DraftConflict) as conflict:
        desk.save(article("丙"), first.revision, AUTHOR)
    assert conflict.value.stored.article.answer == "乙"

    def save(number: int) -> bool:
        try:
            desk.save(article(f"并发{number}"), first.revision + 1, OTHER)
        except DraftConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(save, range(8))) == 1


def test_a_later_beginning_keeps_todays_version_in_force_and_the_clock_changes_it(store: Store, clock: ManualClock) -> None:
    articles, key = store.articles(ORG), ("card-loss", "zh")
    publish(store, article("旧", begins=DAY - timedelta(days=9)))
    publish(store, article("新", begins=DAY + timedelta(days=2)))
    (today,) = articles.published()
    assert (today.answer, today.valid_to) == ("旧", DAY + timedelta(days=1))
    assert articles.in_force([key, ("none", "zh")]) == {key: 1}
    clock.advance(2 * 86_400)
    assert [item.answer for item in articles.published()] == ["新"]
    assert articles.in_force([key]) == {key: 2}
    (line,) = store.article_list(ORG).page(ArticleFilter()).items
    assert (line.version, line.standing, line.open) == (2, "in_force", "")


def test_what_is_retired_is_out_at_once_with_what_was_to_come(store: Store, clock: ManualClock) -> None:
    desk, articles = store.article_desk(ORG), store.articles(ORG)
    publish(store, article("旧"))
    publish(store, article("新", begins=DAY + timedelta(days=2)))
    mark = articles.watermark()
    with pytest.raises(Forbidden):
        desk.retire("card-loss", "zh", AGENT, "产品下线")
    assert desk.retire("card-loss", "zh", AUTHOR, "产品下线") == 2
    assert articles.watermark() > mark
    for _ in range(2):
        assert articles.published() == []
        assert articles.in_force([("card-loss", "zh")]) == {}
        clock.advance(3 * 86_400)
    with pytest.raises(Conflict):
        desk.retire("card-loss", "zh", AUTHOR, "产品下线")
    assert {row.article.state for row in desk.versions("card-loss", "zh")} == {"retired"}
    publish(store, article("重新上线"))
    assert [item.version for item in articles.published()] == [3]


def test_a_draft_overtaken_by_an_import_is_looked_at_again(store: Store) -> None:
    desk, articles = store.article_desk(ORG), store.articles(ORG)
    articles.upsert([replace(article("导入一"), state="published")])
    draft = desk.save(article("手工"), 0, AUTHOR)
    assert (draft.article.version, draft.base_version) == (2, 1)
    assert articles.upsert([replace(article("导入一"), state="published")]) == 0, "importing the same again changes nothing"
    sent = desk.submit("card-loss", "zh", draft.revision, AUTHOR)
    articles.upsert([replace(article("导入二"), state="published")])
    with pytest.raises(Conflict, match="Version 3"):
        desk.publish("card-loss", "zh", sent.revision, OTHER)
    back = desk.withdraw("card-loss", "zh", sent.revision, AUTHOR)
    saved = desk.save(article("手工，已对照导入二"), back.revision, AUTHOR)
    assert (saved.article.version, saved.base_version) == (4, 3)
    sent = desk.submit("card-loss", "zh", saved.revision, AUTHOR)
    desk.publish("card-loss", "zh", sent.revision, OTHER)
    assert [item.answer for item in articles.published()] == ["手工，已对照导入二"]
    assert [row.article.version for row in desk.versions("card-loss", "zh")] == [4, 3, 1]


def test_the_list_counts_by_state_filters_and_pages(store: Store) -> None:
    desk, listing = store.article_desk(ORG), store.article_list(ORG)
    publish(store, article(name="a"))
    publish(store, article(name="b", ends=DAY - timedelta(days=1)))
    desk.save(article("改动", name="a"), 0, AUTHOR)
    mined = Origin(kind="document", source="handbook.md", quote="挂失", start=3, end=5)
    desk.create(replace(article(name="c"), products=("credit_card",), title="信用卡挂失"), AUTHOR, mined)
    page = listing.page(ArticleFilter())
    assert page.counts == {"in_force": 1, "expired": 1, "draft": 2}
    assert page.total == 3
    assert [line.article_id for line in listing.page(ArticleFilter(state="draft"), limit=1).items] == ["c"]
    assert {line.article_id for line in listing.page(ArticleFilter(state="draft")).items} == {"a", "c"}
    assert [line.article_id for line in listing.page(ArticleFilter(product="credit_card")).items] == ["c"]
    assert [line.article_id for line in listing.page(ArticleFilter(text="信用卡", mined=True)).items] == ["c"]
    assert listing.page(ArticleFilter(), offset=2, limit=2).total == 3
    assert store.article_list(OrgId("other")).page(ArticleFilter()).total == 0
    assert desk.open_version("c", "zh").origin == mined
    draft = desk.open_version("c", "zh")
    desk.discard("c", "zh", draft.revision, OTHER)
    with pytest.raises(NotFound):
        desk.versions("c", "zh")


def test_another_organisation_sees_and_changes_nothing(store: Store) -> None:
    publish(store, article())
    other = store.article_desk(OrgId("other"))
    with pytest.raises(NotFound):
        other.versions("card-loss", "zh")
    with pytest.raises(NotFound):
        other.retire("card-loss", "zh", user("x", "editor", org="other"), "产品下线")
    assert store.articles(OrgId("other")).in_force([("card-loss", "zh")]) == {}
