"""The peer's metadata under our names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot.domain.audio import CallStart, LegFormat
from copilot.domain.errors import ConfigError, RemoteProtocolError
from streaming.telephony.mapping import FIELDS, check_mapping, mapped

LEGS = (LegFormat(channel="customer", encoding="pcmu", sample_rate_hz=8000),)


def start(external_id="x-1", **metadata):
    return CallStart(external_id=external_id, legs=LEGS, metadata=metadata)


def test_nothing_mapped_is_nothing_changed():
    assert mapped(start(a="1", agent="li"), {}, "fresh") == start(a="1", agent="li")


def test_a_call_without_an_id_gets_a_fresh_one():
    assert mapped(start(""), {}, "fresh").external_id == "fresh"


def test_values_move_under_our_names():
    keys = {"call_id": "vars.uuid", "agent": "user", "ani": "from", "language": "lang", "customer": "absent"}
    given = start("old", **{"vars.uuid": "u-1", "user": "li.na", "from": "+86", "lang": "en-GB", "rest": "r"})
    out = mapped(given, keys, "fresh")
    assert (out.external_id, out.language) == ("u-1", "en")
    assert out.metadata == {"agent": "li.na", "ani": "+86", "language": "en-GB", "rest": "r"}


def test_the_mapped_value_wins_over_one_that_already_has_our_name():
    assert mapped(start(agent="wrong", user="right"), {"agent": "user"}, "f").metadata == {"agent": "right"}


@pytest.mark.parametrize("metadata", [{}, {"uuid": ""}, {"uuid": "a b"}, {"uuid": "x" * 129}])
def test_a_call_id_that_was_promised_must_be_there(metadata):
    with pytest.raises(RemoteProtocolError, match='"uuid"') as caught:
        mapped(start(**metadata), {"call_id": "uuid"}, "fresh")
    assert caught.value.code == 1007


def test_a_language_that_is_none_of_ours_is_refused():
    with pytest.raises(RemoteProtocolError, match="zh or en"):
        mapped(start(lang="de"), {"language": "lang"}, "fresh")


@pytest.mark.parametrize("keys", [{"queue": "q"}, {"agent": ""}])
def test_settings_that_cannot_be_meant(keys):
    with pytest.raises(ConfigError, match="metadata_keys"):
        check_mapping(keys, "pbx")


@given(
    metadata=st.dictionaries(st.text(min_size=1, max_size=6), st.text(max_size=6), max_size=60),
    keys=st.dictionaries(
        st.sampled_from([f for f in FIELDS if f not in ("call_id", "language")]), st.text(min_size=1, max_size=6), max_size=5
    ),
)
def test_mapped_metadata_is_bounded_and_ours_comes_first(metadata, keys):
    given_start = start(**metadata) if "external_id" not in metadata else start()
    out = mapped(given_start, keys, "fresh").metadata
    assert len(out) <= 32
    for name, key in keys.items():
        if key in given_start.metadata:
            assert out[name] == given_start.metadata[key]
