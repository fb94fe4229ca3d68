# SPDX-License-Identifier: Apache-2.0
"""The command line of each program, and how it takes its settings."""
import os
import subprocess

import pytest
from conftest import BINARIES, ROOT

pytestmark = pytest.mark.local

PROGRAMS = ["classifier-local", "backend-service", "ml-service"]
# Enough for every program; nothing is asked at these addresses by --check-config.
GOOD = {"MODEL_URI": str(ROOT / "ml-service/model/efficientnet-lite0"), "AWS_REGION": "us-east-1",
        "IMAGE_BUCKET": "images", "RESULT_BUCKET": "results", "JOB_TABLE": "jobs",
        "JOB_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/jobs",
        "JOB_DLQ_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/dead"}
BARE = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def run(program, *arguments, **settings):
    return subprocess.run([BINARIES / program, *arguments], env={**BARE, **settings}, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_names_every_setting(program):
    shown = run(program, "--help")
    documented = run(program, "--print-config-docs")
    names = [line.split("`")[1] for line in documented.stdout.splitlines()[2:]]
    assert shown.returncode == 0 and len(names) > 8 and len(set(names)) == len(names)
    assert all(f"  {name} " in shown.stdout for name in names)


@pytest.mark.parametrize("program", PROGRAMS)
def test_version_names_the_program(program):
    shown = run(program, "--version")
    assert shown.returncode == 0 and shown.stdout.startswith(program + " ")


@pytest.mark.parametrize("program", PROGRAMS)
def test_check_config_finds_good_settings_good(program):
    checked = run(program, "--check-config", **GOOD)
    assert checked.returncode == 0 and "valid" in checked.stdout, checked.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_argument_is_named(program):
    for arguments in (["--verbose"], ["--help", "me"], ["x"]):
        refused = run(program, *arguments)
        assert refused.returncode == 2 and arguments[-1] in refused.stderr


AWS_CASES = [("IMAGE_BUCKET", "", "IMAGE_BUCKET"), ("RESULT_BUCKET", "x", "RESULT_BUCKET"), ("JOB_QUEUE_URL", "", "JOB_QUEUE_URL"),
             ("JOB_TABLE", "", "JOB_TABLE"), ("JOB_TABLE", "a b c", "a b c"), ("IMAGE_BUCKET", "a b/c", "a b/c"),
             ("JOB_DLQ_URL", "not a url at all", "not a url"), ("AWS_REGION", "", "AWS_REGION"), ("CHUNK_IMAGES", "501", "500"),
             ("RETENTION_DAYS", "0", "RETENTION_DAYS"), ("LOG_LEVEL", "loud", "loud"), ("AWS_ENDPOINT_URL_S3", "ftp://x", "ftp://x")]


MODELS = [("s3://models/net/v3/", None), ("s3://models", None), ("s3://ab/net/", "3 to 63"), ("s3://models/../net/", "'..'"),
          ("s3://models/net/model.json", "not the model.json"), ("https://models/net/", "s3://bucket/folder/"),
          ("/nonexistent", "model.json")]


@pytest.mark.parametrize("uri,word", MODELS)
def test_the_place_of_a_model_is_checked_before_anything_is_asked(uri, word):
    checked = run("ml-service", "--check-config", **{**GOOD, "MODEL_URI": uri})
    assert checked.returncode == (0 if word is None else 1), checked.stderr
    assert word is None or word in checked.stderr.splitlines()[-1], checked.stderr


def test_local_mode_takes_no_model_from_s3_and_says_who_does():
    for arguments in ([], ["--check-config"]):
        refused = run("classifier-local", *arguments, MODEL_URI="s3://models/net/")
        assert refused.returncode == 1
        assert "MODEL_URI" in refused.stderr and "only ml-service" in refused.stderr, refused.stderr


@pytest.mark.parametrize("program", PROGRAMS[1:])
@pytest.mark.parametrize("name,value,word", AWS_CASES)
def test_bad_settings_of_aws_mode_are_named_before_anything_starts(program, name, value, word):
    checked = run(program, "--check-config", **{**GOOD, "HOME": "/nonexistent", name: value})
    assert checked.returncode == 1 and word in checked.stderr.splitlines()[-1], checked.stderr


def test_an_address_that_cannot_be_bound_is_named():
    refused = run("backend-service", **GOOD, BIND_ADDRESS="nowhere")
    assert refused.returncode == 1 and "BIND_ADDRESS" in refused.stderr.splitlines()[-1]
