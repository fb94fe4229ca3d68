# SPDX-License-Identifier: Apache-2.0
"""The servers start on 127.0.0.1 only, end whatever happens to the test run, and say what is wrong
when they cannot start."""
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import threading

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

import aws_env
import emulator_packages
import server_process
from emulator_packages import EmulatorError
from emulators import CHOICES, Credentials
from server_process import LOOPBACK, ServerProcess

HERE = pathlib.Path(__file__).parent
SECONDS = 60


class PageServer(ServerProcess):
    """Something small to start; python -m http.server prints nothing of use to us."""

    name = "page"

    def command(self):
        return [sys.executable, "-m", "http.server", "--bind", LOOPBACK, self.port]


@pytest.fixture
def page(tmp_path):
    server = PageServer(tmp_path)
    yield server
    server.stop()


def ends(pidfd):
    """Whether the process of a pidfd ends in good time."""
    ready, _, _ = select.select([pidfd], [], [], SECONDS)
    os.close(pidfd)
    return bool(ready)


# Starting and stopping.


def test_every_server_listens_on_the_loopback_only(emulators):
    for name, server in emulators.running.items():
        assert server.listening() == {(LOOPBACK, server.port)}, name


def test_every_server_says_what_it_costs(emulators):
    for name, server in emulators.running.items():
        assert 0 < server.start_seconds < SECONDS, name
        assert 10 < server.peak_memory_mb() < 1000, name


def test_a_server_ends_with_its_whole_session(page):
    page.start()
    members = [os.pidfd_open(pid) for pid in page.members()]
    assert members
    page.stop()
    assert all(ends(member) for member in members)
    assert page.listening() == set() and page.process.returncode is not None
    page.stop()  # harmless


def test_a_server_that_ignores_the_request_to_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(server_process, "STOP_SECONDS", 0.2)

    class Stubborn(PageServer):
        def command(self):
            serve = "; ".join((
                "import http.server, signal, sys", "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
                "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), "
                "http.server.SimpleHTTPRequestHandler).serve_forever()"))
            return [sys.executable, "-c", serve, self.port]

    server = Stubborn(tmp_path).start()
    server.stop()
    assert server.process.returncode == -signal.SIGKILL


def test_a_server_ends_when_the_test_run_is_killed(tmp_path):
    script = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
              "from test_infrastructure import PageServer\n"
              "server = PageServer(sys.argv[2]).start()\n"
              "print(server.process.pid, flush=True)\n"
              "time.sleep(600)\n")
    run = subprocess.Popen([sys.executable, "-c", script, HERE, tmp_path], stdout=subprocess.PIPE,
                           text=True)
    server = os.pidfd_open(int(run.stdout.readline()))
    run.kill()
    run.wait()
    run.stdout.close()
    assert ends(server)


def test_a_server_is_not_started_by_a_thread_that_may_end(page):
    failed = []

    def start():
        try:
            page.launch()
        except AssertionError:
            failed.append(True)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert failed == [True]


def test_a_server_gets_another_port_if_its_own_was_taken(page, monkeypatch):
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], server_process.free_port()])
        monkeypatch.setattr(server_process, "free_port", lambda: next(ports))
        page.start()
        assert page.port != taken.getsockname()[1]


def test_a_server_that_does_not_start_shows_its_log(tmp_path):
    class Broken(PageServer):
        def command(self):
            return [sys.executable, "-c", "import sys; sys.exit('no such thing')"]

    with pytest.raises(EmulatorError, match="page did not start; .*\n.*no such thing"):
        Broken(tmp_path).start()


def test_a_paused_server_hangs_and_a_resumed_one_answers(emulators):
    moto = emulators.get("moto")
    hasty = moto.client("dynamodb", read_timeout=0.5)
    moto.pause()
    try:
        with pytest.raises(ReadTimeoutError):
            hasty.list_tables()
    finally:
        moto.resume()
    assert "TableNames" in moto.client("dynamodb").list_tables()


# Fetching.


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(emulator_packages, "CACHE", tmp_path)
    return tmp_path


def test_a_package_is_fetched_once_for_each_recipe(cache):
    built = []

    def build(folder):
        built.append(folder)

    def fetch(recipe):
        return emulator_packages._fetch("thing", recipe, build)

    assert fetch(b"1") == fetch(b"1") and len(built) == 1
    assert fetch(b"2") != built[0] and len(built) == 2
    assert not built[0].exists()


def test_a_fetch_that_fails_is_no_fetch(cache):
    def fail(folder):
        raise EmulatorError("no network")

    for _ in range(2):
        with pytest.raises(EmulatorError, match="no network"):
            emulator_packages._fetch("thing", b"1", fail)


def test_runs_side_by_side_fetch_once(cache):
    script = ("import pathlib, sys; sys.path.insert(0, sys.argv[1])\n"
              "import emulator_packages as packages\n"
              "packages.CACHE = pathlib.Path(sys.argv[2])\n"
              "packages._fetch('thing', b'1', lambda folder: (folder / 'built').touch() or\n"
              "                print('built'))\n")
    runs = [subprocess.Popen([sys.executable, "-c", script, HERE, cache], stdout=subprocess.PIPE,
                             text=True) for _ in range(4)]
    assert sorted(run.communicate(timeout=SECONDS)[0] for run in runs) == ["", "", "", "built\n"]


