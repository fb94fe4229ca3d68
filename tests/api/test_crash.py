# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: every accepted job ends, with every image accounted for exactly once."""
import os
import random
import threading

import pytest
import requests
from conftest import Client, Service

pytestmark = pytest.mark.local


def submit_for_a_while(url, accepted, generator, stop):
    """Submits until the service dies; only what was answered 202 counts."""
    client = Client(url)
    while not stop.is_set():
        count = generator.choice([1, 1, 2, 7, 30])
        keys = [generator.choice(["test/image.jpg", "samples/cat.png", "missing.jpg"]) for _ in range(count)]
        try:
            answer = client.submit(s3_keys=keys, top_k=1)
        except requests.RequestException:
            return
        if answer.status_code == 202:
            accepted[answer.json()["job_id"]] = keys
        stop.wait(generator.uniform(0, 0.05))


def check(client, accepted):
    for job, keys in accepted.items():
        done = client.wait(job, seconds=300)
        rows = client.rows(job)
        assert [row["s3_key"] for row in rows] == keys, job
        assert [row["index"] for row in rows] == list(range(len(keys))), job
        failed = sum("error" in row for row in rows)
        assert done["progress"] == {"total": len(keys), "succeeded": len(keys) - failed, "failed": failed,
                                    "skipped": 0, "pending": 0}, job
        for row in rows:
            assert ("error" in row) == (row["s3_key"] == "missing.jpg") or row["error"]["code"] == "POISON", row


def kill_again_and_again(tmp_path, kills, seed):
    generator = random.Random(seed)
    service = Service(tmp_path, CHUNK_IMAGES="5")
    accepted = {}
    for _ in range(kills):
        service.start()
        stop = threading.Event()
        thread = threading.Thread(target=submit_for_a_while, args=(service.url, accepted, generator, stop))
        thread.start()
        stop.wait(generator.uniform(0.0, 0.5))
        service.kill()
        stop.set()
        thread.join()
    service.start()
    try:
        assert len(accepted) >= kills / 2
        check(Client(service.url), accepted)
    finally:
        service.stop()


def test_ten_kills_lose_nothing(tmp_path):
    kill_again_and_again(tmp_path, 10, seed=1)


@pytest.mark.deep
def test_fifty_kills_lose_nothing(tmp_path):
    seed = int(os.environ.get("DIC_DEEP_SEED", "2"))
    print(f"seed {seed}")
    kill_again_and_again(tmp_path, 50, seed=seed)


def test_sigterm_gives_unfinished_work_back_and_the_next_start_ends_it(tmp_path):
    service = Service(tmp_path).start()
    job = Client(service.url).job(s3_keys=["test/image.jpg"] * 300, top_k=1)
    assert service.stop() == 0
    client = Client(service.start().url)
    assert client.wait(job)["status"] == "succeeded"
    assert len(client.rows(job)) == 300
    service.stop()
