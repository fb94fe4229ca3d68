# SPDX-License-Identifier: Apache-2.0
"""The images at work, as `docker run --read-only --user 65532 --cap-drop ALL --security-opt
no-new-privileges --memory 512m --cpus 1` runs them, with nothing to write to: no /tmp either."""
import csv
import json
import os
import pathlib
import subprocess

import pytest

import containers
import faults
from deployment import SAMPLES, sample_photos
from fault_proxy import FaultProxy

PHOTO = "test/image.jpg"
SECONDS = 4  # from SIGTERM to the end
LIMIT_MIB = 512
ENOUGH_MIB = 300  # for photos of usual size, decoders included


@pytest.fixture
def photos(aws):
    aws.put_images(sample_photos())
    return aws


def settings(aws):
    return {**aws.variables, "LOG_LEVEL": "info"}


def ready_line(program):
    return json.loads(program.wait_for_log(r'\{.*"event":"ready".*\}').group(0))


def test_check_config_says_that_it_is_valid(aws, image, program):
    done = containers.run(image, "--check-config", variables=settings(aws))
    assert (done.returncode, done.stdout) == (0, f"{program}: the configuration is valid\n"), done


def test_check_config_names_what_is_missing(aws, image, program):
    variables = settings(aws)
    del variables["JOB_TABLE"]
    done = containers.run(image, "--check-config", variables=variables)
    assert done.returncode == 1 and "JOB_TABLE" in done.stderr, done


def test_photos_are_classified(photos, images, tmp_path):
    expected = {row["file"]: row["label"] for row in csv.DictReader((SAMPLES / "expected.csv").open())}
    keys = sorted(sample_photos())
    with containers.ContainerDeployment(photos, tmp_path, images) as deployment:
        client = deployment.client
        assert client.get("/readyz").status_code == 200
        job = client.job(s3_keys=keys, top_k=5)
        assert client.wait(job)["status"] == "succeeded"
        labels = {pathlib.Path(row["s3_key"]).name: row["label"] for row in client.rows(job)}
        assert len(labels) == len(keys)
        assert expected.items() <= labels.items()
        said = client.get("/version").json()
        assert said["version"] == containers.run(images["backend-service"], "--version").stdout.split()[1]
        assert "Read-only file system" not in deployment.workers[0].log() + deployment.backends[0].log()


def test_a_model_from_s3_needs_no_disk(photos, images, tmp_path):
    folder = pathlib.Path(__file__).resolve().parents[2] / "ml-service/model/efficientnet-lite0"
    photos.put_images({f"models/net/{path.name}": path.read_bytes() for path in folder.iterdir()})
    uri = f"s3://{photos.image_bucket}/models/net/"
    with containers.ContainerDeployment(photos, tmp_path, images, worker={"MODEL_URI": uri}) as deployment:
        job = deployment.client.job(s3_keys=[PHOTO], top_k=1)
        assert deployment.client.wait(job)["status"] == "succeeded"
        assert [row["label"] for row in deployment.client.rows(job)] == ["espresso"]


def test_processes_have_no_rights_and_decoders_a_filter_of_their_own(photos, images, tmp_path):
    with containers.ContainerDeployment(photos, tmp_path, images) as deployment:
        for program in deployment.programs:
            for pid in program.pids():
                status = containers.status_of(pid)
                assert status["Uid"].split() == ["65532"] * 4, status
                assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
                assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
        worker = deployment.workers[0]
        filters = int(containers.status_of(worker.pids()[0])["Seccomp_filters"])
        decoders = worker.decoders()
        assert decoders
        # The engine's filter, and the sandbox's on top of it.
        assert {int(containers.status_of(pid)["Seccomp_filters"]) for pid in decoders} == {filters + 1}


