"""Faults of packs with line, column and the way out: by every parser that reads the file, for any text at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from copilot.assembly.pack_check import check_pack, pack_faults
from copilot.cli.main import app
from copilot.domain.errors import NotFound
from copilot.domain.packs import PUBLISHERS, BadPack, path_of
from kb.packs import LISTS
from loadtest.call_set import BANK

RUBRIC = (BANK / "rubric.yaml").read_text(encoding="utf-8")


def test_every_pack_of_the_sample_bank_is_fit_for_use() -> None:
    assert set(PUBLISHERS) == set(LISTS)
    for name in LISTS:
        assert pack_faults(name, (BANK / f"{name}.yaml").read_text(encoding="utf-8")) == []


def place(text: str, what: str, nth: int = 0) -> tuple[int, int]:
    """Line and column of the ``nth`` occurrence."""
    at = -1
    for _ in range(nth + 1):
        at = text.index(what, at + 1)
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


@pytest.mark.parametrize(
    ("name", "old", "new", "spot", "says"),
    [
        ("rubric", "weight: 4", "weight: heavy", "weight: heavy", "must be a number not below 0"),
        ("rubric", "kind: not_said", "kind: unsaid", "kind: unsaid", "it must be one of said, not_said"),
        ("taxonomy", "        measures:", "        measures: 3 #", "measures: 3 #", "must give a list per language"),
        ("compliance", "severity: warn", "severity: loud", "- id: promise-no-problem", "severity is 'loud'"),
        ("sop", "agent\n        patterns:", "agent\n        pattern:", "", "says nothing; give patterns"),
        ("lexicon", "weight: ", "weight: -", "weight: -", "weight must be a number above 0"),
        ("review", "due_days: 3", "due_days: 300", "", "must be a whole number from 1 to 60"),
    ],
)
def test_a_fault_stands_at_its_line(name: str, old: str, new: str, spot: str, says: str) -> None:
    text = (BANK / f"{name}.yaml").read_text(encoding="utf-8")
    assert old in text
    broken = text.replace(old, new, 1)
    found = pack_faults(name, broken)
    assert any(says in fault.message for fault in found), found
    fault = next(fault for fault in found if says in fault.message)
    assert fault.line > 0
    assert fault.column > 0
    if spot:
        line, column = place(broken, spot)
        assert (fault.line, fault.column) == (line, column + (2 if spot.startswith("- ") else 0))
    with pytest.raises(BadPack) as raised:
        check_pack(name, broken)
    assert list(raised.value.faults) == found


def test_all_items_with_a_fault_are_named_at_once_in_the_order_of_lines() -> None:
    found = pack_faults("rubric", RUBRIC.replace("weight:", "weigth:"))
    assert len(found) > 10
    assert [fault.line for fault in found] == sorted(fault.line for fault in found)


def test_what_yaml_itself_refuses_and_what_it_would_swallow() -> None:
    broken = RUBRIC.replace("items:\n", "items: [\n", 1)
    (fault,) = pack_faults("rubric", broken)
    assert fault.line > place(broken, "items: [")[0] - 1
    assert "not valid YAML" in fault.message
    twice = RUBRIC.replace("    weight: 4\n", "    weight: 4\n    weight: 5\n", 1)
    assert [(fault.line, fault.message) for fault in pack_faults("rubric", twice)] == [
        (place(twice, "weight: 5")[0], "the key weight is there twice; keep one")
    ]


@pytest.mark.parametrize("text", ["", "null", "3", "[]", "checklists: &a [*a]", "a: &a {b: *a}\nchecklists: *a"])
@pytest.mark.parametrize("name", sorted(LISTS))
def test_what_is_no_pack_at_all(name: str, text: str) -> None:
    assert pack_faults(name, text)


def test_aliases_cannot_blow_a_text_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (fault,) = pack_faults("sop", "\n".join([*lines, "checklists: *a11"]))
    assert "too large" in fault.message


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("a:[]{}&*-#'\n ", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "steps", "check", "when", "zh"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(LISTS)), entries=st.lists(VALUES, max_size=4))
def test_whatever_stands_in_the_list_is_answered_with_faults_never_with_a_crash(name: str, entries: list[object]) -> None:
    import yaml

    text = yaml.safe_dump({"version": 1, "sections": [{"id": "s", "name": {"zh": "a"}}], LISTS[name]: entries}, allow_unicode=True)
    lines = text.count("\n") + 1
    for fault in pack_faults(name, text):
        assert fault.message
        assert 0 < fault.line <= lines
        assert fault.column > 0


def test_a_place_leads_back_to_its_path() -> None:
    assert path_of("rules[3] (soothe) › when › then › within_s") == ("rules", 3, "when", "then", "within_s")
    assert path_of("checklists[0] (a) › steps[2] (b) › patterns › zh[1]") == ("checklists", 0, "steps", 2, "patterns", "zh", 1)


def test_names_that_are_none() -> None:
    with pytest.raises(NotFound, match="is no pack"):
        pack_faults("ranking", "a: 1")


def test_the_command_names_file_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text(RUBRIC, encoding="utf-8")
    assert CliRunner().invoke(app, ["packs", "check", str(path)]).exit_code == 0
    path.write_text(RUBRIC.replace("weight: 4", "weight: heavy", 1), encoding="utf-8")
    answer = CliRunner().invoke(app, ["packs", "check", str(path)])
    line, column = place(path.read_text(encoding="utf-8"), "weight: heavy")
    assert answer.exit_code == 1
    assert f"{path}:{line}:{column}: rubric item" in answer.stdout
