"""Opens live calls: ownership, the agent whose screen shows it, the bank's rules; and keeps the list of those that are live here."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from copilot.domain.audio import CallStart
from copilot.domain.errors import Conflict, EngineError, InvalidInput, NotFound
from copilot.domain.events import EventEnvelope
from copilot.domain.ids import CallId, OrgId, UserId, is_call_id
from copilot.domain.knowledge import BankTerm
from copilot.domain.people import AuditEntry
from copilot.domain.ports.live import Integration, Resumption
from copilot.domain.ports.store import OpenedCall
from copilot.live.guard import AttentionPolicy
from copilot.live.history import History, history_of
from copilot.live.masking import CallMasker
from copilot.live.opening import call_opened, started_event
from copilot.live.rules import Checklist, ComplianceRule
from copilot.live.runner import LiveCall
from copilot.live.services import LiveServices
from copilot.live.session import LiveSession

log = structlog.get_logger(__name__)
_NOTHING = "There is no such call to resume: it has ended, so begin a new one with another call_id."
MAX_HOTWORDS = 12
"""More would cost decode time on every final and begin to appear where nobody said them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankRules:
    """What the live loop takes from the bank's packs. ``lexicon``: the bank's terms, most important first."""

    compliance: Sequence[ComplianceRule] = ()
    checklists: Sequence[Checklist] = ()
    lexicon: Sequence[BankTerm] = ()


