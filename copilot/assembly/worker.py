"""What after-call work is given, in the Celery worker and on the command line."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from copilot.assembly import engines
from copilot.domain.errors import NotFound
from copilot.domain.ids import OrgId
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.store.store import Store
    from postcall.run import Tools
    from postcall.services import PostcallServices


def postcall_tools(settings: Settings, store: Store, org_id: OrgId) -> Tools:
    """Packs, classifier and models of one organisation. Raises NotFound with the command that loads missing packs."""
    from postcall.packs import parse_packs
    from postcall.run import Tools

    articles = store.articles(org_id)
    texts, versions = {}, {}
    for name in ("taxonomy", "rubric", "intents"):
        found = articles.pack(name)
        if found is None:
            raise NotFound(f"The bank pack {name} is not loaded; run: pangting kb import kb/samples/bank (or your own folder)")
        versions[name], texts[name] = found
    embedder = engines.open_embedder(settings)
    model = articles.pack("intent_model")
    trained = model[1] if model is not None else None
    return Tools(
        packs=parse_packs(texts["taxonomy"], texts["rubric"], texts["intents"], versions=versions),
        intents=engines.open_intents(settings, texts["intents"], articles.published(), embedder, trained),
        embedder=embedder,
        pack_embedder=engines.remembering(settings, embedder),
        model=engines.open_text_model(settings),
    )


def build_worker(settings: Settings) -> PostcallServices:
    """The services of a worker process. Packs are read again when one was published or the knowledge base has changed."""
    from postcall.recording import CopyMaker
    from postcall.services import PostcallServices

    store = engines.open_store(settings)

    @lru_cache(maxsize=16)
    def tools_at(org_id: OrgId, watermark: int, packs: tuple[tuple[str, int], ...]) -> Tools:  # noqa: ARG001 both are the key
        return postcall_tools(settings, store, org_id)

    def tools(org_id: OrgId) -> Tools:
        return tools_at(org_id, store.articles(org_id).watermark(), store.packs(org_id).numbers_in_force())

    clock = engines.system_clock()
    copies = CopyMaker(engines.open_media(settings), store.call_cipher, store.calls, store.outbox, clock)
    return PostcallServices(outbox=store.outbox, calls=store.calls, copies=copies, tools=tools, clock=clock)
