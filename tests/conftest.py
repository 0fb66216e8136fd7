"""Fixtures for every suite, and the rule for skips: in CI what is missing is a failure, unless its reason says that it is by design."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

BY_DESIGN = "by design: "
"""How the reason of a skip begins that CI takes as one."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = str(call.excinfo.value) if call.excinfo is not None else ""
        if not reason.startswith(BY_DESIGN):
            report.outcome, report.longrepr = "failed", f"skipped, which in CI is a failure: {reason}"
    return report
