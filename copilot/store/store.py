"""The store, opened. Everything else reaches the database through the repositories it holds."""

from __future__ import annotations

import sqlalchemy as sa

from copilot.domain.clock import Clock
from copilot.domain.errors import ConfigError
from copilot.domain.ids import CallId, OrgId
from copilot.store import tables as t
from copilot.store.appeals import SqlAppeals
from copilot.store.article_desk import SqlArticleDesk
from copilot.store.article_list import SqlArticleList
from copilot.store.articles import SqlArticles
from copilot.store.audit import SqlAudit
from copilot.store.board import SqlBoard
from copilot.store.calibrations import SqlCalibrations
from copilot.store.call_list import SqlCallList
from copilot.store.call_texts import SqlCallTexts
from copilot.store.calls import SqlCalls
from copilot.store.database import Database
from copilot.store.doorbell import Doorbell, OnCommitted
from copilot.store.dry_runs import SqlDryRuns
from copilot.store.facts import SqlFacts
from copilot.store.graph_edits import SqlGraphEdits
from copilot.store.imports import ImportQueue, SqlImports
from copilot.store.insights import SqlInsights
from copilot.store.jobs import SqlJobs
from copilot.store.journal import SqlJournal
from copilot.store.keyring import CallCipher, KeyRing
from copilot.store.migrate import upgrade
from copilot.store.notes import SqlNotes, SqlPreferences
from copilot.store.notices import SqlNotices
from copilot.store.outbox import SqlOutbox
from copilot.store.packs import SqlPacks
from copilot.store.passwords import Passwords
from copilot.store.people import SqlPeople
from copilot.store.reviews import SqlReviews
from copilot.store.rollups import SqlRollups
from copilot.store.signin import SqlSignIn
from copilot.store.suggestions import SqlSuggestions
from copilot.store.webhooks import SqlWebhooks
from copilot.store.wrapup import SqlWrapUp


class Store:
    """The repositories over one database. All but ``journal`` are synchronous: call them from worker threads."""

    def __init__(
        self, database: Database, keyring: KeyRing, clock: Clock, on_committed: OnCommitted | None, passwords: Passwords | None
    ) -> None:
        doorbell = Doorbell(on_committed)
        passwords = passwords or Passwords()
        self._clock = clock
        self._keyring = keyring
        self.database = database
        self.journal = SqlJournal(database, keyring, clock, doorbell)
        self.calls = SqlCalls(database, keyring, clock, doorbell)
        self.outbox = SqlOutbox(database, keyring, clock, doorbell)
        self.jobs = SqlJobs(database, clock)
        self.webhooks = SqlWebhooks(database, keyring, clock)
        self.reviews = SqlReviews(database, keyring, clock)
        self.facts = SqlFacts(database, keyring, clock)
        self.rollups = SqlRollups(database)
        self.call_list = SqlCallList(database)
        self.insights = SqlInsights(database, keyring, clock)
        self.call_texts = SqlCallTexts(database, keyring)
        self.appeals = SqlAppeals(database, keyring, clock, self.reviews)
        self.calibrations = SqlCalibrations(database, clock, self.reviews)
        self.dry_runs = SqlDryRuns(database, clock)
        self.notices = SqlNotices(database, clock)
        self.audit = SqlAudit(database)
        self.people = SqlPeople(database, clock, passwords)
        self.import_queue = ImportQueue(database)
        self.signin = SqlSignIn(database, clock, passwords)
        self.board = SqlBoard(database)
        self.notes = SqlNotes(database, keyring, clock)
        self.wrap_up = SqlWrapUp(database, keyring, clock, doorbell)
        self.preferences = SqlPreferences(database, clock)
        self.suggestions = SqlSuggestions(database)

    def imports(self, org_id: OrgId) -> SqlImports:
        """The imports of knowledge files of one organisation."""
        return SqlImports(self.database, self._clock, org_id)

    def articles(self, org_id: OrgId) -> SqlArticles:
        """The articles and packs of one organisation."""
        return SqlArticles(self.database, self._clock, org_id)

    def packs(self, org_id: OrgId) -> SqlPacks:
        """Every version of the packs of one organisation, for those who write them."""
        return SqlPacks(self.database, self._clock, org_id)

    def article_desk(self, org_id: OrgId) -> SqlArticleDesk:
        """Writing and reviewing the articles of one organisation."""
        return SqlArticleDesk(self.database, self._clock, org_id)

    def graph_edits(self, org_id: OrgId) -> SqlGraphEdits:
        """What editors decided about the knowledge graph of one organisation."""
        return SqlGraphEdits(self.database, self._clock, org_id)

    def article_list(self, org_id: OrgId) -> SqlArticleList:
        """Lists of the articles of one organisation."""
        return SqlArticleList(self.database, self._clock, org_id)

    def call_cipher(self, org_id: OrgId, call_id: CallId) -> CallCipher:
        """See ``SqlCalls.call_cipher``."""
        return self.calls.call_cipher(org_id, call_id)

    def index_key(self, org_id: OrgId) -> tuple[str, bytes]:
        """(id of the master key, the key with which the terms of an index of calls are blinded)."""
        return self._keyring.derive(f"call-index:{org_id}")

    def ping(self) -> None:
        """Raises EngineError when the database cannot be used."""
        with self.database.read() as connection:
            connection.execute(sa.select(sa.literal(1)))

    def close(self) -> None:
        """Writes what the journal still holds, then closes every connection. Idempotent; blocks."""
        self.journal.close()
        self.database.close()


def open_store(
    url: str,
    keyring: KeyRing,
    clock: Clock,
    *,
    on_committed: OnCommitted | None = None,
    passwords: Passwords | None = None,
) -> Store:
    """Opens the database, brings its schema up to date and checks that the keys belong to it.

    ``on_committed`` is the doorbell (see ``copilot.store.doorbell``). Raises ConfigError, EngineError.
    """
    database = Database(url)
    try:
        upgrade(database)
        with database.read() as connection:
            used = set(connection.execute(sa.select(t.call_keys.c.key_id).distinct()).scalars())
            used |= set(connection.execute(sa.select(t.webhook_subscriptions.c.key_id)).scalars())
        missing = sorted(used - keyring.key_ids())
        if missing:
            raise ConfigError(
                f"The database holds calls sealed with master key {missing[0]}, which the key file lacks; put back its own key file."
            )
    except BaseException:
        database.close()
        raise
    return Store(database, keyring, clock, on_committed, passwords)
