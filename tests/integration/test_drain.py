# SPDX-License-Identifier: Apache-2.0
"""SIGTERM under load: work is given back, requests are answered, the exit is 0; and the protection
against being scaled in while there is work. Times are printed; what is asserted, in terminate(), is
ECS's ceiling."""
import threading
import time

import pytest
import requests

import agents
import faults
from deployment import Deployment, sample_photos
from fault_proxy import FaultProxy

WORKER = {"DECODERS": "1", "LANES": "1"}
PHOTO = "test/image.jpg"
WAIT_SECONDS = 50  # the most that Prefer may ask for


@pytest.fixture
def photos(aws):
    aws.put_images(sample_photos())
    return aws


def slow_images(proxy, seconds=0.2):
    proxy.add(faults.delay(seconds), operation="GetObject", path="/test/")


def test_a_worker_that_is_ended_gives_its_chunks_back_at_once(photos, ministack, tmp_path):
    with FaultProxy(ministack, "s3") as proxy, \
            Deployment(photos, tmp_path, workers=2, variables=photos.via(s3=proxy), backend={"CHUNK_IMAGES": "50"},
                       worker=WORKER) as deployment:
        slow_images(proxy)
        first, second = deployment.workers
        second.freeze()  # so that the first has it all
        client = deployment.client
        job = client.job(s3_keys=[PHOTO] * 1000, top_k=1)
        proxy.wait_for("GetObject", 40)
        seconds, status = first.terminate()
        visible, in_flight, _ = photos.queue_depth()
        print(f"the worker ended after {seconds:.2f} s; {visible} chunks visible, {in_flight} in flight")
        assert status == 0, first.log()
        # The frozen one's long poll may hold what was delivered to it.
        assert visible > 0 and in_flight <= 10, (visible, in_flight)
        proxy.clear()
        second.thaw()
        done = client.wait(job)
        assert done["progress"] == {"total": 1000, "succeeded": 1000, "failed": 0, "skipped": 0, "pending": 0}
        assert [row["index"] for row in client.rows(job)] == list(range(1000))


def drain_again_and_again(photos, tmp_path, drains, jobs):
    times = []
    with Deployment(photos, tmp_path, workers=2, backend={"CHUNK_IMAGES": "20"}, worker=WORKER) as deployment:
        client = deployment.client
        submitted = [client.job(s3_keys=[PHOTO] * 400, top_k=1) for _ in range(jobs)]
        for number in range(drains):
            worker = deployment.workers[number % 2]
            worker.wait_for_log('"event":"chunk_done"')
            seconds, status = worker.terminate()
            assert status == 0, worker.log()
            times.append(seconds)
            worker.start()
        print(f"{drains} drains under load: median {sorted(times)[drains // 2]:.2f} s, longest {max(times):.2f} s")
        for job in submitted:
            assert client.wait(job)["progress"]["succeeded"] == 400
            assert len(client.rows(job)) == 400


def test_a_chunk_may_be_drained_more_often_than_it_may_be_received(photos, ministack, tmp_path):
    with FaultProxy(ministack, "s3") as proxy, \
            Deployment(photos, tmp_path, variables=photos.via(s3=proxy), backend={"CHUNK_IMAGES": "50"},
                       worker=WORKER) as deployment:
        client = deployment.client
        (worker,) = deployment.workers
        slow_images(proxy, 0.5)
        proxy.forget()
        job = client.job(s3_keys=[PHOTO] * 50, top_k=1)  # one chunk
        for number in range(12):
            proxy.wait_for("GetObject", 1)
            _, status = worker.terminate()
            assert status == 0, worker.log()
            assert '"event":"chunk_done"' not in worker.log(), "too fast to be drained in the middle"
            proxy.forget()
            if number == 11:
                proxy.clear()
            worker.start()
        done = client.wait(job)
        assert done["progress"] == {"total": 50, "succeeded": 50, "failed": 0, "skipped": 0, "pending": 0}
        wait = time.monotonic() + 30
        while sum(photos.queue_depth()) + sum(photos.queue_depth(photos.dlq_url)) > 0:
            assert time.monotonic() < wait, "nothing is left of it"
            time.sleep(0.05)


def test_drains_in_a_row_lose_nothing(photos, tmp_path):
    drain_again_and_again(photos, tmp_path, drains=4, jobs=4)


@pytest.mark.deep
def test_forty_drains_in_a_row_lose_nothing(photos, tmp_path):
    drain_again_and_again(photos, tmp_path, drains=40, jobs=40)


