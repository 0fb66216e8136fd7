"""What single commands need, opened and closed around them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copilot.assembly import engines
from copilot.domain.errors import Conflict
from copilot.domain.ids import OrgId
from copilot.domain.people import Role, User
from copilot.domain.transcript import TranscriptFinal
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.domain.imports import ImportFile, ImportOptions
    from copilot.store.store import Store

Json = dict[str, Any]
Progress = Callable[[int, int, str], None]


class KnowledgeDesk:
    """Import, search and evaluation for one organisation."""

    def __init__(self, settings: Settings, store: Store, say: Callable[[str], None]) -> None:
        self._org_id = OrgId(settings.org)
        self._store = store
        self._articles = store.articles(self._org_id)
        self._settings = settings
        self._embedder = engines.open_embedder(settings, threads=os.cpu_count() or 1)
        self._knowledge = engines.open_knowledge_base(settings, self._org_id, self._embedder, threads=os.cpu_count() or 1)
        self._clock = engines.system_clock()
        self._say = say

    def import_paths(
        self, paths: Sequence[Path], options: ImportOptions, *, dry_run: bool, told: Callable[[ImportFile], None], progress: Progress
    ) -> Json:
        """Imports into the store and brings the index up to date.

        Bank folders (packs, FAQ YAML) go in as they say; everything else as ``options`` say. ``dry_run``: nothing is stored.
        """
        from kb.importing import is_bank

        bank = [path for path in paths if is_bank(path)]
        report = self._import_bank(bank, dry_run, progress)
        rest = [path for path in paths if path not in bank]
        if rest:
            _add(report, self._import_files(rest, options, dry_run, told))
        if dry_run:
            return report
        self._refresh(lambda done, total: progress(done, total, "index"))
        pack = self._articles.pack("intents")
        if pack is not None and bank:
            # The vectors of the exemplars are remembered, so that the server does not wait for them when it starts.
            progress(0, 0, "intents")
            engines.open_intents(self._settings, pack[1], self._articles.published(), self._embedder)
        return {**report, "passages": self._knowledge.state().passages}

    def _import_bank(self, paths: Sequence[Path], dry_run: bool, progress: Progress) -> Json:
        from copilot.assembly.pack_check import pack_faults
        from kb.importing import import_path, preview_path, report_json

        report: Json = {"articles": 0, "changed": 0, "held": 0, "packs": {}, "files": [], "removed": [], "dry_run": dry_run}
        for path in paths:
            if dry_run:
                found = preview_path(path, self._articles, pack_faults)
            else:
                found = import_path(path, self._articles, lambda text: progress(0, 0, text), pack_faults)
            part = report_json(found)
            report["articles"] += part["articles"]
            report["changed"] += part["changed"]
            report["packs"] |= part["packs"]
        return report

    def _import_files(self, paths: Sequence[Path], options: ImportOptions, dry_run: bool, told: Callable[[ImportFile], None]) -> Json:
        from copilot.assembly.imports import CommandImport, settle_lost
        from copilot.codec import to_json

        work = CommandImport(self._settings, self._store)
        settle_lost(self._store, self._settings)
        removed: tuple[str, ...] = ()
        if dry_run:
            files = work.preview(paths, options, told)
        else:
            run, files = work.run(paths, options, told)
            removed = run.removed
        shown = ("source", "kind", "state", "fault", "detail", "message", "notes", "counts")
        return {"files": [{name: to_json(file)[name] for name in shown} for file in files], "removed": list(removed)}

    def reindex(self, progress: Progress) -> Json:
        """Builds the whole index anew from the store, beside the one in use. The form of docs/reference/schemas/kb-reindex.json."""
        begun = time.perf_counter()
        report = self._write(lambda done, total: progress(done, total, "passages"), rebuild=True)
        seconds = time.perf_counter() - begun
        return {**report, "seconds": round(seconds, 2), **self.check()}

    def check(self) -> Json:
        """Whether index and store hold the same, by the hashes of the articles."""
        state = self._knowledge.state()
        return {
            "watermark": state.watermark,
            "store_watermark": self._articles.watermark(),
            "stale": state.stale,
            "differences": list(self._knowledge.differences(self._articles)),
        }

    def _refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        """What is searched is what the store holds; if another command is writing, what the index holds."""
        try:
            self._write(progress)
        except Conflict as error:
            self._say(str(error))
            self._knowledge.follow(self._articles)

    def _write(self, progress: Callable[[int, int], None] | None = None, *, rebuild: bool = False) -> Json:
        """Through the server if one runs on this data directory: it is the one writer of its index. Raises Conflict."""
        from copilot.assembly.admin import ask
        from kb.results import sync_json

        request = {"do": "kb.reindex" if rebuild else "kb.refresh", "org": self._org_id}
        answer = ask(self._settings.data_dir, request, progress)
        if answer is not None:
            self._knowledge.follow(self._articles)
            return answer
        return sync_json(self._knowledge.refresh(self._articles, progress, rebuild=rebuild))

    def search(self, text: str, language: str, top_k: int, products: Sequence[str] = (), channels: Sequence[str] = ()) -> list[Json]:
        """Only articles for one of the products and one of the channels, where any are given."""
        from copilot.domain.knowledge import Query, Scope
        from kb.results import hits_json

        self._refresh()
        day = self._clock.now().astimezone().date()
        scope = Scope(products=tuple(products), channels=tuple(channels))
        return hits_json(self._knowledge.search(Query(text=text, language=language, day=day, top_k=top_k, scope=scope)))

    def evaluate(
        self, queries: Sequence[Path], noises: Sequence[str], seed: int, ablation: bool, progress: Progress, gate: Path | None = None
    ) -> Json:
        """The queries of all files as one set. ``noises``: such as ``homophone:0.2``; ``gate``: what must be reached.

        Raises InvalidInput.
        """
        from kb.evaluation import evaluate, evaluation_json, read_queries
        from kb.gates import failures, parse_gate
        from kb.noise import parse_noise
        from kb.ranking import ablations

        rules = parse_gate(gate.read_text(encoding="utf-8")) if gate is not None else ()
        chosen = [parse_noise(noise) for noise in dict.fromkeys(noises)]
        labelled = [query for path in queries for query in read_queries(path)]
        self._refresh()
        fields = {name: self._knowledge.ranked_by(ranking) for name, ranking in ablations(self._knowledge.ranking).items()}
        found = evaluate(
            self._knowledge,
            labelled,
            lambda done, total: progress(done, total, "queries"),
            noises=chosen,
            seed=seed,
            fields=fields if ablation else None,
        )
        return {**evaluation_json(found), "failures": list(failures(rules, found))}

    def gaps(self, days: int) -> Json:
        """What customers asked in the calls of the last ``days`` days that nothing answered (docs/reference/schemas/kb-gaps.json)."""
        from copilot.assembly.editing import Editing
        from copilot.assembly.organisation import Organisation
        from copilot.codec import to_json

        organisation = Organisation(self._settings, self._org_id, self._articles, self._embedder)
        found: Json = to_json(Editing(self._store, organisation).gaps(days))
        return found

    def tune(self, queries: Sequence[Path], noises: Sequence[str], seed: int, keep: bool, progress: Progress) -> Json:
        """Fits the ranking to the queries of all files, with these noises too; ``keep`` stores it. Raises InvalidInput."""
        from kb.evaluation import read_queries
        from kb.noise import parse_noise
        from kb.ranking import PACK, ranking_text
        from kb.tuning import fit, observe, tuning_json

        chosen = [parse_noise(noise) for noise in dict.fromkeys(noises)]
        labelled = [query for path in queries for query in read_queries(path)]
        self._refresh()
        readings = observe(self._knowledge, labelled, chosen, seed, lambda done, total: progress(done, total, "queries"))
        ranking, reports = fit(readings, self._knowledge.ranking, self._knowledge.embedder_identity)
        if keep and reports:
            self._articles.put_pack(PACK, "*", ranking_text(ranking))
            self._knowledge.take_ranking(self._articles)
        return tuning_json(ranking, reports, kept=keep and bool(reports))


def _add(report: Json, files: Json) -> None:
    """The files of an import in the report of the command."""
    report |= files
    counts = [file["counts"] for file in files["files"]]
    report["articles"] += sum(count[name] for count in counts for name in ("new", "changed", "unchanged", "held"))
    report["changed"] += sum(count[name] for count in counts for name in ("new", "changed"))
    report["held"] += sum(count["held"] for count in counts)


@contextmanager
def open_knowledge(settings: Settings, say: Callable[[str], None] = lambda _text: None) -> Iterator[KnowledgeDesk]:
    """The knowledge base for a command."""
    store = engines.open_store(settings)
    try:
        yield KnowledgeDesk(settings, store, say)
    finally:
        store.close()


class PeopleDesk:
    """Accounts of one organisation."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._org_id = OrgId(settings.org)
        self._people = store.people
        self._base = settings.server.public_url or f"http://{settings.server.host}:{settings.server.port}"

    def invite(self, username: str, name: str, roles: frozenset[Role], password: str) -> str:
        """Creates the account if it is new. The enrolment link, or a sentence when the password was given."""
        user = self._people.user_by_name(self._org_id, username)
        if user is None:
            user = self._people.create_user(self._org_id, username, name, roles)
        token = self._people.create_enrolment(self._org_id, user.user_id)
        if not password:
            return f"{self._base}/enrol#{token}"
        self._people.enrol(token, password)
        return f"{username} can sign in."

    def users(self) -> Sequence[User]:
        return self._people.users(self._org_id)


