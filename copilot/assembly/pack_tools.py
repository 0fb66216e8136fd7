"""Packs for the command line: their versions, and dry runs of a file in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from copilot.assembly import engines
from copilot.domain.errors import InvalidInput, NotFound
from copilot.domain.ids import OrgId
from copilot.settings import Settings

if TYPE_CHECKING:
    from copilot.store.packs import SqlPacks

Json = dict[str, Any]


@contextmanager
def open_packs(settings: Settings) -> Iterator[SqlPacks]:
    """The packs of the organisation for a command."""
    store = engines.open_store(settings)
    try:
        yield store.packs(OrgId(settings.org))
    finally:
        store.close()


def dry_run_file(settings: Settings, pack: str, text: str | None, choice: Json, step: Callable[[int, int], bool]) -> Json:
    """The result of a dry run of ``text`` (None: of the version in force itself) with ``changed_calls``. Raises NotFound, InvalidInput."""
    from copilot.assembly.dry_runs import DryRunner
    from postcall.dry_run import DRY_PACKS

    if pack not in DRY_PACKS:
        raise InvalidInput(f"A dry run is for {', '.join(DRY_PACKS)}, not for {pack}.")
    org_id = OrgId(settings.org)
    store = engines.open_store(settings)
    try:
        found = store.articles(org_id).pack(pack)
        if found is None:
            raise NotFound(f"No {pack} is in force to compare with; import one first (pangting kb import FOLDER).")
        runner = DryRunner(settings, store, org_id)
        result, changed = runner.run(pack, found[1], found[1] if text is None else text, choice, step)
    finally:
        store.close()
    return {**result, "version": found[0], "changed_calls": [{"call_id": call_id, **body} for call_id, body in changed]}
