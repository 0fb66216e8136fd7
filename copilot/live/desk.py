"""Opens live calls: ownership, the agent whose screen shows it, the bank's rules; and keeps the list of those that are live here."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from copilot.domain.audio import CallStart
from copilot.domain.errors import Conflict
from copilot.domain.ids import CallId, OrgId, UserId, is_call_id
from copilot.domain.people import AuditEntry
from copilot.domain.ports.live import Integration
from copilot.domain.ports.store import OpenedCall
from copilot.live.guard import AttentionPolicy
from copilot.live.opening import call_opened, started_event
from copilot.live.rules import Checklist, ComplianceRule
from copilot.live.runner import CallMasker, LiveCall, LiveServices
from copilot.live.session import LiveSession

log = structlog.get_logger(__name__)
MAX_HOTWORDS = 12
"""More would cost decode time on every final and begin to appear where nobody said them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankRules:
    """What the live loop takes from the bank's packs. ``lexicon``: the bank's terms, most important first."""

    compliance: Sequence[ComplianceRule] = ()
    checklists: Sequence[Checklist] = ()
    lexicon: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class LiveDesk:
    """The ``CallSink`` of a call node.

    ``services(org)`` and ``rules(org)`` give what calls of an organisation share; ``find_agent(org, name)`` resolves the agent named by the
    telephony system (``agent`` in the metadata); ``audit`` appends to the trail.
    """

    node: str
    services: Callable[[OrgId], Awaitable[LiveServices]]
    rules: Callable[[OrgId], Awaitable[BankRules]]
    masker: Callable[[str], CallMasker]
    find_agent: Callable[[OrgId, str], Awaitable[UserId | None]]
    audit: Callable[[AuditEntry], Awaitable[None]]
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
            opened = await services.journal.open(org_id, call_id, self.node)
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
            await services.journal.put_secrets(org_id, opened.call_id, secrets)
        session = LiveSession(
            language=language,
            rules=rules.compliance,
            checklists=rules.checklists,
            policy=self.policy,
            generate=services.reply_writer is not None,
        )
        call = LiveCall(
            services=services,
            org_id=org_id,
            opened=opened,
            session=session,
            masker=masker,
            terms=rules.lexicon[:MAX_HOTWORDS],
            agent_id=agent_id,
            actor=f"integration:{integration.name}",
            find_agent=partial(self.find_agent, org_id),
            audit=self.audit,
            on_end=self._ended,
        )
        await services.journal.append(org_id, opened, [started_event(start, integration, language, agent_id, metadata, services.clock)])
        call.start()
        self._live[(org_id, opened.call_id)] = call
        if agent_id is not None:
            call_opened(services.bus, org_id, agent_id, opened.call_id)
        log.info("call_opened", call_id=opened.call_id, protocol=integration.protocol, agent_known=agent_id is not None)
        return call

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
