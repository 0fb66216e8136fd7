"""Logs never carry content; metrics are what the catalogue says."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import CollectorRegistry

from copilot.telemetry.logging import REFUSED, configure_logging
from copilot.telemetry.metrics import CATALOGUE, Metrics


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_content_is_refused_and_pii_dropped() -> None:
    stream = io.StringIO()
    configure_logging("json", stream=stream)
    structlog.get_logger("here").info("heard", call_id="c1", text="我叫王小明", name_pii="王小明", pii_value="x", n=2)
    (line,) = lines(stream)
    assert line["event"] == "heard"
    assert line["call_id"] == "c1"
    assert line["text"] == REFUSED
    assert "name_pii" not in line
    assert "pii_value" not in line
    assert "王小明" not in stream.getvalue()


def test_pii_may_be_allowed_but_content_never() -> None:
    stream = io.StringIO()
    configure_logging("json", stream=stream, allow_pii=True)
    structlog.get_logger().info("heard", name_pii="王小明", text="你好")
    (line,) = lines(stream)
    assert line["name_pii"] == "王小明"
    assert line["text"] == REFUSED


def test_a_word_that_merely_contains_the_letters_is_kept() -> None:
    stream = io.StringIO()
    configure_logging("json", stream=stream)
    structlog.get_logger().info("x", copiilot="kept")
    assert lines(stream)[0]["copiilot"] == "kept"


def test_libraries_lines_look_like_ours_and_levels_hold() -> None:
    stream = io.StringIO()
    configure_logging("json", "WARNING", stream=stream)
    logging.getLogger("library").warning("careful")
    logging.getLogger("library").info("chatter")
    structlog.get_logger().info("chatter")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("careful", "warning", "library")


def test_a_traceback_in_the_console_shows_no_local_variables() -> None:
    stream = io.StringIO()
    configure_logging("console", stream=stream)
    spoken = "我叫" + "王小明"
    try:
        raise RuntimeError(f"fault {len(spoken)}")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    assert "fault 5" in stream.getvalue()
    assert "王小明" not in stream.getvalue()


def test_every_metric_of_the_catalogue_can_be_used_and_is_rendered() -> None:
    metrics = Metrics(CollectorRegistry())
    for item in CATALOGUE:
        labels = dict.fromkeys(item.labels, "x")
        {
            "counter": metrics.count,
            "gauge": lambda name, **kw: metrics.set(name, 3, **kw),
            "histogram": lambda name, **kw: metrics.observe(name, 3, **kw),
        }[item.kind](item.name, **labels)
    text = metrics.render().decode()
    for item in CATALOGUE:
        assert f"\n{item.name}" in "\n" + text


def test_names_follow_the_conventions() -> None:
    names = [item.name for item in CATALOGUE]
    assert len(names) == len(set(names))
    for item in CATALOGUE:
        assert item.name.startswith("pangting_")
        assert item.name.endswith("_total") == (item.kind == "counter")
        assert not {"call_id", "user", "agent", "name"} & set(item.labels)


def test_an_unknown_metric_or_label_is_a_fault() -> None:
    metrics = Metrics(CollectorRegistry())
    with pytest.raises(KeyError):
        metrics.count("pangting_nothing_total")
    with pytest.raises(ValueError):
        metrics.observe("pangting_stage_ms", 1, phase="x")
