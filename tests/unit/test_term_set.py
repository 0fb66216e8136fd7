"""The sentences with bank terms are what their README says."""

import json
from pathlib import Path

import numpy as np
import pytest

from copilot.live.packs import lexicon_terms
from loadtest.mulaw_steps import from_steps, to_steps
from loadtest.term_set import longest_terms, parse_sentences, spoken_form
from loadtest.terms import load_clips
from streaming.telephony.g711 import decode

ROOT = Path(__file__).parents[2]
TERMS = ROOT / "tests/data/terms"
LEXICON = [term.text for term in lexicon_terms((ROOT / "kb/samples/bank/lexicon.yaml").read_text(encoding="utf-8"))]


def sentences(name):
    return parse_sentences((TERMS / f"{name}.tsv").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "with_terms", "without"), [("dev", 80, 60), ("test", 150, 200)])
def test_the_sets_are_large_enough_and_their_marks_are_the_terms_they_hold(name, with_terms, without):
    rows = sentences(name)
    assert sum(bool(row.terms) for row in rows) >= with_terms
    assert sum(not row.terms for row in rows) >= without
    for row in rows:
        assert row.terms == longest_terms(row.text, LEXICON), row
        assert bool(row.terms) == ("-terms-" in row.sentence_id)


def test_the_sets_share_no_sentence_and_hold_many_terms():
    dev, test = sentences("dev"), sentences("test")
    assert not {row.text for row in dev} & {row.text for row in test}
    assert len({term for row in test for term in row.terms}) >= 200
    assert {"UKey", "APP", "NFC", "VISA", "ATM", "ETC", "PIN码", "CVV"} <= {term for row in test for term in row.terms}


def test_the_recordings_are_those_of_the_manifest_and_of_other_voices_in_each_set():
    manifest = json.loads((TERMS / "manifest.json").read_text(encoding="utf-8"))
    assert "Apache-2.0" in manifest["licence"]
    voices = {name: {entry["voice"] for entry in manifest["files"] if entry["set"] == name} for name in ("dev", "test")}
    assert voices["dev"]
    assert voices["test"]
    assert not voices["dev"] & voices["test"]
    assert sum((TERMS / entry["file"]).stat().st_size for entry in manifest["files"]) < 12_000_000
    for name in ("dev", "test"):
        clips = load_clips(TERMS, name)  # refuses a file that is not the manifest's
        assert {clip.sentence for clip in clips} <= set(sentences(name))
        assert len({clip.sentence.sentence_id for clip in clips}) == len(clips)
        assert all(0.8 < (clip.end - clip.start) / manifest["sample_rate_hz"] < 15 for clip in clips)


def test_mulaw_steps_give_back_what_mulaw_carries():
    samples = decode(bytes(range(256)), "pcmu")
    steps = to_steps(samples)
    assert np.array_equal(from_steps(steps), samples)
    assert sorted(set(steps.tolist())) == list(range(-127, 128))
    with pytest.raises(ValueError, match="between its steps"):
        to_steps(np.array([3], dtype=np.int16))


@pytest.mark.parametrize("document", ["no tab", "a\t[开", "a\t好\na\t好", "a\t"])
def test_a_broken_line_is_refused(document):
    with pytest.raises(ValueError, match="line"):
        parse_sentences(document)


def test_longest_terms_and_spoken_form():
    assert longest_terms("还款日和还款", ["还款", "还款日"]) == ("还款日", "还款")
    assert spoken_form("插U盾和UKey", {"U盾": "优盾", "UKey": "优key"}) == "插优盾和优key"
