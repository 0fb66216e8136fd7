"""Writes an index as the product does, in a process of its own that a test may kill: ``python -m tests.fakes.index_writer DIR STEP``.

STEP ``edit``: brings the index up to the store; ``rebuild``: anew. Prints ``passages N`` after every batch.
"""

import sys
import time
from pathlib import Path

from copilot.assembly import engines
from copilot.domain.ids import OrgId
from copilot.settings import Settings
from copilot.store.articles import SqlArticles
from kb.embedded import EmbeddedEngine
from kb.embeddings import RememberingEmbedder
from kb.service import KnowledgeBase
from tests.fakes.gram_embedder import GramEmbedder


class Slow(GramEmbedder):
    """So that there is time to kill it."""

    def embed(self, texts, kind):
        time.sleep(0.002 * len(texts))
        return super().embed(texts, kind)


def open_all(folder: Path) -> tuple[KnowledgeBase, SqlArticles, GramEmbedder]:
    store = engines.open_store(Settings(data_dir=folder, org="bank")).articles(OrgId("bank"))
    inner = Slow()
    embedder = RememberingEmbedder(inner, folder / "vectors.sqlite")
    return KnowledgeBase(EmbeddedEngine(folder / "index", embedder), embedder), store, inner


if __name__ == "__main__":
    base, store, _ = open_all(Path(sys.argv[1]))
    print("ready", flush=True)
    base.refresh(store, lambda done, _total: print("passages", done, flush=True), rebuild=sys.argv[2] == "rebuild")
    print("done", flush=True)
