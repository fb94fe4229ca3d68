# SPDX-License-Identifier: Apache-2.0
"""Dead letters, on the AWS form of the services against a server that checks every signature."""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from conftest import ROOT, Cli, api

pytestmark = pytest.mark.emulators
KEY = "photo.jpg"
ID = "a" * 26


@pytest.fixture(scope="session")
def ministack(tmp_path_factory):
    sys.path.insert(0, str(ROOT / "tests/integration"))
    from emulators import Emulators  # pylint: disable=import-outside-toplevel,import-error
    with Emulators(tmp_path_factory.mktemp("emulators")) as running:
        running.start("ministack")
        yield running.get("ministack")


class Deployment:
    """Buckets, queues and table of one test, and the services that were started on them."""

    def __init__(self, ministack, folder):
        import aws_env  # pylint: disable=import-outside-toplevel,import-error
        self.aws = aws_env.create({"s3": ministack, "sqs": ministack, "dynamodb": ministack})
        self.aws.put_images({KEY: (ROOT / "local/samples/image.jpg").read_bytes()})
        self.folder = pathlib.Path(folder)
        self.processes = []
        self.client = None

    @property
    def cli(self):
        return Cli(self.client.url if self.client else None, **self.aws.variables)

    def start(self, program, ready, **more):
        log = self.folder / f"{program}.log"
        environment = {**os.environ, **self.aws.variables, "PORT": "0", "BIND_ADDRESS": "127.0.0.1",
                       "SWEEP_INTERVAL_MS": "3600000", **more}
        with open(log, "wb") as out:
            self.processes.append(subprocess.Popen([api.BINARIES / program], env=environment,
                                                   stdout=out, stderr=out))
        found = eventually(lambda: re.search(ready, log.read_text(errors="replace")), 60)
        return found.group(1)

    def start_backend(self):
        port = self.start("backend-service", r'"event":"ready","port":(\d+)')
        self.client = api.Client(f"http://127.0.0.1:{port}")
        return self.client

    def start_worker(self):
        self.start("ml-service", r'("event":"ready")',
                   MODEL_URI=str(ROOT / "ml-service/model/efficientnet-lite0"))

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            assert process.wait(timeout=60) == 0

    def put_dead(self, body):
        self.aws.sqs.send_message(QueueUrl=self.aws.dlq_url, MessageBody=body)

    def give_up(self):
        """The job queue's one message goes where SQS would put it after too many receives."""
        found = self.aws.sqs.receive_message(QueueUrl=self.aws.queue_url, WaitTimeSeconds=5)
        message, = found["Messages"]
        self.put_dead(message["Body"])
        self.aws.sqs.delete_message(QueueUrl=self.aws.queue_url,
                                    ReceiptHandle=message["ReceiptHandle"])
        return message["Body"]

    def copies(self):
        return [key for key in self.aws.keys(self.aws.result_bucket) if key.startswith("dlq/")]

    def depths(self):
        """Visible messages of job queue and dead-letter queue; none may be left hidden."""
        queue = self.aws.queue_depth()
        dead = self.aws.queue_depth(self.aws.dlq_url)
        assert queue[1] == dead[1] == 0
        return queue[0], dead[0]


def eventually(look, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError):
            found = look()
            if found:
                return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


@pytest.fixture
def deployment(ministack, tmp_path):
    made = Deployment(ministack, tmp_path)
    yield made
    made.stop()


def put_copy(deployment, job, chunk):
    """As ml-service/src/dead_letters.c writes them."""
    letter = {"message": {"v": 1, "tenant": "default", "kind": "chunk", "job": job, "chunk": chunk},
              "reason": f"reason {chunk}", "outcome": "booked",
              "sent_at": "2026-01-01T00:00:00.000Z", "given_up_at": "2026-01-01T01:00:00.000Z"}
    deployment.aws.s3.put_object(Bucket=deployment.aws.result_bucket,
                                 Key=f"dlq/default/{job}/{chunk}", Body=json.dumps(letter))


