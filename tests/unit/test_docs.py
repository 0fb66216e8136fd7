"""Documentation cannot drift from the code: generated pages are equal, links lead somewhere, commands and options that are named exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer

from copilot import codec
from copilot.cli import reference
from copilot.cli.main import app
from copilot.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
PAGES = sorted([*READMES, *DOCS.rglob("*.md")])
SCHEMAS = sorted((DOCS / "reference/schemas").glob("*.json"))
INTERFACES = (DOCS / "reference/interfaces.md").read_text(encoding="utf-8")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


# Pages made from the code


@pytest.mark.parametrize("name", ["settings.md", "cli.md", "metrics.md", "openapi.json"])
def test_a_page_made_from_the_code_is_what_the_code_says(name: str) -> None:
    assert (DOCS / "reference" / name).read_text(encoding="utf-8") == reference.pages()[name], "run: pangting reference"


def test_all_generated_pages_are_compared() -> None:
    assert set(reference.pages()) == {"settings.md", "cli.md", "metrics.md", "openapi.json"}


def test_the_domains_schema_is_the_published_one() -> None:
    published = json.loads((DOCS / "reference/schemas/pangting.json").read_text(encoding="utf-8"))
    assert published == json.loads(json.dumps(codec.schema())), "run: pangting schemas --out docs/reference/schemas"


def test_every_setting_is_described() -> None:
    page = (DOCS / "reference/settings.md").read_text(encoding="utf-8")
    for variable in variables():
        assert f"`{variable}` | " in page
    assert not re.search(r"\| *\|$", page, re.MULTILINE), "a setting without a meaning"


# Links


def prose(text: str) -> str:
    return re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """GitHub's anchors of the headings: lower case, punctuation dropped, spaces to hyphens."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@every_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in re.findall(r"\]\(([^)\s]+)\)", index)}
    missing = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page not in linked and page != DOCS / "README.md"]
    assert missing == []


# What pages name


def code(text: str) -> Iterator[str]:
    """Lines of code blocks and inline code, continued lines joined."""
    for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@every_page
def test_makefile_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {target for line in code(page.read_text(encoding="utf-8")) for target in re.findall(r"^(?:\$ )?make ([a-z-]+)", line.strip())}
    assert named <= targets


def command_options() -> dict[str, set[str]]:
    """Command path → its option names."""
    found: dict[str, set[str]] = {}

    def walk(command: Any, path: str) -> None:
        found[path] = {name for parameter in command.params for name in parameter.opts if name.startswith("-")}
        for name, child in getattr(command, "commands", {}).items():
            walk(child, f"{path} {name}")

    walk(typer.main.get_command(app), "pangting")
    return found


COMMANDS = command_options()


@every_page
def test_commands_and_options_exist(page: Path) -> None:
    wrong = []
    for line in code(page.read_text(encoding="utf-8")):
        found = re.search(r"(?:^|[\s/|])pangting((?: [^|#;`]*)?)$", re.split(r" +#| \|(?! *pangting)", line.strip())[0])
        if found is None:
            continue
        words = found.group(1).split()
        path = "pangting"
        while words and f"{path} {words[0]}" in COMMANDS:
            path = f"{path} {words.pop(0)}"
        group = any(other.startswith(f"{path} ") for other in COMMANDS)
        if group and words and re.fullmatch(r"[a-z]+", words[0]):
            wrong.append(line)
        options = {re.split(r"[=…]", word)[0] for word in words if word.startswith("--")}
        wrong += [f"{line}: {option}" for option in options - COMMANDS[path] - {"--help"}]
    assert wrong == []


def variables() -> set[str]:
    names = set()
    for name, info in Settings.model_fields.items():
        section = getattr(info.annotation, "model_fields", None)
        names |= {f"PANGTING_{name}__{child}".upper() for child in section} if section else {f"PANGTING_{name}".upper()}
    return names


@every_page
def test_environment_variables_exist(page: Path) -> None:
    others = {
        "PANGTING_CONFIG",
        "PANGTING_KEY",
        "PANGTING_SECRET",
        "PANGTING_LLM_API_KEY",
        "PANGTING_RERANK_API_KEY",
        "PANGTING_",
        "PANGTING_SPEECH_DATA",
        "PANGTING_WEBHOOK",
    }
    others |= {"PANGTING_CALL", "PANGTING_LEG", "PANGTING_AGENT", "PANGTING_LANGUAGE"}  # channel variables of Asterisk
    named = set(re.findall(r"PANGTING_[A-Z_]*[A-Z]|PANGTING_", page.read_text(encoding="utf-8")))
    tests_only = {name for name in named if name.startswith("PANGTING_TEST_")}
    assert named - others - tests_only <= variables()