@pytest.mark.parametrize("call, missing", [
    (lambda: emulator_packages.jars("elasticmq"), "java"),
    (emulator_packages.python_environment, "-m"), (emulator_packages.dynoxide, "cargo")],
    ids=["java", "pip", "cargo"])
def test_what_is_missing_is_named(cache, monkeypatch, call, missing):
    monkeypatch.setenv("PATH", str(cache))
    monkeypatch.setattr(sys, "executable", "/no/such/python -m")
    with pytest.raises(EmulatorError, match=missing):
        call()


def test_a_command_that_fails_is_quoted():
    with pytest.raises(EmulatorError, match="cannot try: sh ended with status 3\nsaid why"):
        emulator_packages._run(["sh", "-c", "echo said why >&2; exit 3"], "try")


# The environment of the programs.


def test_one_key_pair_serves_all(emulators):
    emulators.start("ministack", "s3proxy")
    ministack = emulators.get("ministack")
    made = aws_env.create({"s3": emulators.get("s3proxy"), "sqs": ministack, "dynamodb": ministack})
    variables = made.variables
    key = Credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
    for service in ("s3", "sqs", "dynamodb"):
        assert made.servers[service].credentials == key
    made.put_images({"a//b ü": b"x"})
    assert made.keys(made.image_bucket) == ["a//b ü"] and made.keys(made.result_bucket) == []


def test_the_variables_name_what_was_made(aws):
    variables = aws.variables
    assert set(variables) == {
        "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "IMAGE_BUCKET",
        "RESULT_BUCKET", "JOB_QUEUE_URL", "JOB_DLQ_URL", "JOB_TABLE", "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_DYNAMODB"}
    assert aws.s3.head_bucket(Bucket=variables["IMAGE_BUCKET"])
    assert aws.queue_depth(variables["JOB_DLQ_URL"]) == (0, 0, 0)
    assert aws.items() == {}


def test_the_variables_can_lead_through_proxies(aws):
    class Place:
        url = "http://127.0.0.1:1"

    through = aws.via(sqs=Place, credentials=Credentials("a", "b", "c"))
    assert through["AWS_ENDPOINT_URL_SQS"] == Place.url
    assert through["AWS_ENDPOINT_URL_S3"] == aws.servers["s3"].url
    assert through["AWS_SESSION_TOKEN"] == "c"


def test_the_table_is_as_the_job_store_wants_it(emulators, dynamodb_server):
    ministack = emulators.get("ministack")
    made = aws_env.create({"s3": ministack, "sqs": ministack, "dynamodb": dynamodb_server})
    table = made.dynamodb.describe_table(TableName=made.table)["Table"]
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    keys = {name: [part["AttributeName"] for part in index["KeySchema"]]
            for name, index in indexes.items()}
    assert keys == {"outbox": ["obs", "obd"], "listing": ["lst", "crt"]}
    assert indexes["outbox"]["Projection"]["ProjectionType"] == "KEYS_ONLY"
    assert indexes["listing"]["Projection"] == {"ProjectionType": "INCLUDE",
                                                "NonKeyAttributes": ["st"]}
    lifetime = made.dynamodb.describe_time_to_live(TableName=made.table)["TimeToLiveDescription"]
    assert lifetime == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}


def test_temporary_credentials_need_their_token(ministack):
    given = ministack.temporary_credentials()
    assert given.session_token
    ministack.client("sqs", given).list_queues()
    without = Credentials(given.access_key, given.secret_key)
    for service, call in (("sqs", "list_queues"), ("s3", "list_buckets"),
                          ("dynamodb", "list_tables")):
        with pytest.raises(ClientError):
            getattr(ministack.client(service, without), call)()


# The command for a person.


def test_serve_prints_the_exports_and_ends_on_a_signal():
    run = subprocess.Popen([HERE / "emulators.py", "--serve"], stdout=subprocess.PIPE, text=True,
                           env={**os.environ, "PATH": _path_with_this_python()})
    printed = []
    for line in run.stdout:
        printed.append(line)
        if "running until" in line:
            break
    exported = dict(re.match(r"export (\w+)=(.*)", line).groups() for line in printed
                    if line.startswith("export"))
    port = int(exported["AWS_ENDPOINT_URL_S3"].rpartition(":")[2])
    with socket.create_connection((LOOPBACK, port), timeout=SECONDS):
        pass
    run.send_signal(signal.SIGTERM)
    rest, _ = run.communicate(timeout=SECONDS)
    assert (run.returncode, rest) == (0, "# ending\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port), timeout=SECONDS)


def _path_with_this_python():
    """emulators.py asks env for python3, which must have boto3."""
    return f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"


def test_serve_takes_only_servers_it_knows():
    for service in CHOICES:
        run = subprocess.run([HERE / "emulators.py", "--serve", f"--{service}", "other"], text=True,
                             capture_output=True, timeout=SECONDS, check=False,
                             env={**os.environ, "PATH": _path_with_this_python()})
        assert run.returncode == 2 and "invalid choice: 'other'" in run.stderr
