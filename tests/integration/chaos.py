#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything goes wrong at once, and every image is accounted for exactly once.

    chaos.py [--seed N] [--minutes N | --seconds N] [--jobs N] [--images N]

Two backends and three workers on an emulator of S3, SQS and DynamoDB, a fault proxy before each;
processes are killed (kill -9), frozen past the visibility timeout and asked to end, services answer
with errors, lose replies, deliver messages twice and late. Then the faults stop, and each job must
have ended as it should: see Verdict. What is done depends on the seed alone; when it meets whom
depends on the machine too. The programs are those of DIC_BIN_DIR."""
import argparse
import collections
import contextlib
import io
import json
import pathlib
import random
import sys
import tempfile
import threading
import time

import requests
from PIL import Image

import aws_env
import faults
from deployment import TERMINAL, ApiClient, Deployment
from emulators import Emulators
from fault_proxy import FaultProxy

VISIBILITY_SECONDS = 5
CHUNK_IMAGES = 10
SETTLE_SECONDS = 600  # from the last fault until every job has ended
OBJECTS = 500
PICTURES = 60  # different ones among them
RATES = {"s3": 0.03, "sqs": 0.06, "dynamodb": 0.06}  # of the requests, while faults last
BROWNOUT_RATE = 0.5
COMMON = (faults.internal_error, faults.unavailable, faults.throttle, faults.reset, faults.lose_reply,
          faults.close_silently, lambda: faults.cut_body(after=10),
          lambda: faults.delay(0.5), lambda: faults.slow_reply(0.05, 64))
FOREIGN = ("hello", '{"v":2,"tenant":"default","kind":"chunk","job":"abcdefghijklmnopqrstuvwxyz","chunk":1}',
           '{"v":1,"tenant":"default","kind":"dance","job":"abcdefghijklmnopqrstuvwxyz"}')
UNKNOWN_JOB = '{"v":1,"tenant":"default","kind":"chunk","job":"aaaaaaaaaaaaaaaaaaaaaaaaaa","chunk":0}'


# The bucket.


def object_key(number):
    return f"set/{number:04}.png"


def fill_bucket(aws):
    """OBJECTS small pictures; every 50th is none."""
    pictures = []
    for number in range(PICTURES):
        picture = Image.new("RGB", (24, 24), ((number * 37) % 256, (number * 91) % 256, (number * 53) % 256))
        picture.putpixel((number % 24, number % 19), (255, 0, 255))
        packed = io.BytesIO()
        picture.save(packed, "PNG")
        pictures.append(packed.getvalue())
    aws.put_images({object_key(i): b"no picture" if i % 50 == 49 else pictures[i % PICTURES]
                    for i in range(OBJECTS)})


# The jobs.


class Job:
    """What is asked for, and what must come of it."""

    def __init__(self, number, members, keys, ends=("succeeded", "completed_with_failures"), cancel_after=None,
                 retry=False):
        self.number = number
        self.members = members
        self.keys = keys  # in the order of the rows; None: a job without rows
        self.ends = ends
        self.cancel_after = cancel_after
        self.retry = retry
        self.idempotency_key = f"chaos-{number}"
        self.id = None
        self.child = None


def make_jobs(aws, count, most_images, rng):
    return [make_job(aws, number, most_images, rng) for number in range(count)]


def some_keys(images, rng):
    return ["missing.png" if rng.random() < 0.02 else object_key(rng.randrange(OBJECTS)) for _ in range(images)]


def make_job(aws, number, most_images, rng):
    images = max(1, int(most_images * rng.random() ** 2)) if number else most_images
    kind = rng.choices(("keys", "prefix", "manifest", "cancelled", "deadline", "max_failures", "bad_manifest", "retried"),
                       (30, 20, 20, 8, 6, 6, 4, 6))[0]
    options = {"top_k": 1}
    if kind == "prefix":
        digits = 4 if images <= 3 else 3 if images <= 30 else 2 if images <= 250 else 1  # 1, 10, 100, all
        prefix = object_key(rng.randrange(OBJECTS))[:len("set/") + digits]
        keys = [key for key in map(object_key, range(OBJECTS)) if key.startswith(prefix)]
        return Job(number, {**options, "s3_prefix": prefix}, keys)
    keys = some_keys(images, rng)
    if kind in ("manifest", "bad_manifest"):
        lines = [json.dumps(key) for key in keys]
        if kind == "bad_manifest":
            lines.insert(rng.randrange(len(lines) + 1), '{"s3_key":')
        name = f"lists/{number}.jsonl"
        aws.s3.put_object(Bucket=aws.image_bucket, Key=name, Body="\n".join(lines).encode())
        return Job(number, {**options, "manifest_s3_key": name}, keys,
                   ends=("failed",) if kind == "bad_manifest" else ("succeeded", "completed_with_failures"))
    if kind == "cancelled":
        return Job(number, {**options, "s3_keys": keys}, keys, cancel_after=rng.uniform(0, 3),
                   ends=("succeeded", "completed_with_failures", "cancelled"))
    if kind == "deadline":
        return Job(number, {**options, "s3_keys": keys, "deadline_seconds": rng.randrange(1, 6)}, keys,
                   ends=("succeeded", "completed_with_failures", "expired"))
    if kind == "max_failures":
        keys += ["missing.png"] * 3
        return Job(number, {**options, "s3_keys": keys, "max_failures": 2}, keys, ends=("failed", "completed_with_failures"))
    if kind == "retried":
        return Job(number, {**options, "s3_keys": keys + ["missing.png"]}, keys + ["missing.png"], retry=True)
    return Job(number, {**options, "s3_keys": keys}, keys)


class Submitter(threading.Thread):
    """A client that tries again, under the same idempotency key, until it has an answer."""

    def __init__(self, urls, jobs, seconds, rng):
        super().__init__(daemon=True)
        self.urls = urls
        self.jobs = jobs
        self.pause = seconds / max(1, len(jobs))
        self.rng = rng
        self.failure = None
        self.tries = 0
        self.ended = {}  # job id: the status first seen with a terminal state

    def ask(self, method, path, good, **arguments):
        """Until the answer is one of good; what the services' faults do to a request is no answer."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            self.tries += 1
            try:
                answer = requests.request(method, self.rng.choice(self.urls) + path, timeout=30, **arguments)
            except requests.RequestException:
                time.sleep(0.2)
                continue
            if answer.status_code in good:
                return answer
            assert answer.status_code in (500, 502, 503, 504), f"{method} {path}: {answer.status_code} {answer.text}"
            time.sleep(0.2)
        raise AssertionError(f"{method} {path} had no answer in {SETTLE_SECONDS} s")

    def run(self):
        try:
            for job in self.jobs:
                self.submit(job)
                time.sleep(self.pause * self.rng.uniform(0.2, 1.2))
        except BaseException as problem:  # pylint: disable=broad-except
            self.failure = problem

    def submit(self, job):
        body = {"job_type": "image_classification", **job.members}
        headers = {"Idempotency-Key": job.idempotency_key}
        job.id = self.ask("POST", "/submit", (202,), json=body, headers=headers).json()["job_id"]
        if self.rng.random() < 0.3:  # a client that forgot that it had its answer
            again = self.ask("POST", "/submit", (202,), json=body, headers=headers).json()["job_id"]
            assert again == job.id, f"{job.idempotency_key} names {job.id} and {again}"
        if job.cancel_after is not None:
            time.sleep(job.cancel_after)
            if self.ask("POST", f"/cancel/{job.id}", (200, 409)).status_code == 200:
                job.ends = ("cancelled",)
        status = self.ask("GET", f"/status/{job.id}", (200,)).json()
        if status["status"] in TERMINAL:
            self.ended[job.id] = status


