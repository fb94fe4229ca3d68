# SPDX-License-Identifier: Apache-2.0
"""openapi.yaml is what the service does: schemathesis makes requests from it, right and wrong ones,
and chains of them, and judges the answers by it. The seed is fixed; DIC_API_SEED and
DIC_API_EXAMPLES ask for others and for more. Strings are ASCII: our limits are in bytes and those of
a schema in characters; test_submit.py has the others."""
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "backend-service/openapi.yaml"


def test_every_answer_is_as_the_document_says(client, tmp_path):
    command = [pathlib.Path(sys.executable).parent / "schemathesis", "run", DOCUMENT, "--url", client.url,
               "--max-examples", os.environ.get("DIC_API_EXAMPLES", "25"),
               "--seed", os.environ.get("DIC_API_SEED", "1"), "--checks", "all",
               "--generation-database", "none", "--generation-codec", "ascii", "--warnings", "off", "--no-color", "--continue-on-failure"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240,
                         env={**os.environ, "SCHEMATHESIS_HOOKS": "conformance_hooks", "PYTHONPATH": str(HERE)})
    assert run.returncode == 0, run.stdout[-12000:] + run.stderr[-2000:]
    assert "Tested: 14" in run.stdout, run.stdout[-3000:]


@pytest.mark.deep
def test_other_seeds_and_more_examples_find_no_more(client, tmp_path, monkeypatch):
    monkeypatch.setenv("DIC_API_SEED", os.environ.get("DIC_DEEP_SEED", "7"))
    monkeypatch.setenv("DIC_API_EXAMPLES", "200")
    test_every_answer_is_as_the_document_says(client, tmp_path)