@contextmanager
def open_people(settings: Settings) -> Iterator[PeopleDesk]:
    """Accounts for a command."""
    store = engines.open_store(settings)
    try:
        yield PeopleDesk(settings, store)
    finally:
        store.close()


@contextmanager
def batch_transcriber(settings: Settings) -> Iterator[Callable[[Path, str], list[TranscriptFinal]]]:
    """The engine of live calls for files: (path, language) → finals of all channels in time order. Texts are not masked."""
    from streaming.batch import transcribe_file

    recognizer, vad = engines.open_recognizer(settings), engines.open_vad(settings)
    lexicon, config = engines.open_lexicon(engines.lexicon_of(settings)), engines.pipeline_config(settings)
    finish = engines.open_finish(lexicon)

    def work(path: Path, language: str) -> list[TranscriptFinal]:
        channels = transcribe_file(
            path,
            recognizer,
            vad,
            language,
            nearby=lexicon.near_terms,
            finish=finish,
            beam_size=settings.asr.beam_size,
            workers=recognizer.workers,
            config=config,
        )
        finals = [final for channel in channels for final in channel.finals]
        return sorted(finals, key=lambda final: (final.start_ms, final.channel))

    yield work


@contextmanager
def postcall_desk(settings: Settings) -> Iterator[Callable[[Any, str], Json]]:
    """After-call work on one transcript: (lines, language) → {summary, ticket, scorecard}."""
    from copilot.assembly.worker import postcall_tools
    from postcall.run import run_all
    from postcall.turns import turns_from_json

    store = engines.open_store(settings)
    try:
        tools = postcall_tools(settings, store, OrgId(settings.org))
        yield lambda lines, language: run_all(turns_from_json(lines), language, tools)
    finally:
        store.close()