# What goes wrong.


class Weather:
    """The faults of one service: by the seed, so many of its requests; never an image's twice in a
    row, or rows would be FETCH_FAILED, which is right and tells nothing."""

    def __init__(self, proxy, seed):
        self.proxy = proxy
        self.rng = random.Random(f"{seed}/{proxy.service}")
        self.rate = RATES[proxy.service]
        self.last_hit = set()
        self.makers = list(COMMON)
        if proxy.service == "s3":
            self.makers.append(lambda: faults.slow_reply(0.02, 200))
        else:
            self.makers += [faults.forward_twice, faults.malformed, faults.truncated]
        self.duplicates = faults.duplicate_messages(0.5, seed)
        self.late = faults.late_messages(2, seed)
        self.chosen = None

    def strikes(self, request):
        """Rule.when: whether this request is hit."""
        if request.method == "GET" and "/set/" in request.target:
            if request.target in self.last_hit:
                self.last_hit.discard(request.target)
                return False
        if self.rng.random() >= self.rate:
            return False
        if request.method == "GET" and "/set/" in request.target:
            self.last_hit.add(request.target)
        return True

    async def fault(self, exchange):
        operation = exchange.record.operation
        make = self.rng.choice(self.makers)
        applied = make()
        if operation == "ReceiveMessage" and self.rng.random() < 0.7:
            applied = self.rng.choice((self.duplicates, self.late))
        elif operation.endswith("MessageBatch") and self.rng.random() < 0.5:
            applied = faults.fail_entries(1, performed=self.rng.random() < 0.5)
        exchange.record.fault = applied.__name__.partition("(")[0]
        await applied(exchange)

    def begin(self):
        self.proxy.add(self.fault, when=self.strikes, name="weather")


