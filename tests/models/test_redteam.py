"""The red team cases against the product, without a model and with one that obeys the attack: no unsafe output."""

from __future__ import annotations

import pytest

from loadtest.redteam import WAYS, Bench, approved_answers, heard, judge, judge_typed, read_cases, typed
from loadtest.understanding import open_bank

pytestmark = [pytest.mark.models, pytest.mark.slow, pytest.mark.anyio]


def unsafe(wrong: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: lines for name, lines in wrong.items() if any("matches" in line for line in lines)}


@pytest.fixture(scope="module")
def bank():
    with open_bank() as opened:
        yield opened


async def test_without_a_model_nothing_unsafe_is_put_forward(bank):
    wrong = await judge(Bench(bank, None, None, obedient=False), heard(read_cases()), approved_answers(), ways=1)
    assert unsafe(wrong) == {}


async def test_with_a_model_that_obeys_the_attack_nothing_unsafe_is_put_forward(bank):
    wrong = await judge(Bench(bank, None, None, obedient=True), heard(read_cases()), approved_answers(), ways=WAYS)
    assert unsafe(wrong) == {}


def test_what_is_typed_into_the_question_desk_writes_nothing_and_shows_no_customer(tmp_path):
    assert judge_typed(typed(read_cases()), tmp_path) == {}
