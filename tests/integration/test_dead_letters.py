# SPDX-License-Identifier: Apache-2.0
"""Messages that nobody can finish, that are not ours, or that come too late."""
import json
import time

import pytest

import aws_env
import faults
from deployment import PATIENCE_SECONDS, Deployment, sample_photos
from fault_proxy import FaultProxy

WORKER = {"DECODERS": "1", "LANES": "1", "VISIBILITY_S": "3"}
UNKNOWN = "a" * 26
NOT_OURS = ("hello", "{}", "[]", '{"v":2,"tenant":"default","kind":"chunk","job":"%s","chunk":0}' % UNKNOWN,
            '{"v":1,"tenant":"default","kind":"dance","job":"%s"}' % UNKNOWN)
PHOTO = "test/image.jpg"


def chunk_message(job, chunk=0):
    return json.dumps({"v": 1, "tenant": "default", "kind": "chunk", "job": job, "chunk": chunk})


def plan_message(job):
    return json.dumps({"v": 1, "tenant": "default", "kind": "plan", "job": job, "chunk": 0})


def wait_until(condition, seconds=PATIENCE_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.05)


@pytest.fixture
def aws(ministack):
    """With photos; a message is received three times at most."""
    made = aws_env.create({"s3": ministack, "sqs": ministack, "dynamodb": ministack},
                          visibility_seconds=3, max_receive_count=3)
    made.put_images(sample_photos())
    return made


def copies(aws):
    return {key: json.loads(aws.s3.get_object(Bucket=aws.result_bucket, Key=key)["Body"].read())
            for key in aws.keys(aws.result_bucket) if key.startswith("dlq/")}


def test_a_chunk_that_ends_every_worker_becomes_error_rows(aws, ministack, tmp_path):
    deaths = []
    with FaultProxy(ministack, "s3") as proxy:
        with Deployment(aws, tmp_path, variables=aws.via(s3=proxy), worker=WORKER) as deployment:
            (worker,) = deployment.workers
            client = deployment.client

            async def end_worker(exchange):
                deaths.append(worker.starts)
                worker.process.kill()
                exchange.reset()

            proxy.add(end_worker, operation="GetObject", path="/poison.jpg$")
            good = client.job(s3_keys=[PHOTO] * 3)
            assert client.wait(good)["status"] == "succeeded"
            job = client.job(s3_keys=[PHOTO, "poison.jpg", PHOTO])
            deadline = time.monotonic() + PATIENCE_SECONDS
            while client.status(job)["status"] not in ("completed_with_failures", "succeeded"):
                assert time.monotonic() < deadline
                if not worker.is_running:
                    worker.start()
                time.sleep(0.05)
            rows = client.rows(job)
            done = client.status(job)
            assert done["status"] == "completed_with_failures"
            assert done["progress"] == {"total": 3, "succeeded": 0, "failed": 3, "skipped": 0, "pending": 0}
            assert [(row["s3_key"], row["error"]["code"]) for row in rows] == [
                (PHOTO, "POISON"), ("poison.jpg", "POISON"), (PHOTO, "POISON")]
            assert "never finished" in rows[0]["error"]["message"]
            wait_until(lambda: copies(aws))
            ((key, copy),) = copies(aws).items()
            assert key == f"dlq/default/{job}/0"
            assert copy["message"]["job"] == job and copy["outcome"] == "booked" and "never finished" in copy["reason"]
            wait_until(lambda: sum(aws.queue_depth()) + sum(aws.queue_depth(aws.dlq_url)) == 0)
            assert 2 <= len(set(deaths)) <= 3, "a dead worker's long poll may have had the message once"
            assert client.status(good)["progress"]["succeeded"] == 3


def test_what_is_not_ours_ends_in_the_dead_letter_queue_and_stays(aws, tmp_path):
    for body in NOT_OURS:
        aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody=body)
    with Deployment(aws, tmp_path, worker=WORKER) as deployment:
        wait_until(lambda: aws.queue_depth() == (0, 0, 0) and sum(aws.queue_depth(aws.dlq_url)) == len(NOT_OURS))
        (worker,) = deployment.workers
        wait_until(lambda: worker.log().count('"event":"message_not_ours"') == 2 * len(NOT_OURS))
        text = worker.log()
        assert '"field":"v"' in text and '"field":"kind"' in text  # which member is wrong
        client = deployment.client
        assert client.wait(client.job(s3_keys=[PHOTO]))["status"] == "succeeded"
        assert worker.log().count('"event":"message_not_ours"') == 2 * len(NOT_OURS), "each once in each queue"
    found = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found != set(NOT_OURS):
        assert time.monotonic() < deadline, found
        answer = aws.sqs.receive_message(QueueUrl=aws.dlq_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        found |= {message["Body"] for message in answer.get("Messages", [])}


@pytest.mark.parametrize("place", ["queue_url", "dlq_url"])
def test_messages_of_unknown_and_ended_jobs_are_removed(aws, tmp_path, place):
    url = getattr(aws, place)
    with Deployment(aws, tmp_path, worker=WORKER) as deployment:
        client = deployment.client
        job = client.job(s3_keys=[PHOTO, "missing.jpg"])
        before = client.wait(job)
        for body in (chunk_message(UNKNOWN), chunk_message(job), chunk_message(job, 7), chunk_message(job, 131071),
                     plan_message(job), plan_message(UNKNOWN)):
            aws.sqs.send_message(QueueUrl=url, MessageBody=body)
        wait_until(lambda: sum(aws.queue_depth()) + sum(aws.queue_depth(aws.dlq_url)) == 0)
        assert client.status(job) == before
        assert len(client.rows(job)) == 2 and not copies(aws)


def test_a_dead_plan_message_ends_its_job(aws, tmp_path):
    """Its planners died, or could not even note that they gave up."""
    with Deployment(aws, tmp_path, workers=0) as deployment:
        job = deployment.client.job(s3_prefix="samples/")
        aws.sqs.purge_queue(QueueUrl=aws.queue_url)
        aws.sqs.send_message(QueueUrl=aws.dlq_url, MessageBody=plan_message(job))
        with Deployment(aws, tmp_path / "worker", backends=0, worker=WORKER):
            done = deployment.client.wait(job)
            assert done["status"] == "failed" and "plan was received 10 times" in json.dumps(done)
            wait_until(lambda: sum(aws.queue_depth()) + sum(aws.queue_depth(aws.dlq_url)) == 0)
            assert list(copies(aws)) == [f"dlq/default/{job}/plan"]


def test_a_dead_chunk_waits_until_its_rows_can_be_booked(aws, ministack, tmp_path):
    with FaultProxy(ministack, "dynamodb") as table, Deployment(aws, tmp_path, workers=0) as deployment:
        client = deployment.client
        job = client.job(s3_keys=[PHOTO, PHOTO])
        aws.sqs.purge_queue(QueueUrl=aws.queue_url)
        aws.sqs.send_message(QueueUrl=aws.dlq_url, MessageBody=chunk_message(job))
        away = table.add(faults.internal_error())
        with Deployment(aws, tmp_path / "worker", backends=0, variables=aws.via(dynamodb=table), worker=WORKER) as late:
            late.workers[0].wait_for_log('"event":"dead_letter_failed"')
            assert sum(aws.queue_depth(aws.dlq_url)) == 1
            table.remove(away)
            assert client.wait(job)["progress"]["failed"] == 2
            wait_until(lambda: sum(aws.queue_depth(aws.dlq_url)) == 0 and copies(aws))