def test_hostile_pictures_are_rows_and_the_worker_stays(photos, images, tmp_path):
    jpeg = sample_photos()[PHOTO]
    photos.put_images({"bad/cut.jpg": jpeg[:len(jpeg) // 3], "bad/noise.jpg": jpeg[:200] + os.urandom(5000),
                       "bad/empty.jpg": b"", "bad/text.jpg": b"no picture\n" * 100})
    keys = ["bad/cut.jpg", "bad/noise.jpg", "bad/empty.jpg", "bad/text.jpg", PHOTO]
    with containers.ContainerDeployment(photos, tmp_path, images) as deployment:
        job = deployment.client.job(s3_keys=keys, top_k=1)
        assert deployment.client.wait(job)["status"] == "completed_with_failures"
        rows = {row["s3_key"]: row for row in deployment.client.rows(job)}
        assert rows[PHOTO]["label"] == "espresso"
        assert all("error" in rows[key] for key in ("bad/noise.jpg", "bad/empty.jpg", "bad/text.jpg"))
        assert "DECODER_CRASHED" not in json.dumps(rows)


@pytest.mark.parametrize("cpus", ["1", "2"])
def test_decoders_and_lanes_follow_the_cpu_limit(photos, images, tmp_path, cpus):
    if int(cpus) > os.cpu_count():
        pytest.skip(f"this machine has {os.cpu_count()} CPUs")
    with containers.ContainerDeployment(photos, tmp_path, images, options=("--cpus", cpus)) as deployment:
        ready = ready_line(deployment.workers[0])
        assert (ready["decoders"], ready["lanes"]) == (int(cpus), int(cpus))
        assert len(deployment.workers[0].decoders()) == int(cpus)


def test_a_large_job_stays_within_the_memory_limit(photos, images, tmp_path):
    with containers.ContainerDeployment(photos, tmp_path, images) as deployment:
        client = deployment.client
        job = client.job(s3_keys=sorted(sample_photos()) * 40, top_k=5)
        assert client.wait(job, seconds=240)["status"] == "succeeded"
        for program in deployment.programs:
            used, killed = containers.memory_of(program.pids()[0])
            print(f"{program.name}: {used / 2**20:.0f} MiB of {LIMIT_MIB}")
            assert killed == 0 and not program.state()["OOMKilled"]
            assert used < ENOUGH_MIB * 2**20


def test_sigterm_under_load_ends_both_with_status_0(photos, images, ministack, tmp_path):
    with FaultProxy(ministack, "s3") as proxy, \
            containers.ContainerDeployment(photos, tmp_path, images, variables=photos.via(s3=proxy)) as deployment:
        proxy.add(faults.delay(0.2), operation="GetObject", path="/test/")
        deployment.client.job(s3_keys=[PHOTO] * 1000, top_k=1)
        proxy.wait_for("GetObject", 40)
        for program in reversed(deployment.programs):
            seconds, status = program.terminate()
            state = program.state()
            print(f"{program.name} ended after {seconds:.2f} s")
            assert (status, state["ExitCode"]) == (0, 0), program.log()
            assert seconds < SECONDS
        visible, in_flight, _ = photos.queue_depth()
        assert visible > 0 and in_flight == 0


def test_names_are_resolved_and_unknown_ones_said(photos, images, ministack, tmp_path):
    """By /etc/hosts, which the engine writes, and by its DNS: the C library needs no further file."""
    options = ("--cpus", "1", "--add-host", "queue.test:127.0.0.1")
    variables = {**photos.variables, "AWS_ENDPOINT_URL_SQS": f"http://queue.test:{ministack.port}"}
    with containers.ContainerDeployment(photos, tmp_path, images, options=options, variables=variables) as deployment:
        job = deployment.client.job(s3_keys=[PHOTO], top_k=1)
        assert deployment.client.wait(job)["status"] == "succeeded"
    variables["AWS_ENDPOINT_URL_SQS"] = "http://nowhere.invalid"
    with containers.ContainerDeployment(photos, tmp_path, images, variables=variables) as deployment:
        deployment.workers[0].wait_for_log("Could not resolve")


@pytest.fixture
def tls(ministack, tmp_path):
    """ministack behind TLS, twice, and the certificate, signed by itself: (table, queue, certificate)."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    cert.chmod(0o644)
    with FaultProxy(ministack, "dynamodb", certificate=(cert, key)) as table, \
            FaultProxy(ministack, "sqs", certificate=(cert, key)) as queue:
        yield table, queue, cert


def test_servers_are_verified_by_the_images_certificates(photos, images, tls, tmp_path):
    table, queue, cert = tls
    variables = photos.via(dynamodb=table, sqs=queue)
    with containers.ContainerDeployment(photos, tmp_path / "refused", images, variables=variables) as deployment:
        # Those were read, and the server's is none of them.
        said = deployment.workers[0].wait_for_log("(?i)[^\n]*certificate[^\n]*").group(0)
        assert "self-signed" in said and "error setting" not in said, said
    options = ("--cpus", "1", "--volume", f"{cert}:/certificates.pem:ro")
    variables["AWS_CA_BUNDLE"] = "/certificates.pem"
    with containers.ContainerDeployment(photos, tmp_path / "trusted", images, options=options,
                                        variables=variables) as deployment:
        job = deployment.client.job(s3_keys=[PHOTO], top_k=1)
        assert deployment.client.wait(job)["status"] == "succeeded"
