"""What the API is given by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from copilot.domain.article_checks import Finding
from copilot.domain.clock import Clock
from copilot.domain.graph import EditKind, Graph, GraphEdit, Guidance
from copilot.domain.ids import CallId, OrgId
from copilot.domain.knowledge import Article, Passage
from copilot.domain.knowledge_use import GapReport, UseReport
from copilot.domain.packs import PackFault, PackVersion
from copilot.domain.people import Scope, User
from copilot.domain.ports.bus import Bus
from copilot.domain.ports.knowledge import ArticleStore, KnowledgeSearch
from copilot.domain.ports.store import AuditTrail
from copilot.review.desk import ReviewDesk
from copilot.review.rule_comparison import RuleComparison
from copilot.search.service import CallSearch
from copilot.store.article_desk import SqlArticleDesk
from copilot.store.article_list import SqlArticleList
from copilot.store.board import SqlBoard
from copilot.store.call_list import SqlCallList
from copilot.store.calls import SqlCalls
from copilot.store.dry_runs import DryRun, SqlDryRuns
from copilot.store.jobs import SqlJobs
from copilot.store.notes import SqlNotes, SqlPreferences
from copilot.store.notices import SqlNotices
from copilot.store.packs import SqlPacks
from copilot.store.people import SqlPeople
from copilot.store.reviews import SqlReviews
from copilot.store.rollups import SqlRollups
from copilot.store.signin import SqlSignIn
from copilot.store.suggestions import SqlSuggestions
from copilot.store.webhooks import SqlWebhooks
from copilot.store.wrapup import SqlWrapUp
from copilot.telemetry.metrics import Metrics
from copilot.tools.desk import ToolDesk

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """Bytes [start, end) of a file of ``size`` bytes, read when ``chunks`` is run through. Empty: outside of the file."""

    start: int
    end: int
    size: int
    chunks: Iterable[bytes]


class RecordingReader(Protocol):
    """Recordings as the call page needs them. Synchronous; raises NotFound, EngineError.

    What is not ``original`` has a low tone wherever personal information was, or may have been, said.
    Ranges: ``first`` to ``last``, inclusive; both None: the whole; ``last`` None: to the end; ``first`` None: the last ``last`` bytes.
    """

    def legs(self, org_id: OrgId, call_id: CallId) -> list[Json]:
        """``[{channel, sample_rate_hz, duration_ms, gaps: [{start_ms, duration_ms, reason}]}]``."""
        ...

    def wav(self, org_id: OrgId, call_id: CallId, channel: str, first: int | None, last: int | None, *, original: bool) -> FilePart:
        """A leg as a 16-bit WAV file, gaps as silence."""
        ...

    def copy(self, org_id: OrgId, call_id: CallId) -> Json | None:
        """``{version, channels, sample_rate_hz, duration_ms, complete, hidden: [{start_ms, end_ms}]}``; None while there is none."""
        ...

    def flac(self, org_id: OrgId, call_id: CallId, version: int, first: int | None, last: int | None, *, original: bool) -> FilePart:
        """The listening copy. Raises NotFound when ``version`` is not the one there is."""
        ...

    def peaks(self, org_id: OrgId, call_id: CallId, channel: str, buckets: int) -> list[float]:
        """The loudest sample of each of ``buckets`` equal spans, 0–1."""
        ...


class WebhookRules(Protocol):
    """What the API must know of webhooks that the store does not: where they may go, how bodies are written, how secrets are shown."""

    def check(self, url: str, events: Sequence[str], template: str, authorization_env: str) -> None:
        """Raises InvalidInput, NotFound."""
        ...

    def templates(self) -> list[Json]:
        """``[{name, description, events}]``."""
        ...

    def secret_text(self, secret: bytes) -> str: ...

    def ring(self) -> None:
        """A message may be due."""
        ...


class TicketExport(Protocol):
    """Tickets as files for spreadsheets. Synchronous."""

    def write(self, scope: Scope, form: Literal["csv", "xlsx"], language: str, filters: Json) -> Iterable[bytes]:
        """``filters``: ``{after, before, level1, level2, agent_id}``, each None when it does not matter. Raises InvalidInput."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCalls:
    """Whether people may call from a page with a microphone, and where the page connects to."""

    calls_each: int
    """Calls each person may have at once; 0: pages cannot call."""
    setting: str
    """The setting that says so."""
    url: str
    """Websocket address of the raw protocol; empty when pages cannot call."""


