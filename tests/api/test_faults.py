# SPDX-License-Identifier: Apache-2.0
"""System calls that fail: every request and every row gets an answer that says so, or goes on as if nothing had
happened; what was accepted is kept; nothing spins; and when the fault is over everything works again."""
import concurrent.futures
import os
import pathlib
import resource
import signal
import socket
import sqlite3
import time

import pytest
from conftest import TERMINAL, Client
from faults import FaultyService

pytestmark = pytest.mark.local

SLOW_FACTOR = 3 if "asan" in os.environ.get("DIC_BIN_DIR", "") else 1
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def deep(*values):
    """More of the same: another errno that takes the same way."""
    return pytest.param(*values, marks=pytest.mark.deep)


def family(pid):
    yield pid
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family(int(child))


def cpu_seconds(service):
    spent = 0
    for pid in family(service.process.pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / TICKS_PER_SECOND


def decoders(service):
    """Those that live: a killed one is a zombie until it is replaced."""
    stats = [pathlib.Path(f"/proc/{pid}/stat").read_text() for pid in family(service.process.pid)]
    return [int(stat.split()[0]) for stat in stats if " (dic-decoder) " in stat and ") Z " not in stat]


@pytest.fixture
def faulty(tmp_path):
    # Pinned numbers of decoders and lanes: finding the best ones takes time after the start.
    service = FaultyService(tmp_path, SWEEP_INTERVAL_MS="200", DECODERS="2", LANES="1")
    yield service
    if service.process is not None and service.process.poll() is None:
        service.kill()


class Traffic:
    """The same requests again and again, each on a connection of its own, eight at a time."""

    def __init__(self, service):
        self.service = service
        self.accepted = []
        self.known = Client(service.url).job(s3_keys=["nope"])
        Client(service.url).wait(self.known)

    def one(self, number):
        client = Client(self.service.url)
        kind = number % 5
        if kind == 0:
            answer = client.submit(s3_keys=["test/image.jpg"], top_k=1)
            if answer.status_code == 202:
                self.accepted.append(answer.json()["job_id"])
            return answer
        return client.get((f"/status/{self.known}", f"/result/{self.known}", "/jobs", "/healthz")[kind - 1])

    def run(self, count=40):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return list(pool.map(self.one, range(count)))


def check_answers(answers, may_fail=True):
    for answer in answers:
        assert answer.status_code in (200, 202, 503), answer.text
        if answer.status_code == 503:
            error = answer.json()["error"]
            assert may_fail and error["code"] == "UPSTREAM" and error["message"] and error["request_id"]
            assert int(answer.headers["Retry-After"]) > 0


def check_rest(service):
    """Half a second without requests costs next to nothing, failing calls or not."""
    before = cpu_seconds(service)
    time.sleep(0.5)
    assert cpu_seconds(service) - before < 0.2 * SLOW_FACTOR


def check_recovery(service, accepted):
    client = Client(service.url)
    assert client.wait(client.job(s3_keys=["test/image.jpg", "samples/cat.png"]))["progress"]["succeeded"] == 2
    for job in accepted:
        assert client.wait(job)["status"] in TERMINAL
        assert [row["s3_key"] for row in client.rows(job)] == ["test/image.jpg"]
    for path in ("/healthz", "/readyz", "/jobs"):
        assert client.get(path).status_code == 200


def check_end(service):
    assert service.stop() == 0, service.log()
    assert "AddressSanitizer" not in service.log() and "runtime error" not in service.log()
    check_database(service)


def check_database(service):
    with sqlite3.connect(service.folder / "data/jobs.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("function,error", [
    ("pwrite", "ENOSPC"), ("pwrite", "EIO"), deep("pwrite", "EDQUOT"), ("fdatasync", "EIO"), deep("fdatasync", "ENOSPC"),
    ("pread", "EIO")])
def test_a_database_that_cannot_be_used_is_said_and_nothing_accepted_is_lost(faulty, function, error):
    faulty.start()
    traffic = Traffic(faulty)
    faulty.arm(function, error, "jobs.sqlite")
    check_answers(traffic.run())
    check_rest(faulty)
    assert faulty.disarm() > 0
    check_answers(traffic.run(), may_fail=False)
    check_recovery(faulty, traffic.accepted)
    check_end(faulty)