def listed(cli, *command):
    return [json.loads(line) for line in cli.good("dlq", *command, "--json").splitlines()]


def chunk_message(job, chunk, version=1):
    return json.dumps({"v": version, "tenant": "default", "kind": "chunk", "job": job,
                       "chunk": chunk})


def test_a_given_up_chunk_is_seen_redriven_and_done_again(deployment):
    client = deployment.start_backend()
    cli = deployment.cli
    job = client.job(s3_keys=[KEY, "gone.jpg"])
    body = deployment.give_up()
    # Still in the queue: to be seen, and to be seen again; then back to work.
    for _ in range(2):
        letter, = listed(cli, "ls")
        assert (letter["where"], letter["job_id"], letter["chunk"], letter["body"]) == \
            ("queue", job, 0, body)
    assert f"{job}: its message is in the job queue again" in cli.good("dlq", "redrive", job)
    assert deployment.depths() == (1, 0)
    # Given up once more, and now a worker books it as failed and keeps a copy.
    deployment.give_up()
    deployment.start_worker()
    eventually(deployment.copies)
    ended = client.wait(job)
    assert ended["progress"]["failed"] == 2
    letter, = listed(cli, "ls")
    assert (letter["where"], letter["job_id"], letter["chunk"], letter["outcome"]) == \
        ("copy", job, 0, "booked")
    assert listed(cli, "show", job, "0") == [letter]
    assert letter["reason"] in cli.good("dlq", "show", job)
    # Redriven: a retry of the job; the copy goes.
    answer, = listed(cli, "redrive", job, "0")
    assert (answer["action"], answer["job_id"], answer["copies_removed"]) == ("retried", job, 1)
    again = client.wait(answer["retry_job_id"])
    assert again["request"] == {"retry_of": job}
    assert (again["progress"]["succeeded"], again["progress"]["failed"]) == (1, 1)
    assert listed(cli, "ls") == [] and deployment.copies() == []


def test_redrive_of_a_job_that_cannot_be_retried_keeps_its_copies(deployment):
    client = deployment.start_backend()
    job = client.job(s3_keys=[KEY])  # no worker: it does not end
    put_copy(deployment, job, 3)
    said = deployment.cli.fails(2, "dlq", "redrive", job)
    assert job in said and "queued" in said
    assert deployment.copies() == [f"dlq/default/{job}/3"]


def test_redrive_all_goes_on_behind_what_is_refused(deployment):
    client = deployment.start_backend()
    deployment.start_worker()
    good = client.job(s3_keys=["gone.jpg"])
    client.wait(good)
    gone = ["a" * 26, "7" * 26]
    for job in (*gone, good):
        for chunk in (0, 10, 2):
            put_copy(deployment, job, chunk)
    done = deployment.cli.run("dlq", "redrive", "--all", "--json")
    assert done.returncode == 2
    answer, = [json.loads(line) for line in done.out.splitlines()]
    assert (answer["job_id"], answer["copies_removed"]) == (good, 3)
    for job in gone:
        assert f"classify: job {job}: " in done.err
    assert done.err.endswith("classify: 2 could not be redriven and are still there\n")
    assert len(deployment.copies()) == 6


def test_redrive_of_one_chunk_leaves_other_messages_where_they_are(deployment):
    for chunk in (0, 1):
        deployment.put_dead(chunk_message(ID, chunk))
    deployment.put_dead(chunk_message("b" * 26, 0))
    cli = deployment.cli
    assert [line["job_id"] for line in listed(cli, "redrive", ID, "1")] == [ID]
    assert deployment.depths() == (1, 2)
    assert "job %s, chunk 1" % ID in cli.fails(2, "dlq", "redrive", ID, "1")
    assert [line["job_id"] for line in listed(cli, "redrive", ID)] == [ID]
    assert deployment.depths() == (2, 1)


