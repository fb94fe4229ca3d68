# SPDX-License-Identifier: Apache-2.0
"""What can be said of terraform/ without an account: format, validity, its own tests, checkov's rules, its READMEs."""
import json
import os
import re
import subprocess

import pytest

from terraform import Terraform
from workspace import ROOT, Workspace

CHECKOV = ROOT / "build/checkov/bin/checkov"  # tests/e2e/run installs it
NO_REASON = "No comment provided"  # what checkov says for it


@pytest.fixture(scope="module")
def terraform(account_is_up, tmp_path_factory):
    """In the sources as a user has them, with the providers but no backend."""
    made = Terraform(Workspace(tmp_path_factory.mktemp("sources")).terraform, tmp_path_factory.mktemp("logs"))
    made.init("-backend=false")
    return made


def test_the_sources_are_formatted(terraform):
    terraform.run("fmt", "-check", "-recursive", "-diff")


def test_the_sources_are_valid(terraform):
    done = terraform.run("validate", "-json")
    said = json.loads(done.text)
    assert said["valid"] and said["warning_count"] == 0, done.text


def test_the_modules_pass_their_own_tests(terraform):
    done = terraform.run("test", "-no-color")
    counts = re.search(r"Success! (\d+) passed, 0 failed", done.text)
    files = list((ROOT / "terraform/tests").glob("*.tftest.hcl"))
    assert counts and int(counts.group(1)) >= len(files) > 0, done.text[-2000:]


def test_checkov_finds_nothing_and_each_exception_has_its_reason(terraform):
    done = subprocess.run([CHECKOV, "--directory", terraform.folder, "--framework", "terraform", "--output", "json",
                           "--skip-download"], capture_output=True, text=True, timeout=600, check=False,
                          env={**os.environ, "LOG_LEVEL": "ERROR"})
    report = json.loads(done.stdout)
    failed = [(found["check_id"], found["resource"]) for found in report["results"]["failed_checks"]]
    assert failed == [] and report["results"]["parsing_errors"] == []
    assert report["summary"]["passed"] > 100
    without = [(found["check_id"], found["resource"]) for found in report["results"]["skipped_checks"]
               if found["check_result"].get("suppress_comment", NO_REASON).strip() in ("", NO_REASON)]
    assert without == []


def test_the_readmes_tables_are_those_of_the_sources():
    subprocess.run([ROOT / "tools/check-terraform-docs"], check=True, timeout=60)