@every_page
def test_no_page_names_the_path_of_somebodys_machine(page: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:work|root|home|tmp|Users|private)/\S*", page.read_text(encoding="utf-8")) == []


# README in two languages


def test_both_readmes_have_the_same_shape() -> None:
    texts = [page.read_text(encoding="utf-8") for page in READMES]
    shapes = [re.findall(r"^(#+) ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE) for text in texts]
    assert shapes[0] == shapes[1]
    commands = [[line.split("#")[0].strip() for line in code(text) if re.match(r"make ", line.strip())] for text in texts]
    blocks = [[command for command in found if command in {"make demo", "make test"}][:2] for found in commands]
    assert blocks == [["make demo", "make test"]] * 2
    images = [re.findall(r"!\[[^]]*\]\(([^)]+)\)", text) for text in texts]
    assert images[0] == images[1]
    tables = [re.search(r"<!-- bench:begin -->.*<!-- bench:end -->", text, re.DOTALL) for text in texts]
    assert all(tables)


# Schemas and their examples


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_schema_is_a_valid_schema_and_is_linked(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document.get("title")
    linked = INTERFACES + (DOCS / "README.md").read_text(encoding="utf-8")
    assert f"schemas/{path.name}" in linked, "no page points at this schema"


def partial_schema(value: Any) -> Any:
    """The schema for a shortened example: nothing is required, nothing unknown is allowed."""
    if isinstance(value, dict):
        return {key: partial_schema(item) for key, item in value.items() if not (key == "required" and isinstance(item, list))}
    return [partial_schema(item) for item in value] if isinstance(value, list) else value


def examples(section: str) -> list[Any]:
    """The JSON values shown under a heading of the interfaces page."""
    body = re.split(rf"^## {re.escape(section)}$", INTERFACES, flags=re.MULTILINE)[1].split("\n## ")[0]
    values = []
    for block in re.findall(r"```json\n(.*?)```", body, re.DOTALL):
        rest = block.strip()
        while rest:
            value, end = json.JSONDecoder().raw_decode(rest)
            values.append(value)
            rest = rest[end:].strip()
    return values


@pytest.mark.parametrize(
    ("section", "schemas"),
    [
        ("transcribe", ["transcribe"]),
        ("kb import", ["kb-import"]),
        ("kb reindex", ["kb-reindex"]),
        ("calls search", ["calls-search"]),
        ("calls reindex", ["calls-reindex"]),
        ("kb mine", ["kb-mine"]),
        ("kb search", ["kb-search"]),
        ("kb eval", [None, None, None, "kb-eval"]),
        ("kb graph list", ["kb-graph-list"]),
        ("kb graph ask", ["kb-graph-ask"]),
        ("kb gaps", ["kb-gaps"]),
        ("kb tune", ["kb-tune"]),
        ("privacy mask", ["privacy-mask", "privacy-mask"]),
        ("postcall run", ["postcall-transcript", "postcall-result"]),
        ("models list", ["models-list"]),
        ("users list", ["users-list"]),
        ("status", ["status"]),
    ],
)
def test_the_examples_fit_their_schemas(section: str, schemas: list[str | None]) -> None:
    shown = examples(section)
    assert len(shown) == len(schemas)
    for value, name in zip(shown, schemas, strict=True):
        if name is not None:
            document = json.loads((DOCS / f"reference/schemas/{name}.json").read_text(encoding="utf-8"))
            jsonschema.Draft202012Validator(partial_schema(document)).validate(value)


def test_the_masking_example_is_what_the_masker_does() -> None:
    from copilot.privacy.masker import Masker

    shown = re.search(r"printf '(.*?)' \| pangting privacy mask", INTERFACES)
    assert shown is not None
    lines = shown.group(1).replace("\\n", "\n").splitlines()
    masked = [Masker("zh").mask(line) for line in lines]
    assert [{"text": m.text, "spans": [{"start": s.start, "end": s.end, "type": s.type} for s in m.spans]} for m in masked] == examples(
        "privacy mask"
    )