def test_messages_that_are_not_understood_are_shown_and_moved_as_they_are(deployment):
    bodies = ['{"v":2,"new":"é"}', "not ours \x7f", chunk_message(ID, 4)]
    for body in bodies:
        deployment.put_dead(body)
    cli = deployment.cli
    letters = listed(cli, "ls")
    assert sorted(letter["body"] for letter in letters) == sorted(bodies)
    newer, = [letter for letter in letters if letter["body"] == bodies[0]]
    assert newer["job_id"] is None and "newer than 1" in newer["reason"]
    table = cli.good("dlq", "ls")
    assert table.count("not understood: ") == 2 and "\x7f" not in table
    assert len(listed(cli, "redrive", "--all")) == 3
    assert deployment.depths() == (3, 0)
    moved = deployment.aws.sqs.receive_message(QueueUrl=deployment.aws.queue_url,
                                               MaxNumberOfMessages=10)["Messages"]
    assert sorted(message["Body"] for message in moved) == sorted(bodies)


def test_ls_reads_every_page_and_gives_every_message_back(deployment):
    for chunk in range(1005):
        deployment.aws.s3.put_object(Bucket=deployment.aws.result_bucket, Body=b"{}",
                                     Key=f"dlq/default/{ID}/{chunk}")
    deployment.aws.s3.put_object(Bucket=deployment.aws.result_bucket, Body=b"{}",
                                 Key="dlq/default/notes.txt")
    for chunk in range(25):
        deployment.put_dead(chunk_message("b" * 26, chunk))
    letters = listed(deployment.cli, "ls")
    found = {(letter["where"], letter["chunk"]) for letter in letters}
    assert found == {("copy", chunk) for chunk in range(1005)} | \
        {("queue", chunk) for chunk in range(25)}
    assert len(letters) == 1030 and deployment.depths() == (0, 25)


def test_a_copy_that_is_no_json_is_still_listed(deployment):
    deployment.aws.s3.put_object(Bucket=deployment.aws.result_bucket, Body=b"{",
                                 Key=f"dlq/default/{ID}/0")
    letter, = listed(deployment.cli, "ls")
    assert (letter["job_id"], letter["reason"]) == (ID, "")


def test_purge_counts_first_and_removes_when_told(deployment):
    put_copy(deployment, ID, 0)
    put_copy(deployment, "b" * 26, 0)
    deployment.put_dead("not ours")
    deployment.put_dead(chunk_message(ID, 1))
    cli = deployment.cli
    said = cli.fails(1, "dlq", "purge")
    assert "2 copies, and 2 messages" in said and "--yes" in said
    assert len(deployment.copies()) == 2 and deployment.depths() == (0, 2)
    assert cli.good("dlq", "purge", ID, "--yes") == "1 copies and 1 messages removed\n"
    assert deployment.copies() == [f"dlq/default/{'b' * 26}/0"]
    assert deployment.depths() == (0, 1)
    assert cli.good("dlq", "purge", "--yes") == "1 copies and 1 messages removed\n"
    assert deployment.copies() == [] and deployment.depths() == (0, 0)


def test_what_is_not_there_is_said(deployment):
    cli = deployment.cli
    assert listed(cli, "ls") == []
    assert f"no dead letter of job {ID}" in cli.fails(2, "dlq", "show", ID)
    assert f"job {ID}, chunk 7" in cli.fails(2, "dlq", "show", ID, "7")
    assert listed(cli, "redrive", "--all") == []


def test_a_bucket_that_is_not_there_is_refused(deployment):
    cli = deployment.cli
    cli.environment["RESULT_BUCKET"] = "no-such-bucket"
    assert "no-such-bucket" in cli.fails(2, "dlq", "ls")
    cli = deployment.cli
    cli.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
    assert "SignatureDoesNotMatch" in cli.fails(2, "dlq", "ls")