class Nemesis:
    """What happens to processes and connections. Runs in the main thread, which starts programs."""

    def __init__(self, deployment, weathers, seed):
        self.deployment = deployment
        self.weathers = weathers
        self.rng = random.Random(f"{seed}/nemesis")
        self.counts = collections.Counter()
        self.drain_seconds = []
        self.later = []  # (when, what)

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            wait = self.rng.uniform(0.5, 2.5)
            until = min(end, time.monotonic() + wait)
            while time.monotonic() < until:
                self.do_due()
                time.sleep(0.05)
            self.strike()
        self.calm()

    def do_due(self, everything=False):
        due = [entry for entry in self.later if everything or entry[0] <= time.monotonic()]
        self.later = [entry for entry in self.later if entry not in due]
        for _, act in due:
            act()

    def after(self, seconds, act):
        self.later.append((time.monotonic() + seconds, act))

    def strike(self):
        event = self.rng.choices(
            ("kill -9 worker", "kill -9 backend", "freeze worker", "drain worker", "brownout", "disconnect", "refuse"),
            (6, 3, 3, 2, 2, 2, 1))[0]
        worker = self.rng.choice([w for w in self.deployment.workers if w.is_running] or [None])
        backend = self.rng.choice(self.deployment.backends)
        weather = self.rng.choice(self.weathers)
        if event.endswith("worker") and (worker is None or worker.frozen):
            return
        if event == "kill -9 backend" and not backend.is_running:
            return
        self.counts[event] += 1
        if event == "kill -9 worker":
            self.kill(worker)
        elif event == "kill -9 backend":
            self.kill(backend)
        elif event == "freeze worker":
            worker.frozen = True
            worker.freeze()
            self.after(VISIBILITY_SECONDS + self.rng.uniform(1, 4), lambda: self.thaw(worker))
        elif event == "drain worker":
            self.drain(worker)
        elif event == "brownout":
            weather.rate = BROWNOUT_RATE
            self.after(self.rng.uniform(1, 3), lambda: setattr(weather, "rate", RATES[weather.proxy.service]))
        elif event == "disconnect":
            weather.proxy.disconnect()
        else:
            weather.proxy.refuse()
            self.after(self.rng.uniform(0.3, 2), weather.proxy.accept)

    def kill(self, program):
        program.kill()
        self.after(self.rng.choice((0, 0, 1, 3)), lambda: None if program.is_running else program.launch())

    @staticmethod
    def thaw(worker):
        worker.frozen = False
        worker.thaw()

    def drain(self, worker):
        if '"event":"ready"' not in worker.log():
            self.counts["drain worker"] -= 1
            return
        seconds, status = worker.terminate()
        assert status == 0, f"{worker.label} ended with {status} after SIGTERM:\n{worker.log()[-4000:]}"
        self.drain_seconds.append(seconds)
        worker.launch()

    def calm(self):
        """No more faults; everybody is there again."""
        self.do_due(everything=True)
        for weather in self.weathers:
            weather.proxy.clear()
        for program in self.deployment.programs:
            if not program.is_running:
                program.launch()
        for program in self.deployment.programs:
            program.wait_ready()


