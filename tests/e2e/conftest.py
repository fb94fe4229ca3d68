# SPDX-License-Identifier: Apache-2.0
"""One deployment for all steps, in the emulated account that tests/e2e/run has started. Without it only the
library's own tests run."""
import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/integration")]


@pytest.fixture(scope="session")
def account_is_up():
    if "AWS_ENDPOINT_URL" not in os.environ or "CLASSIFIER_RIG" not in os.environ:
        pytest.skip("there is no account to deploy into: make e2e, with CLASSIFIER_RIG")


@pytest.fixture(scope="session")
def stack(account_is_up):
    from stack import Stack
    with Stack() as begun:
        yield begun


@pytest.fixture
def deployed(stack):
    """Also for a step that is run alone."""
    return stack.ensure_applied()


def pytest_terminal_summary(terminalreporter, exitstatus):
    counts = {kind: len(terminalreporter.stats.get(kind, [])) for kind in ("passed", "failed", "error", "skipped")}
    terminalreporter.write_line(
        f"e2e: {counts['passed']} passed, {counts['failed'] + counts['error']} failed, {counts['skipped']} skipped")