@pytest.mark.parametrize("error", ["EMFILE", deep("ENFILE"), deep("EIO")])
def test_a_reader_that_cannot_be_opened_fails_its_request_only(faulty, error):
    """Connections for reading are opened when all others are in use, so many long reads run at once."""
    faulty.start()
    client = Client(faulty.url)
    job = client.job(s3_keys=[f"{'x' * 200}-{i}" for i in range(1000)])
    client.wait(job)

    def read(_):
        return Client(faulty.url).get(f"/result/{job}?limit=1000")

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        with faulty.fault("open", error, "jobs.sqlite"):
            deadline = time.monotonic() + 30
            while faulty.failed == 0 and time.monotonic() < deadline:
                check_answers(pool.map(read, range(32)))
            assert faulty.failed > 0
        check_answers(pool.map(read, range(32)), may_fail=False)
    check_recovery(faulty, [])
    check_end(faulty)


@pytest.mark.parametrize("function,error,first", [
    ("pwrite", "ENOSPC", 1), ("pwrite", "ENOSPC", 7), ("pwrite", "EIO", 2), ("fdatasync", "EIO", 1), ("pread", "EIO", 1),
    *[deep(function, error, first) for function, error in (
        ("pwrite", "ENOSPC"), ("pwrite", "EIO"), ("fdatasync", "EIO"), ("pread", "EIO")) for first in range(3, 40, 9)]])
def test_a_single_failure_of_the_database_costs_at_most_the_requests_it_met(faulty, function, error, first):
    faulty.start()
    traffic = Traffic(faulty)
    faulty.arm(function, error, "jobs.sqlite", first=first, count=1)
    answers = traffic.run()
    check_answers(answers)
    faulty.disarm()
    check_recovery(faulty, traffic.accepted)
    check_end(faulty)


@pytest.mark.parametrize("function,error", [("pwrite", "ENOSPC"), ("fdatasync", "EIO")])
def test_what_was_accepted_while_the_disk_failed_survives_a_kill(faulty, function, error):
    faulty.start()
    traffic = Traffic(faulty)
    traffic.run()
    faulty.arm(function, error, "jobs.sqlite", first=3)
    check_answers(traffic.run())
    faulty.kill()
    faulty.disarm()
    faulty.start()
    check_recovery(faulty, traffic.accepted)
    check_end(faulty)


@pytest.mark.deep
@pytest.mark.parametrize("function,error", [("pwrite", "ENOSPC"), ("fdatasync", "EIO")])
def test_a_chunk_in_hand_when_the_disk_fails_is_booked_once_when_it_works_again(faulty, function, error):
    """For longer than the worker tries; then the message's visibility brings the chunk back."""
    faulty.start()
    client = Client(faulty.url)
    job = client.job(s3_keys=["test/image.jpg"] * 300)
    while client.status(job)["progress"]["succeeded"] == 0:
        time.sleep(0.01)
    with faulty.fault(function, error, "jobs.sqlite"):
        deadline = time.monotonic() + 30
        while "chunk_not_booked" not in faulty.log_path.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        check_rest(faulty)
    done = client.wait(job, seconds=200)
    assert done["status"] == "succeeded" and done["progress"]["succeeded"] == 300
    assert [row["index"] for row in client.rows(job)] == list(range(300))
    check_end(faulty)


@pytest.mark.parametrize("error", ["ENOSPC", deep("EIO")])
def test_a_write_ahead_log_that_cannot_be_emptied_goes_on_growing(faulty, error):
    """Pages go from the log to the database after 4 MiB; that they cannot is nobody's failure yet."""
    faulty.environment["WORKER_ENABLED"] = "0"
    faulty.start()
    client = Client(faulty.url)
    keys = [f"{'x' * 200}-{i}" for i in range(5000)]
    faulty.arm("pwrite", error, "jobs.sqlite$")
    jobs = [client.job(s3_keys=keys) for _ in range(8)]
    assert faulty.disarm() > 0
    jobs.append(client.job(s3_keys=keys))
    assert all(client.status(job)["status"] == "queued" for job in jobs)
    check_end(faulty)