# The judgement.


def without_index(row):
    return {name: value for name, value in row.items() if name != "index"}


class Verdict:
    """Compares every job with what a quiet run says of its images."""

    def __init__(self, client, quiet, aws):
        self.client = client
        self.quiet = quiet  # key: row, without its index
        self.aws = aws
        self.states = collections.Counter()
        self.images = 0
        self.rows = 0
        self.problems = []  # broken promises, one a job
        self.excused = []  # (job, row): FETCH_FAILED or POISON, which a retry must heal

    @contextlib.contextmanager
    def noting(self):
        """A broken promise shall not hide the next job's."""
        try:
            yield
        except AssertionError as problem:
            self.problems.append(str(problem)[:2000])

    def check(self, job, keys, status):
        progress = status["progress"]
        assert status["status"] in job.ends, (job.members, job.ends, status)
        self.states[status["status"]] += 1
        assert progress["pending"] == 0, status
        assert progress["succeeded"] + progress["failed"] + progress["skipped"] == progress["total"], status
        rows = self.client.rows(job.id)
        self.rows += len(rows)
        self.images += progress["total"]
        assert len(rows) == progress["succeeded"] + progress["failed"], (status, len(rows))
        assert sum("error" in row for row in rows) == progress["failed"], status
        indexes = [row["index"] for row in rows]
        assert indexes == sorted(set(indexes)), f"{job.id}: rows twice or out of order: {indexes}"
        for row in rows:
            assert row["s3_key"] == keys[row["index"]], (job.id, row)
            self.check_row(job, row)
        if status["status"] in ("succeeded", "completed_with_failures"):
            assert progress["skipped"] == 0 and progress["total"] == len(keys), (job.members, status)
            assert indexes == list(range(len(keys))), (job.id, indexes)
            assert (status["status"] == "succeeded") == (progress["failed"] == 0), status
        elif "s3_keys" in job.members:
            assert progress["total"] == len(keys), status

    def check_row(self, job, row):
        if row.get("error", {}).get("code") in ("FETCH_FAILED", "POISON"):
            self.excused.append((job, row))
            return
        assert without_index(row) == self.quiet[row["s3_key"]], (job.id, row, self.quiet[row["s3_key"]])

    def check_excused(self):
        """A POISON row has its copy in dlq/, or was received too often; others have a retry."""
        copies = {key for key in self.aws.keys(self.aws.result_bucket) if key.startswith("dlq/")}
        for job, row in self.excused:
            if row["error"]["code"] == "POISON":
                assert any(f"/{job.id}/" in key for key in copies), (job.id, row, copies)

    def check_retry(self, job):
        answer = self.client.post(f"/retry/{job.id}")
        assert answer.status_code == 202, answer.text
        child = answer.json()["job_id"]
        failed = [row["s3_key"] for row in self.client.rows(job.id) if "error" in row]
        done = self.client.wait(child)
        rows = self.client.rows(child)
        assert done["request"]["retry_of"] == job.id
        assert [row["s3_key"] for row in rows] == failed, (job.id, child)
        for row in rows:
            assert without_index(row) == self.quiet[row["s3_key"]], row


def booked_twice(deployment):
    """Chunks that workers say to have booked more than once."""
    seen = collections.Counter()
    for worker in deployment.workers:
        for line in worker.log(whole=True).splitlines():
            if '"event":"chunk_done"' in line:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # a kill cut it
                seen[entry["job_id"], entry["chunk"]] += 1
    return {chunk: times for chunk, times in seen.items() if times > 1}


def count_events(deployment, event):
    return sum(program.log(whole=True).count(f'"event":"{event}"') for program in deployment.programs)


