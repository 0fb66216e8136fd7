"""What the center learns from its finished calls: counts, how they move, what goes with complaints, and what to do about it.

Shares and tests are explained in docs/explanation/analytics.md. Everything here is about calls in a scope and a window of whole days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from copilot.domain.ids import CallId

Kind = Literal["topic", "cluster", "term", "cause"]
"""Ticket category (level 2), cluster of problems, keyword, root cause."""
Verdict = Literal["new", "rising", "falling", "steady", "few"]
"""``new``: not one call of the window before; ``few``: too few calls to say anything."""
Channel = Literal["inbound", "outbound", "imported"]
CHANNELS: tuple[Channel, ...] = ("inbound", "outbound", "imported")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Calls with something, and those of them whose customer complained or was angry (``upset``)."""

    calls: int = 0
    upset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How the calls of one key moved against the window before.

    ``ratio``: of the shares of all calls, with its 95 % interval; None when there was none before. ``p``: exact conditional test;
    ``q``: the same after Benjamini and Hochberg over all keys of the kind. None where too few calls were counted to test.
    """

    kind: Kind
    key: str
    now: int
    before: int
    upset: int
    ratio: float | None
    low: float
    high: float | None
    p: float | None
    q: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """What goes with complaints: the share of upset calls among those with ``key`` against the share among the others.

    ``lift``: that ratio, with its 95 % interval (log method); ``p``: Fisher's exact test, one-sided; ``q``: after Benjamini and Hochberg.
    It says that the two go together, not that one causes the other.
    """

    kind: Kind
    key: str
    calls: int
    upset: int
    share: float
    others_share: float
    lift: float
    low: float
    high: float
    p: float
    q: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Customers' problems that are alike. ``terms`` name it, the most telling first; ``size`` in the calls it was made from."""

    cluster_id: str
    language: str
    terms: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoachingPoint:
    """A question of the rubric that an agent's calls failed. ``share``: of the asked ones, with its 95 % interval (Wilson).

    ``peers_share``: that of the other agents in the scope, None without any. ``p``: Fisher's exact test against them, one-sided; ``q``:
    after Benjamini and Hochberg over all agents and questions.
    """

    agent_id: str
    item_id: str
    asked: int
    failed: int
    share: float
    low: float
    high: float
    peers_share: float | None
    p: float | None
    q: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A sentence of a call, where it can be read and heard. ``text`` is masked."""

    utterance_id: str
    at_ms: int
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermPlace:
    """A keyword of a call and where it was said first. ``known``: a word of the bank's taxonomy."""

    term: str
    known: bool
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An answered question of the scorecard, with its first evidence."""

    item_id: str
    passed: bool
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A need for a product in the customer's own words. ``lead``: id of the leads pack."""

    lead: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question that the agent answered and the customer was content with."""

    question: str
    answer: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDigest:
    """What one finished call says to analytics, sealed with the call's key. ``vector``: the meaning of ``problem``, unit length, as
    base64 of little-endian 16-bit floats."""

    problem: Place | None = None
    vector: str = ""
    terms: tuple[TermPlace, ...] = ()
    questions: tuple[Checked, ...] = ()
    leads: tuple[Lead, ...] = ()
    asked: tuple[Asked, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestedCall:
    """A digest with what is known of its call. ``day``: at the bank. ``product``, ``topic``: levels 1 and 2 of the ticket.

    Empty: of no team, no agent, without a ticket, a cause, a cluster.
    """

    call_id: CallId
    day: date
    started_at: datetime
    team_id: str = ""
    agent_id: str = ""
    language: str = "zh"
    channel: Channel = "inbound"
    product: str = ""
    topic: str = ""
    cause: str = ""
    cluster_id: str = ""
    upset: bool = False
    digest: CallDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightFilter:
    """None: whatever. Days at the bank, both inclusive. ``product``: level 1 of the ticket."""

    first: date
    last: date
    team: str | None = None
    product: str | None = None
    channel: Channel | None = None

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> InsightFilter:
        """The same for as many days before."""
        last = date.fromordinal(self.first.toordinal() - 1)
        first = date.fromordinal(self.first.toordinal() - self.days)
        return InsightFilter(first=first, last=last, team=self.team, product=self.product, channel=self.channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaqCandidate:
    """Questions alike that agents answered and no article of that pair exists for. ``calls``: in how many."""

    question: str
    answer: str
    language: str
    calls: int
    call_id: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightReport:
    """One window in one scope. ``days``: day → calls and upset ones, also of days without any."""

    chosen: InsightFilter
    total: Counted
    before: Counted
    days: Mapping[str, Counted]
    movements: Sequence[Movement] = ()
    emerging: Sequence[Movement] = ()
    drivers: Sequence[Driver] = ()
    clusters: Sequence[Cluster] = ()
    leads: Mapping[str, int] = field(default_factory=dict)
    coaching: Sequence[CoachingPoint] = ()
    by_day: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of the emerging ones: ``kind/key`` → day → calls."""