@dataclass(slots=True, kw_only=True)
class LiveDesk:
    """The ``CallSink`` of a call node.

    ``services(org)`` and ``rules(org)`` give what calls of an organisation share; ``find_agent(org, name)`` resolves the agent named by the
    telephony system (``agent`` in the metadata); ``audit`` appends to the trail; ``past(org, call)`` gives the events and the vault of a
    call that another node began.
    """

    node: str
    services: Callable[[OrgId], Awaitable[LiveServices]]
    rules: Callable[[OrgId], Awaitable[BankRules]]
    masker: Callable[[str], CallMasker]
    find_agent: Callable[[OrgId, str], Awaitable[UserId | None]]
    audit: Callable[[AuditEntry], Awaitable[None]]
    past: Callable[[OrgId, CallId], Awaitable[tuple[Sequence[EventEnvelope], Mapping[str, str]]]]
    policy: AttentionPolicy = field(default_factory=AttentionPolicy)
    _live: dict[tuple[str, str], LiveCall] = field(default_factory=dict)
    _opening: set[tuple[str, str]] = field(default_factory=set)

    @property
    def live_calls(self) -> int:
        return len(self._live)

    async def open_call(self, start: CallStart, integration: Integration) -> LiveCall:
        """Takes ownership of the call and records its start. Raises Conflict when its id is live or was used before."""
        org_id = integration.org_id
        call_id = call_id_of(start.external_id)
        key = (org_id, call_id)
        if key in self._live or key in self._opening:
            raise Conflict("A call with this id is live already; the second connection was refused and the first is not affected.")
        self._opening.add(key)
        try:
            language = start.language if start.language in ("zh", "en") else integration.language
            services, rules = await self.services(org_id), await self.rules(org_id)
            agent_name = start.metadata.get("agent", "")
            agent_id = await self.find_agent(org_id, agent_name) if agent_name else None
            opened = await services.journal.open(org_id, call_id, self.node, new=True)
            try:
                return await self._begin(start, integration, language, opened, services, rules, agent_id)
            except BaseException:
                # Not ours any more: the id must not stay taken on this node.
                services.journal.release(org_id, call_id)
                raise
        finally:
            self._opening.discard(key)

    async def _begin(
        self,
        start: CallStart,
        integration: Integration,
        language: str,
        opened: OpenedCall,
        services: LiveServices,
        rules: BankRules,
        agent_id: UserId | None,
    ) -> LiveCall:
        """The first event is stored, the session runs, and the agent's screens are told."""
        org_id = integration.org_id
        masker = self.masker(language)
        metadata, secrets = masker.metadata(dict(start.metadata))
        if secrets:
            await services.journal.put_secrets(org_id, opened.call_id, secrets, epoch=opened.epoch)
        call = self._call(integration, language, opened, services, rules, agent_id, masker)
        await services.journal.append(org_id, opened, [started_event(start, integration, language, agent_id, metadata, services.clock)])
        self._run(call)
        log.info("call_opened", call_id=opened.call_id, protocol=integration.protocol, agent_known=agent_id is not None)
        return call

    def _call(
        self,
        integration: Integration,
        language: str,
        opened: OpenedCall,
        services: LiveServices,
        rules: BankRules,
        agent_id: UserId | None,
        masker: CallMasker,
    ) -> LiveCall:
        session = LiveSession(
            language=language,
            day=services.today(),
            rules=rules.compliance,
            checklists=rules.checklists,
            policy=self.policy,
            generate=services.reply_writer is not None,
            generate_always=services.reply_always,
        )
        return LiveCall(
            services=services,
            org_id=integration.org_id,
            opened=opened,
            session=session,
            masker=masker,
            terms=tuple(term.text for term in rules.lexicon[:MAX_HOTWORDS]),
            agent_id=agent_id,
            actor=f"integration:{integration.name}",
            find_agent=partial(self.find_agent, integration.org_id),
            audit=self.audit,
            on_end=self._ended,
        )

    def _run(self, call: LiveCall) -> None:
        call.start()
        self._live[(call.org_id, call.call_id)] = call
        if call.agent_id is not None:
            call_opened(call.services.bus, call.org_id, call.agent_id, call.call_id)

    async def resume_call(self, start: CallStart, integration: Integration) -> Resumption:
        """Goes on with a call of this integration that another node began. Raises NotFound, InvalidInput (other legs)."""
        org_id = integration.org_id
        call_id = call_id_of(start.external_id)
        key = (org_id, call_id)
        if key in self._live or key in self._opening:
            raise NotFound(_NOTHING)
        self._opening.add(key)
        try:
            services, rules = await self.services(org_id), await self.rules(org_id)
            # Looked at before it is taken: a wrong guess must not cost the owner its call.
            _check(history_of((await self.past(org_id, call_id))[0]), start, integration)
            try:
                opened = await services.journal.open(org_id, call_id, self.node)
            except Conflict:
                raise NotFound(_NOTHING) from None
            try:
                return await self._go_on(start, integration, opened, services, rules)
            except BaseException:
                services.journal.release(org_id, call_id)
                raise
        finally:
            self._opening.discard(key)

    async def _go_on(
        self, start: CallStart, integration: Integration, opened: OpenedCall, services: LiveServices, rules: BankRules
    ) -> Resumption:
        """From here on nobody else writes, so what is read now is all there is."""
        events, vault = await self.past(integration.org_id, opened.call_id)
        history = history_of(events)
        masker = self.masker(history.started.language)
        masker.resume(vault, history.last_words())
        call = self._call(integration, history.started.language, opened, services, rules, history.agent_id, masker)
        call.session.restore([item.event for item in events])
        self._run(call)
        log.info("call_resumed", call_id=opened.call_id, protocol=integration.protocol, epoch=opened.epoch)
        channels = [leg.channel for leg in start.legs]
        return Resumption(
            handle=call,
            heard_ms={channel: history.heard_ms(channel) for channel in channels},
            utterances={channel: history.last_number(channel) for channel in channels},
        )

    async def recheck(self, org_id: OrgId) -> None:
        """The knowledge of an organisation has changed: its live calls withdraw what is no longer in force."""
        for call in [call for (owner, _), call in self._live.items() if owner == org_id]:
            try:
                await call.recheck()
            except (Conflict, EngineError) as error:
                # Conflict: the call was taken over, and its new owner looks too. EngineError: the next change looks again.
                log.warning("recheck_failed", call_id=call.call_id, error=type(error).__name__)

    def _ended(self, call: LiveCall) -> None:
        self._live.pop((call.org_id, call.call_id), None)
        if call.agent_id is not None:
            call_opened(call.services.bus, call.org_id, call.agent_id, call.call_id)
        log.info("call_ended", call_id=call.call_id)

    async def audit_refusal(self, integration: Integration | None, remote: str, reason: str) -> None:
        services_org = integration.org_id if integration is not None else OrgId("default")
        name = integration.name if integration is not None else "unknown"
        services = await self.services(services_org)
        await self.audit(
            AuditEntry(
                org_id=services_org,
                at=services.clock.now(),
                actor=f"integration:{name}",
                action="telephony.refused",
                target=remote,
                detail=reason,
            )
        )


def call_id_of(external_id: str) -> CallId:
    """The peer's id if it is safe as a name, else a stable digest of it."""
    if is_call_id(external_id):
        return CallId(external_id)
    return CallId("x" + hashlib.sha256(external_id.encode()).hexdigest()[:24])


def _check(history: History, start: CallStart, integration: Integration) -> None:
    """Raises NotFound for a call that is over or another integration's, InvalidInput for other legs."""
    if history.ended or history.started.integration != integration.name:
        raise NotFound(_NOTHING)
    if history.started.legs != start.legs:
        raise InvalidInput('A resumed call must have the same "channels", "encoding" and "sample_rate" as before.')