def wait_until_drained(aws, seconds=SETTLE_SECONDS):
    """The queue is empty, but for what was never ours, which ends in the dead-letter queue."""
    deadline = time.monotonic() + seconds
    while True:
        depth, dead = sum(aws.queue_depth()), sum(aws.queue_depth(aws.dlq_url))
        if depth == 0 and dead == len(FOREIGN):
            return
        assert time.monotonic() < deadline, f"{depth} messages in the queue, {dead} of {len(FOREIGN)} in the DLQ"
        time.sleep(0.5)


def dead_bodies(aws):
    """Read by a client that has them all to itself, as the workers have ended."""
    found = set()
    deadline = time.monotonic() + SETTLE_SECONDS
    while len(found) < len(FOREIGN) and time.monotonic() < deadline:
        answer = aws.sqs.receive_message(QueueUrl=aws.dlq_url, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        found |= {message["Body"] for message in answer.get("Messages", [])}
    return found


# The whole.


def send_foreign(aws):
    """Messages that are not ours, received so often already that the workers soon see the last of them."""
    for body in (*FOREIGN, UNKNOWN_JOB):
        aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody=body)
    for _ in range(aws_env.MAX_RECEIVE_COUNT - 2):
        receipts = {}
        while len(receipts) < len(FOREIGN) + 1:
            for message in aws.sqs.receive_message(QueueUrl=aws.queue_url, MaxNumberOfMessages=10,
                                                   VisibilityTimeout=60).get("Messages", []):
                receipts[message["MessageId"]] = message["ReceiptHandle"]
        for receipt in receipts.values():
            aws.sqs.change_message_visibility(QueueUrl=aws.queue_url, ReceiptHandle=receipt, VisibilityTimeout=0)


def quiet_rows(aws, folder):
    """Every key's row in a run without faults, of one worker and one backend."""
    # The short visibility: a server may deliver to the last long poll though its client has left.
    with Deployment(aws, folder, worker={"VISIBILITY_S": str(VISIBILITY_SECONDS), "DECODERS": "1",
                                         "LANES": "1"}) as calm:
        keys = [object_key(i) for i in range(OBJECTS)] + ["missing.png"]
        job = calm.client.job(s3_keys=keys, top_k=1)
        calm.client.wait(job, SETTLE_SECONDS)
        return {row["s3_key"]: without_index(row) for row in calm.client.rows(job)}


def run(ministack, folder, seed, seconds, job_count, most_images):
    """The report, as text; an AssertionError if a promise was broken."""
    rng = random.Random(f"{seed}/jobs")
    folder = pathlib.Path(folder)
    servers = {"s3": ministack, "sqs": ministack, "dynamodb": ministack}
    aws = aws_env.create(servers, visibility_seconds=VISIBILITY_SECONDS)
    fill_bucket(aws)
    quiet = quiet_rows(aws, folder / "quiet")
    jobs = make_jobs(aws, job_count, most_images, rng)
    send_foreign(aws)
    with FaultProxy(ministack, "s3", seed) as s3, FaultProxy(ministack, "sqs", seed) as sqs, \
            FaultProxy(ministack, "dynamodb", seed) as dynamodb:
        proxies = (s3, sqs, dynamodb)
        common = {**aws.via(s3=s3, sqs=sqs, dynamodb=dynamodb), "CHUNK_IMAGES": str(CHUNK_IMAGES)}
        with Deployment(aws, folder, backends=2, workers=3, variables=common,
                        backend={"SWEEP_INTERVAL_MS": "1000", "REPAIR_AFTER_MS": "5000"},
                        worker={"VISIBILITY_S": str(VISIBILITY_SECONDS), "DECODERS": "1", "LANES": "1"}) as deployment:
            for worker in deployment.workers:
                worker.frozen = False
            return _run(aws, deployment, proxies, quiet, jobs, seed, seconds)