class Visitor(threading.Thread):
    """A load balancer's connection: one request after another, until the target is deregistered."""

    def __init__(self, url, path, stop, **headers):
        super().__init__(daemon=True)
        self.url, self.path, self.stop, self.headers = url, path, stop, headers
        self.answers = []
        self.failures = []

    def run(self):
        with requests.Session() as session:
            while not self.stop.is_set():
                try:
                    answer = session.get(self.url + self.path, headers=self.headers, timeout=60)
                    self.answers.append((answer.status_code, answer.elapsed.total_seconds()))
                except requests.ConnectionError as problem:
                    self.failures.append(problem)
                    return


def test_no_request_fails_when_a_backend_is_ended(photos, tmp_path):
    with Deployment(photos, tmp_path, workers=0) as deployment:
        backend = deployment.backends[0]
        job = deployment.client.job(s3_keys=[PHOTO])
        stop = threading.Event()
        visitors = [Visitor(backend.url, path, stop) for path in ("/healthz", f"/status/{job}", "/jobs", "/version") * 2]
        waiting = [Visitor(backend.url, f"/status/{job}", stop, Prefer=f"wait={WAIT_SECONDS}") for _ in range(5)]
        for visitor in visitors + waiting:
            visitor.start()
        while min(len(visitor.answers) for visitor in visitors) < 5:
            time.sleep(0.01)
        time.sleep(0.5)  # so that those that wait do
        stop.set()
        seconds, status = backend.terminate()
        for visitor in visitors + waiting:
            visitor.join(60)
        answers = [answer for visitor in visitors + waiting for answer in visitor.answers]
        print(f"the backend ended after {seconds:.2f} s; {len(answers)} requests answered")
        assert status == 0
        assert not [failure for visitor in visitors + waiting for failure in visitor.failures]
        assert {code for code, _ in answers} <= {200, 503}
        assert all(visitor.answers and visitor.answers[0][0] == 200 for visitor in waiting)
        assert all(took < WAIT_SECONDS for _, took in answers), "a wait was sat out"


# Task protection.


def protected_run(aws, tmp_path, agent_variables):
    """A job with the agent as it is; the worker's log."""
    with Deployment(aws, tmp_path, worker={**WORKER, **agent_variables}) as deployment:
        client = deployment.client
        assert client.wait(client.job(s3_keys=[PHOTO] * 300, top_k=1))["status"] == "succeeded"
        time.sleep(1.5)  # a look or two of the thread that protects
        _, status = deployment.workers[0].terminate()
        assert status == 0
        return deployment.workers[0].log()


def test_a_busy_worker_is_protected_and_an_idle_one_is_not(photos, ministack, tmp_path):
    with agents.EcsAgent() as agent, FaultProxy(ministack, "s3") as proxy, \
            Deployment(photos, tmp_path, variables=photos.via(s3=proxy), worker={**WORKER, **agent.variables}) as deployment:
        slow_images(proxy)
        client = deployment.client
        job = client.job(s3_keys=[PHOTO] * 300, top_k=1)
        agent.wait_for(1, "task-protection")
        assert client.status(job)["status"] in ("queued", "running")
        client.wait(job)
        agent.wait_for(2, "task-protection")
        assert [enabled for enabled, _ in agent.states] == [True, False]
        assert agent.states[0][1] == 60 and not agent.protected
        proxy.forget()
        again = client.job(s3_keys=[PHOTO] * 1000, top_k=1)
        agent.wait_for(3, "task-protection")
        deployment.workers[0].terminate()
        assert [enabled for enabled, _ in agent.states] == [True, False, True, False], "let go when it ends"
        client.post(f"/cancel/{again}")


@pytest.mark.parametrize("how", ["absent", "hanging", *(pytest.param(word, marks=pytest.mark.deep) for word in (
    "refusing", "failing within a 200", "not JSON"))])
def test_an_agent_that_does_not_help_never_fails_the_worker(photos, tmp_path, how):
    with agents.EcsAgent() as agent:
        if how == "absent":
            agent.end()
        elif how == "refusing":
            agent.misbehave(agents.error(500), times=None)
        elif how == "failing within a 200":
            agent.failure = "DEPLOYMENT_BLOCKED"
        elif how == "hanging":
            agent.misbehave(agents.slow(30), times=None)
        else:
            agent.misbehave(agents.body(b"<html>"), times=None)
        log = protected_run(photos, tmp_path, agent.variables)
        if how in ("absent", "refusing", "hanging"):
            assert log.count('"event":"task_protection_failed"') <= 2, "told once, not each second"
