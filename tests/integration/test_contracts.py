# SPDX-License-Identifier: Apache-2.0
"""The ports' contract suites, written in C, on the adapters that talk to real servers. The programs
are those of DIC_TESTS_DIR (build/asan/tests). LACKS says which tests a server fails because it is
not as the real service is; each must fail there, so the table stays true."""
import os
import pathlib
import re
import subprocess

import aws_env
from emulators import REGION

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("DIC_TESTS_DIR", ROOT / "build/asan/tests"))
SECONDS = 240

LACKS = {
    "s3proxy": {
        # it completes an upload in parts whatever the condition
        "an_object_in_parts_is_one_object_under_its_condition",
    },
    "moto": {
        # it sets an entry of a map that is not there
        "a_change_that_cannot_be_made_is_an_error_and_nothing_changes",
        # it counts bytes in its own way
        "an_item_of_400_kib_is_stored_and_one_byte_more_is_too_large",
    },
}

# Fails now and then: its condition is not atomic.
RACES = {"s3proxy": "of_many_writers_of_a_new_key_one_wins"}


def run_suite(program, variables):
    """The names of the tests that failed."""
    done = subprocess.run([PROGRAMS / program], env={**os.environ, **variables}, timeout=SECONDS,
                          text=True, capture_output=True, check=False)
    printed = done.stdout + done.stderr
    ran = sum(map(int, re.findall(r"Running (\d+) test", printed)))
    failed = set(re.findall(r"\[  FAILED  \] (\w+)$", printed, re.MULTILINE))
    assert ran > 0, printed
    assert (done.returncode == 0) == (not failed), printed  # a leak, a crash, a program cut short
    return failed


def variables_of(server, service):
    return {**server.credentials.variables(), "AWS_REGION": REGION,
            f"AWS_ENDPOINT_URL_{service.upper()}": server.url}


def test_the_table_is_as_its_port_says(dynamodb_server):
    failed = run_suite("table_dynamodb_test", variables_of(dynamodb_server, "dynamodb"))
    assert failed == LACKS.get(dynamodb_server.name, set())


def test_the_queue_is_as_its_port_says(sqs_server):
    assert run_suite("job_queue_sqs_test", variables_of(sqs_server, "sqs")) == set()


def test_the_blob_store_is_as_its_port_says(s3_server, ministack):
    made = aws_env.create({"s3": s3_server, "sqs": ministack, "dynamodb": ministack})
    variables = {**made.variables, "DIC_TEST_LACKS": RACES.get(s3_server.name, "")}
    assert run_suite("blob_store_s3_test", variables) == LACKS.get(s3_server.name, set())


def test_the_job_store_is_as_its_port_says(aws):
    assert run_suite("job_store_dynamodb_test", aws.variables) == set()