def _run(aws, deployment, proxies, quiet, jobs, seed, seconds):
    begun = time.monotonic()
    weathers = [Weather(proxy, seed) for proxy in proxies]
    nemesis = Nemesis(deployment, weathers, seed)
    urls = [backend.url for backend in deployment.backends]
    submitters = [Submitter(urls, jobs[i::3], seconds * 0.8, random.Random(f"{seed}/client/{i}")) for i in range(3)]
    for weather in weathers:
        weather.begin()
    for submitter in submitters:
        submitter.start()
    nemesis.run(seconds)
    faulty = time.monotonic() - begun
    for submitter in submitters:
        submitter.join(SETTLE_SECONDS)
        if submitter.failure is not None:
            raise submitter.failure
        assert not submitter.is_alive(), "a client still waits for its answer"
    verdict = judge(aws, deployment, quiet, jobs, submitters)
    settled = time.monotonic() - begun - faulty
    wait_until_drained(aws)
    drained = time.monotonic() - begun - faulty
    verdict.check_excused()
    deployment.stop()
    assert dead_bodies(aws) == set(FOREIGN)
    text = report(deployment, proxies, nemesis, verdict, submitters, (faulty, settled, drained), seed)
    assert not verdict.problems, "\n".join([*verdict.problems, text])
    return text


def judge(aws, deployment, quiet, jobs, submitters):
    client = ApiClient(deployment.backends[0].url)
    verdict = Verdict(client, quiet, aws)
    deadline = time.monotonic() + SETTLE_SECONDS
    for job in jobs:
        with verdict.noting():
            status = client.wait(job.id, max(5, deadline - time.monotonic()))
            verdict.check(job, job.keys, status)
            for submitter in submitters:
                first = submitter.ended.get(job.id)
                assert first is None or (first["status"], first["progress"]) == (status["status"], status["progress"]), \
                    f"an ended job changed: {first} {status}"
    for job in jobs:
        if job.retry:
            with verdict.noting():
                verdict.check_retry(job)
    check_listing(client, {job.id for job in jobs})
    twice = booked_twice(deployment)
    assert not twice, twice
    return verdict


def check_listing(client, known):
    """Whatever the table knows has ended, also what a client never had an answer for."""
    cursor, seen = "", set()
    while cursor is not None:
        page = client.get("/jobs?limit=1000" + (f"&cursor={cursor}" if cursor else "")).json()
        for job in page["jobs"]:
            seen.add(job["job_id"])
            assert job["status"] in TERMINAL, job
        cursor = page["next_cursor"]
    assert known <= seen, known - seen


def report(deployment, proxies, nemesis, verdict, submitters, times, seed):
    injected = {proxy.service: dict(proxy.faults().most_common()) for proxy in proxies}
    drains = [f"{seconds:.1f}" for seconds in nemesis.drain_seconds]
    faulty, settled, drained = times
    lines = [f"seed {seed}: {faulty:.0f} s of faults, all jobs ended {settled:.0f} s after the last one, the queue was "
             f"empty after {drained:.0f} s",
             f"jobs {sum(verdict.states.values())} {dict(verdict.states)}; images {verdict.images}, rows {verdict.rows}",
             f"processes: {dict(nemesis.counts)}; starts {sum(p.starts for p in deployment.programs)}",
             f"drains under faults took {', '.join(drains) or 'no'} s",
             f"requests {sum(len(p.records) for p in proxies)}, faults {sum(sum(f.values()) for f in injected.values())}: {injected}",
             f"messages delivered again by the proxy {sum(p.duplicates for p in proxies)}; chunks late or closed "
             f"{count_events(deployment, 'chunk_late') + count_events(deployment, 'chunk_closed')}, "
             f"booked {count_events(deployment, 'chunk_done')}, given up {count_events(deployment, 'chunk_given_up')}, "
             f"sweeps that repaired {count_events(deployment, 'swept')}",
             f"rows FETCH_FAILED or POISON {len(verdict.excused)}; HTTP requests of clients {sum(s.tries for s in submitters)}"]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="of faults (20)")
    parser.add_argument("--seconds", type=float, help="the same in seconds")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--images", type=int, default=500, help="most of a job")
    options = parser.parse_args()
    seconds = options.seconds or (options.minutes or 20) * 60
    folder = pathlib.Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"logs in {folder}", flush=True)
    with Emulators(folder / "emulators") as emulators:
        emulators.start("ministack")
        print(run(emulators.get("ministack"), folder, options.seed, seconds, options.jobs, options.images))


if __name__ == "__main__":
    sys.exit(main())