class Editing(Protocol):
    """What the knowledge console works with. Blocking and thread-safe."""

    desk: SqlArticleDesk
    listing: SqlArticleList

    def findings(self, article: Article) -> tuple[Finding, ...]:
        """What the machine finds in a text, saved or not."""
        ...

    def passages(self, article: Article) -> tuple[Passage, ...]:
        """What the index would hold of it."""
        ...

    def weights(self, language: str) -> Mapping[str, float]:
        """Field → weight in a search's score."""
        ...

    def use(self, days: int) -> UseReport: ...

    def gaps(self, days: int) -> GapReport: ...


class PackDesk(Protocol):
    """What the pages of packs work with. Blocking and thread-safe."""

    dry_runs: SqlDryRuns

    def packs(self, org_id: OrgId) -> SqlPacks: ...

    def faults(self, name: str, text: str) -> list[PackFault]:
        """What is wrong with a text, with line and column. Raises InvalidInput for a pack that there is not."""
        ...

    def outline(self, name: str, text: str) -> list[Json]:
        """``[{id, depth, line, name, facts}]`` of a text without faults."""
        ...

    def publish(self, user: User, name: str, version: int, revision: int) -> PackVersion: ...

    def start(self, user: User, name: str, version: int, choice: Json) -> DryRun:
        """Queues a dry run."""
        ...

    def words(self, org_id: OrgId, call_id: CallId, wanted: frozenset[str]) -> dict[str, Json]:
        """Utterance → ``{channel, start_ms, text}``."""
        ...


class KnowledgeGraphDesk(Protocol):
    """The knowledge graph of one organisation. Blocking and thread-safe; ``guide`` is of memory alone."""

    def graph(self, language: str) -> Graph: ...

    def guide(self, text: str, language: str, articles: Collection[str] | None = None) -> Guidance | None: ...

    def put(self, edit: GraphEdit, user: User) -> GraphEdit:
        """Raises InvalidInput, NotFound, Forbidden."""
        ...

    def take_back(self, language: str, kind: EditKind, target: str, user: User) -> None:
        """Raises NotFound, Forbidden."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """Everything the routes use. ``rerun(org, call, kind)`` queues an artifact again; ``jobs_changed`` tells
    whoever sends jobs that one may be due; ``status`` is what /status shows;
    ``imports`` is a ``copilot.api.kb_import.ImportDesk``, ``insights`` a ``copilot.api.insights.InsightDesk``;
    ``telephony`` is a ``copilot.api.telephony.TelephoneSystem``;
    ``page_calls(host)`` what a page may that reached us as ``host``."""

    people: SqlPeople
    signin: SqlSignIn
    calls: SqlCalls
    suggestions: SqlSuggestions
    board: SqlBoard
    tools: ToolDesk
    notes: SqlNotes
    wrap_up: SqlWrapUp
    preferences: SqlPreferences
    audit: AuditTrail
    review: ReviewDesk
    reviews: SqlReviews
    rule_comparison: RuleComparison
    notices: SqlNotices
    rollups: SqlRollups
    call_list: SqlCallList
    call_search: Callable[[OrgId], CallSearch]
    bus: Bus
    clock: Clock
    recordings: RecordingReader
    jobs: SqlJobs
    rerun: Callable[[OrgId, CallId, str], None]
    jobs_changed: Callable[[], None]
    webhooks: SqlWebhooks
    webhook_rules: WebhookRules
    tickets: TicketExport
    knowledge: Callable[[OrgId], KnowledgeSearch]
    articles: Callable[[OrgId], ArticleStore]
    editing: Callable[[OrgId], Editing]
    graph: Callable[[OrgId], KnowledgeGraphDesk]
    imports: Any
    packs: PackDesk
    insights: Any
    status: Callable[[], Json]
    telephony: Any
    page_calls: Callable[[str], PageCalls]
    metrics: Metrics
    render_metrics: Callable[[], bytes]
    web_dir: Path
    public_url: str = ""
    origins: tuple[str, ...] = ()
    """Of the host pages that may embed the sidebar."""
    host_keys: tuple[str, ...] = ()
    """Digests (``sha256:…``) of the keys with which the host pages' back ends sign agents of ``host_org`` in."""
    host_org: OrgId = OrgId("default")
    heartbeat_s: float = 15.0
    version: str = ""
