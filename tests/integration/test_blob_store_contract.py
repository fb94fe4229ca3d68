# SPDX-License-Identifier: Apache-2.0
"""The blob store's contract suite, a C program, on each S3 server."""
import os
import pathlib
import secrets
import subprocess

import pytest

from emulators import REGION

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("DIC_TESTS_DIR", ROOT / "build/asan/tests")).resolve() / "blob_store_s3_test"
# Names of the suite's tests that a server fails; test_emulators_s3.py says why, and that it does.
LACKS = {"s3proxy": ["an_object_in_parts_is_one_object_under_its_condition", "of_many_writers_of_a_new_key_one_wins"]}


def run_suite(server, random_keys, seconds):
    bucket = f"test-contract-{secrets.token_hex(4)}"
    server.client("s3").create_bucket(Bucket=bucket)
    variables = {"AWS_ENDPOINT_URL_S3": server.url, "AWS_REGION": REGION, "IMAGE_BUCKET": bucket,
                 "DIC_TEST_LACKS": ",".join(LACKS.get(server.name, [])),
                 "DIC_TEST_RANDOM_KEYS": str(random_keys), **server.credentials.variables()}
    run = subprocess.run([PROGRAM], env={**os.environ, **variables}, capture_output=True, text=True,
                         errors="replace", timeout=seconds, check=False)
    output = run.stdout + run.stderr
    assert run.returncode == 0, output[-6000:]
    assert "[  PASSED  ]" in output, output[-2000:]


def test_the_suite_passes(s3_server):
    run_suite(s3_server, 100, 240)


@pytest.mark.deep
def test_ten_thousand_random_keys_go_round_the_trip(s3_server):
    run_suite(s3_server, 10000, 600)