@pytest.mark.parametrize("function,error,code", [
    ("open", "EMFILE", "FETCH_FAILED"), deep("open", "ENFILE", "FETCH_FAILED"), deep("open", "EIO", "FETCH_FAILED"),
    deep("open", "ENOMEM", "FETCH_FAILED"), ("open", "EACCES", "ACCESS_DENIED"), ("pread", "EIO", "FETCH_FAILED"),
    deep("pread", "ESTALE", "FETCH_FAILED")])
def test_an_image_that_cannot_be_read_is_a_row_error(faulty, function, error, code):
    faulty.start()
    client = Client(faulty.url)
    with faulty.fault(function, error, "image.jpg"):
        job = client.job(s3_keys=["test/image.jpg", "samples/cat.png"])
        assert client.wait(job)["status"] == "completed_with_failures"
        assert faulty.failed > 0
        check_rest(faulty)
    rows = client.rows(job)
    assert rows[0]["error"]["code"] == code and rows[0]["error"]["message"]
    assert rows[0]["error"]["retryable"] == (code == "FETCH_FAILED")
    assert "error" not in rows[1]
    retry = client.post(f"/retry/{job}").json()["job_id"]
    assert client.wait(retry)["status"] == "succeeded"
    check_recovery(faulty, [])
    check_end(faulty)


@pytest.mark.parametrize("error", ["EIO", deep("EMFILE")])
def test_a_folder_that_cannot_be_listed_is_listed_later(faulty, error):
    faulty.start()
    client = Client(faulty.url)
    with faulty.fault("open", error, "samples", count=1):
        job = client.job(s3_prefix="samples/")
        assert client.wait(job, seconds=60)["status"] == "succeeded"
        assert faulty.failed == 1
    assert len(client.rows(job)) == 4
    check_recovery(faulty, [])
    check_end(faulty)


@pytest.mark.parametrize("error", ["ENOSPC", deep("EIO")])
def test_a_log_that_cannot_be_written_changes_nothing(faulty, error):
    faulty.start()
    traffic = Traffic(faulty)
    with faulty.fault("write", error, "service.log"):
        check_answers(traffic.run(), may_fail=False)
        check_rest(faulty)
        assert faulty.failed > 0
    check_recovery(faulty, traffic.accepted)
    check_end(faulty)


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def connect(service):
    return socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=20)


def ask(sock):
    sock.sendall(REQUEST)
    assert sock.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("error,open_before", [
    ("EMFILE", 0), ("EMFILE", 3), *[deep(error, count) for error in ("ENFILE", "ENOBUFS", "ENOMEM", "EINVAL") for count in (0, 3)]])
def test_without_anything_to_accept_with_new_connections_wait_and_nothing_spins(faulty, error, open_before):
    faulty.start()
    old = [connect(faulty) for _ in range(open_before)]
    for sock in old:
        ask(sock)
    faulty.arm("accept", error)
    new = [connect(faulty) for _ in range(5)]
    for sock in new:
        sock.sendall(REQUEST)
    before, start = cpu_seconds(faulty), time.monotonic()
    for _ in range(20):
        for sock in old:
            ask(sock)
    while faulty.failed < 4:  # two threads, each looks again after a pause
        assert time.monotonic() - start < 20
        time.sleep(0.01)
    pauses = (time.monotonic() - start) / 0.1
    assert faulty.disarm() <= 2 * pauses + 8
    assert cpu_seconds(faulty) - before < 0.3 * SLOW_FACTOR
    for sock in new:
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    for sock in old:
        ask(sock)
    assert faulty.log_path.read_text().count("accept_paused") == 1
    check_recovery(faulty, [])
    check_end(faulty)


@pytest.mark.parametrize("error", ["ECONNABORTED", *map(deep, ("EPROTO", "ENETDOWN", "EHOSTUNREACH", "EPERM", "EINTR"))])
def test_an_error_of_one_client_at_accept_is_not_the_next_one_s(faulty, error):
    faulty.start()
    with faulty.fault("accept", error, count=3):
        with connect(faulty) as sock:
            ask(sock)
        assert faulty.failed == 3
    assert "accept_paused" not in faulty.log_path.read_text()
    check_end(faulty)


