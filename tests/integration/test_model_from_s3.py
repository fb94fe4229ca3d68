# SPDX-License-Identifier: Apache-2.0
"""ml-service with a MODEL_URI in S3: what it classifies with, and why it does not start."""
import contextlib
import json
import os
import pathlib
import subprocess
import time

import pytest

import faults
from deployment import BINARIES, CEILING_SECONDS, MODEL, STOP_SECONDS, Deployment, Program, sample_photos
from fault_proxy import FaultProxy

WORKER = {"DECODERS": "1", "LANES": "2"}
NAMES = ("model.json", "labels.txt", "model.xml", "model.bin")
KEYS = ["test/image.jpg", "samples/rocket.jpg"]


def files(**members):
    """The committed model's, with members of its model.json replaced."""
    content = {name: (MODEL / name).read_bytes() for name in NAMES}
    content["model.json"] = json.dumps({**json.loads(content["model.json"]), **members}).encode()
    return content


def upload(aws, content, prefix="models/net/"):
    """Into the image bucket; returns the MODEL_URI."""
    aws.put_images({prefix + name: body for name, body in content.items()})
    return f"s3://{aws.image_bucket}/{prefix}"


def worker(aws, folder, uri, **proxies):
    return Program("ml-service", folder, {**aws.via(**proxies), **WORKER, "LOG_LEVEL": "info", "MODEL_URI": uri})


def assert_not_started(program, *words):
    """It ends by itself, with status 1 and one line that says all this; nothing is left of it."""
    program.launch()
    try:
        assert program.process.wait(STOP_SECONDS) == 1, program.log()
        reason = [line for line in program.log().splitlines() if line.startswith("ml-service: ")][-1]
        assert reason.startswith("ml-service: MODEL_URI"), reason
        assert all(word in reason for word in words), (reason, words)
        assert not program.complaints(), program.complaints()
        assert processes_of_group(program.process.pid) == []
    finally:
        program.clean_up()


def processes_of_group(group):
    """Those that are not zombies."""
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def memory_files(pid):
    """How many of a model's files a process has open; none of a decoder, which nobody may look into."""
    with contextlib.suppress(PermissionError):
        return sum("memfd:model" in os.readlink(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir())
    return 0


def result_of(deployment):
    client = deployment.client
    job = client.job(s3_keys=KEYS, top_k=5)
    assert client.wait(job)["progress"]["succeeded"] == len(KEYS)
    return client.get(f"/result/{job}").json()


def test_photos_are_classified_by_the_model_in_the_bucket(aws, tmp_path):
    aws.put_images(sample_photos())
    with Deployment(aws, tmp_path / "folder", worker=WORKER) as deployment:
        expected = result_of(deployment)
    uri = upload(aws, files(name="net-of-s3", version="2026-7"))
    with Deployment(aws, tmp_path / "s3", worker={**WORKER, "MODEL_URI": uri}) as deployment:
        found = result_of(deployment)
        program = deployment.workers[0]
        assert found["results"] == expected["results"]
        assert found["model"] == {**expected["model"], "name": "net-of-s3", "version": "2026-7"}
        ready = json.loads(program.wait_for_log(r'.*"event":"ready".*').group(0))
        assert (ready["model"], ready["model_version"], ready["model_sha256"]) == tuple(found["model"].values())
        # What was read, by its ETag.
        lines = [json.loads(line) for line in program.log().splitlines() if '"event":"model_file"' in line]
        heads = {line["key"]: aws.s3.head_object(Bucket=line["bucket"], Key=line["key"]) for line in lines}
        assert {key.rpartition("/")[2] for key in heads} == set(NAMES)
        assert all(line["etag"] == heads[line["key"]]["ETag"] for line in lines)
        assert all(line["bytes"] == heads[line["key"]]["ContentLength"] for line in lines)
        # The inference library keeps the weights mapped, with a descriptor of its own; all others are closed.
        kept = {pid: memory_files(pid) for pid in processes_of_group(program.process.pid) if memory_files(pid)}
        assert kept in ({}, {program.process.pid: 1}), kept


def test_check_config_looks_at_the_uri_and_asks_nobody(aws, ministack, tmp_path):
    with FaultProxy(ministack, "s3") as proxy:
        for uri, status, word in [(f"s3://{aws.image_bucket}/nothing/there/", 0, "valid"), ("s3://x/", 1, "MODEL_URI"),
                                  ("gs://bucket/models/", 1, "MODEL_URI")]:
            run = subprocess.run([BINARIES / "ml-service", "--check-config"], capture_output=True, text=True, timeout=60,
                                 env={**aws.via(s3=proxy), "MODEL_URI": uri})
            assert run.returncode == status and word in run.stdout + run.stderr, run
        assert proxy.records == []


@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_object_is_named(aws, tmp_path, missing):
    content = files()
    del content[missing]
    uri = upload(aws, content)
    assert_not_started(worker(aws, tmp_path, uri), uri + missing, "there is no object with this key")


def test_a_truncated_object_is_told_by_its_checksum(aws, tmp_path):
    content = files()
    content["model.bin"] = content["model.bin"][:-1]
    uri = upload(aws, content)
    assert_not_started(worker(aws, tmp_path, uri), uri + "model.json", "sha256 of 'model.bin'")


def test_a_model_json_that_is_none_is_named(aws, tmp_path):
    uri = upload(aws, {**files(), "model.json": files()["model.json"][:200]})
    assert_not_started(worker(aws, tmp_path, uri), uri + "model.json", "not valid JSON")


def test_an_empty_object_is_named(aws, tmp_path):
    uri = upload(aws, {**files(), "labels.txt": b""})
    assert_not_started(worker(aws, tmp_path, uri), uri + "labels.txt", "empty")


def test_names_outside_the_folder_are_not_read(aws, ministack, tmp_path):
    uri = upload(aws, files(files={"model": "../../secret", "labels": "labels.txt"}))
    with FaultProxy(ministack, "s3") as proxy:
        assert_not_started(worker(aws, tmp_path, uri, s3=proxy), uri + "model.json", "files.model")
        assert [record.operation for record in proxy.records] == ["GetObject"]


REFUSALS = [  # fault, what the message says
    (faults.access_denied, "AccessDenied"),
    (lambda: faults.s3_error("NoSuchBucket", 404), "there is no bucket"),
    (faults.redirect, "eu-central-1"),
]


@pytest.mark.parametrize("operation,name", [("GetObject", "model.json"), ("HeadObject", "model.xml"), ("GetObject", "model.bin")])
@pytest.mark.parametrize("fault,word", REFUSALS, ids=["denied", "no bucket", "other region"])
def test_a_refusal_of_s3_is_given_as_the_reason(aws, ministack, tmp_path, fault, word, operation, name):
    uri = upload(aws, files())
    with FaultProxy(ministack, "s3") as proxy:
        # A refused HEAD is asked again as a GET, which has a reason.
        proxy.add(fault(), path=f"/{name}$")
        assert_not_started(worker(aws, tmp_path, uri, s3=proxy), f"s3://{aws.image_bucket}/models/net/{name}", word)
        assert proxy.count(operation) > 0


PASSING = [faults.unavailable, faults.internal_error, faults.throttle, faults.reset, faults.cut_body, faults.truncated,
           faults.empty_200]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.__name__)
