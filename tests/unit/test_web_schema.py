"""The web app's types are generated from a schema that must stay the domain's own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "web" / "scripts" / "gen_schema.py"
COMMITTED = ROOT / "web" / "src" / "gen" / "schema.json"


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pangting_web_gen_schema", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_committed_schema_is_the_domains() -> None:
    built = json.loads(json.dumps(_generator().build_schema()))
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    hint = "run: python web/scripts/gen_schema.py > web/src/gen/schema.json && npm --prefix web run gen"
    assert built == committed, hint


def test_every_event_type_is_in_the_generated_types() -> None:
    types = (COMMITTED.parent / "types.ts").read_text(encoding="utf-8")
    events = json.loads(COMMITTED.read_text(encoding="utf-8"))["$defs"]["EventEnvelope"]["properties"]["event"]
    names = [option["$ref"].rsplit("/", 1)[1] for option in events.get("anyOf", events.get("oneOf", []))]
    assert len(names) >= 14
    missing = [name for name in names if f"export interface {name} " not in types]
    assert missing == []