@pytest.mark.parametrize("error", ["ENOMEM", deep("ENOSPC")])
def test_a_connection_that_cannot_be_watched_is_closed_and_forgotten(faulty, error):
    faulty.environment["MAX_CONNECTIONS"] = "4"
    faulty.start()
    with connect(faulty) as old:
        ask(old)
        with faulty.fault("epoll_ctl", error):
            for _ in range(10):
                with connect(faulty) as sock:
                    assert sock.recv(100) == b""
            assert faulty.failed >= 10
            ask(old)
            check_rest(faulty)
        for _ in range(10):  # the places of those are free again
            with connect(faulty) as sock:
                ask(sock)
    check_recovery(faulty, [])
    check_end(faulty)


def test_with_no_descriptor_left_the_service_answers_whom_it_has_and_recovers(faulty):
    """The real limit in the place of an injected error: everything that opens anything meets it."""
    faulty.start()
    client = Client(faulty.url)
    assert client.get("/healthz").status_code == 200
    pid = faulty.process.pid
    used = max(int(name) for name in os.listdir(f"/proc/{pid}/fd")) + 1
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, hard))
    sockets = [connect(faulty) for _ in range(5)]
    for sock in sockets:
        sock.sendall(REQUEST)
    answers = [client.get("/healthz") for _ in range(20)] + [client.submit(s3_keys=["test/image.jpg"]) for _ in range(3)]
    check_answers(answers)
    check_rest(faulty)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    for sock in sockets:
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        sock.close()
    for answer in answers:
        if answer.status_code == 202:
            assert client.wait(answer.json()["job_id"])["status"] in TERMINAL
    check_recovery(faulty, [])
    check_end(faulty)


@pytest.mark.parametrize("function,error", [("fork", "EAGAIN"), deep("fork", "ENOMEM"), deep("socketpair", "EMFILE")])
def test_a_decoder_that_cannot_be_replaced_is_a_row_error_and_is_replaced_later(faulty, function, error):
    faulty.start()
    client = Client(faulty.url)
    first = decoders(faulty)
    with faulty.fault(function, error):
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        job = client.job(s3_keys=["test/image.jpg"])
        done = client.wait(job)
        assert faulty.failed > 0
        check_rest(faulty)
    row = client.rows(job)[0]
    assert done["status"] == "completed_with_failures" and row["error"]["code"] == "DECODER_CRASHED"
    assert row["error"]["retryable"] and "fork" in row["error"]["message"]
    assert client.wait(client.post(f"/retry/{job}").json()["job_id"])["status"] == "succeeded"
    check_recovery(faulty, [])
    assert not set(first) & set(decoders(faulty))
    check_end(faulty)


START_FAULTS = [("fork", "EAGAIN", ""), deep("fork", "ENOMEM", ""), ("socketpair", "EMFILE", ""), ("mmap", "ENOMEM", ""),
                ("open", "EMFILE", "jobs.sqlite"), deep("open", "EACCES", "jobs.sqlite"), deep("open", "ENOSPC", "/lock"),
                ("open", "EIO", "bucket"), ("pwrite", "ENOSPC", "jobs.sqlite"), deep("pwrite", "EIO", "jobs.sqlite"),
                ("fdatasync", "EIO", "jobs.sqlite"), deep("ftruncate", "EIO", "jobs.sqlite-shm"),
                deep("mmap", "ENOMEM", "jobs.sqlite-shm"), deep("mkdir", "ENOSPC", "/data"), deep("mkdir", "EROFS", "results"),
                ("rename", "EIO", "bucket"), ("sendfile", "ENOSPC", "bucket"), ("eventfd", "EMFILE", ""),
                deep("epoll_create", "EMFILE", "")]


@pytest.mark.parametrize("function,error,path", START_FAULTS)
def test_a_start_that_fails_says_why_and_the_next_one_works(faulty, function, error, path):
    faulty.arm(function, error, path)
    with pytest.raises(RuntimeError):
        faulty.start()
    assert faulty.process.wait() == 1
    assert faulty.disarm() > 0
    last = faulty.log().strip().rsplit("\n", 1)[-1]
    assert last.startswith("classifier-local: ") and len(last) > 40, last
    faulty.start()
    assert sorted(p.name for p in (faulty.bucket / "samples").iterdir()) == ["cat.jpg", "cat.png", "coffee.webp", "rocket.jpg"]
    check_recovery(faulty, [])
    check_end(faulty)