def test_a_passing_fault_of_every_read_is_waited_out(aws, ministack, tmp_path, fault):
    # Half of a model.json in well-formed HTTP is one that is broken; pieces of the others say what they are of.
    said_to_be_whole = fault is faults.truncated
    uri = upload(aws, files())
    with FaultProxy(ministack, "s3") as proxy:
        rules = [proxy.add(fault(), operation="GetObject", path=f"/{name}$", times=2)
                 for name in NAMES if name != "model.json" or not said_to_be_whole]
        program = worker(aws, tmp_path, uri, s3=proxy)
        try:
            program.start()
            assert [rule.fired for rule in rules] == [2] * len(rules)
            assert program.terminate()[1] == 0, program.log()
            assert not program.complaints(), program.complaints()
        finally:
            program.clean_up()


def test_an_object_that_changes_while_it_is_read_is_refused(aws, ministack, tmp_path):
    uri = upload(aws, files())
    key = "models/net/labels.txt"

    def overwrite(request):
        aws.s3.put_object(Bucket=aws.image_bucket, Key=key, Body=b"another\n" * 1000)
        return True

    with FaultProxy(ministack, "s3") as proxy:
        proxy.add(faults.delay(0), method="GET", path=f"/{key}$", when=overwrite, times=1)
        assert_not_started(worker(aws, tmp_path, uri, s3=proxy), uri + "labels.txt", "has changed")


@pytest.mark.parametrize("name", ["model.json", "model.bin"])
def test_sigterm_while_the_model_is_read_ends_the_start_at_once(aws, ministack, tmp_path, name):
    uri = upload(aws, files())
    with FaultProxy(ministack, "s3") as proxy:
        proxy.add(faults.black_hole(), operation="GetObject", path=f"/{name}$")
        program = worker(aws, tmp_path, uri, s3=proxy)
        try:
            program.launch()
            proxy.wait_for("GetObject", 1 + NAMES.index(name))
            seconds, status = program.terminate()
            assert status == 0 and seconds < CEILING_SECONDS, program.log()
            assert '"event":"stopping"' in program.log() and '"event":"ready"' not in program.log()
            assert not program.complaints(), program.complaints()
            assert processes_of_group(program.process.pid) == []
        finally:
            program.clean_up()


def test_the_reader_of_a_killed_worker_ends_too(aws, ministack, tmp_path):
    uri = upload(aws, files())
    with FaultProxy(ministack, "s3") as proxy:
        proxy.add(faults.black_hole(), operation="GetObject", path="/model.json$")
        program = worker(aws, tmp_path, uri, s3=proxy)
        try:
            program.launch()
            proxy.wait_for("GetObject", 1)
            program.kill()
            proxy.wait_idle()  # its connection is gone
            deadline = time.monotonic() + 60
            while processes_of_group(program.process.pid) and time.monotonic() < deadline:
                time.sleep(0.02)
            assert processes_of_group(program.process.pid) == []
        finally:
            program.clean_up()
