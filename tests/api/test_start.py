# SPDX-License-Identifier: Apache-2.0
"""What a person reads when a start does not work: one line that names the setting and what to do."""
import os
import pathlib
import resource
import signal
import socket
import subprocess

import pytest
import requests
from conftest import BINARIES, ROOT, Client, Service

pytestmark = pytest.mark.local


def start(folder, **settings):
    """Runs until it ends by itself; its last line and its exit status."""
    environment = {**os.environ, "PORT": "0", "DATA_DIR": str(folder),
                   "MODEL_URI": str(ROOT / "ml-service/model/efficientnet-lite0"),
                   "SAMPLES_DIR": str(ROOT / "local/samples"), **settings}
    run = subprocess.run([BINARIES / "classifier-local"], env=environment, capture_output=True, text=True, timeout=60)
    return (run.stderr.splitlines() or [""])[-1], run.returncode


def refused(folder, **settings):
    line, status = start(folder, **settings)
    assert status == 1 and line.startswith("classifier-local: "), line
    return line


def test_a_port_is_never_shared(service, tmp_path):
    port = service.url.rsplit(":", 1)[1]
    line = refused(tmp_path / "data", PORT=port)
    assert f"127.0.0.1 port {port}" in line and "Address already in use" in line and "PORT" in line


def test_a_port_is_free_again_at_once_after_a_crash(own_service):
    first = own_service("first")
    port = first.url.rsplit(":", 1)[1]
    with requests.Session() as session:  # an open connection, so that the port is left in a waiting state
        session.get(first.url + "/healthz", timeout=10)
        first.kill()
    first.start(PORT=port)
    assert first.url.endswith(":" + port)


@pytest.mark.parametrize("port", ["abc", "99999", "-1", "80.5", " 80", "0x50"])
def test_a_port_that_is_none_is_named_with_its_range(tmp_path, port):
    assert refused(tmp_path / "data", PORT=port) == f"classifier-local: PORT='{port}' is not a whole number from 0 to 65535"


def test_an_address_of_another_machine_is_named(tmp_path):
    line = refused(tmp_path / "data", BIND_ADDRESS="203.0.113.1")
    assert "203.0.113.1" in line and "BIND_ADDRESS" in line


def test_a_data_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    assert refused(tmp_path / "file") == f"classifier-local: DATA_DIR='{tmp_path}/file' is not a folder"


def test_a_data_folder_without_a_parent_is_named(tmp_path):
    line = refused(tmp_path / "no/such")
    assert f"DATA_DIR='{tmp_path}/no/such'" in line and line.endswith("No such file or directory; make its parent first")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_folder_without_write_permission_is_named(tmp_path):
    (tmp_path / "data").mkdir(mode=0o555)
    line = refused(tmp_path / "data")
    assert f"DATA_DIR='{tmp_path}/data'" in line and line.endswith("Permission denied")


def test_a_data_folder_in_use_says_by_whom(service):
    line = refused(service.folder / "data")
    assert f"in use by process {service.process.pid}; DATA_DIR" in line


def test_a_broken_database_is_named(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/jobs.sqlite").write_bytes(b"this is no database, but long enough to look at" * 100)
    line = refused(tmp_path / "data")
    assert f"{tmp_path}/data/jobs.sqlite: file is not a database" in line


@pytest.fixture
def idle_connections():
    """A function that opens so many and leaves them; the limit of open files is raised for it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets = []

    def open_some(url, count):
        if hard < count + 200:
            pytest.skip(f"the tests may open {hard} files only")
        host, port = url.removeprefix("http://").split(":")
        for _ in range(count):
            sockets.append(socket.create_connection((host, int(port)), timeout=20))

    yield open_some
    for idle in sockets:
        idle.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def with_open_files(folder, limit):
    service = Service(folder)
    service.command = ["sh", "-c", f"ulimit {limit} && exec \"$0\"", *service.command]
    return service.start()


def test_the_usual_limit_of_open_files_is_raised_for_the_connections(tmp_path, idle_connections):
    """Systems start programs with 1,024, and allow more."""
    service = with_open_files(tmp_path, "-S -n 1024")
    try:
        idle_connections(service.url, 1500)
        client = Client(service.url)
        assert client.wait(client.job(s3_keys=["test/image.jpg"]))["progress"]["succeeded"] == 1
        assert "connections_limited" not in service.log()
    finally:
        service.stop()


def test_where_few_files_may_be_open_connections_leave_enough_for_the_work(tmp_path, idle_connections):
    service = with_open_files(tmp_path, "-n 600")
    try:
        assert "may open 600 files: MAX_CONNECTIONS is 88 instead" in service.log()
        client = Client(service.url)
        job = client.job(s3_keys=["test/image.jpg"] * 300)
        idle_connections(service.url, 700)
        assert client.wait(job)["progress"]["succeeded"] == 300
    finally:
        service.stop()


def family(pid):
    """The process and all that descend from it, as /proc has them."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # it ended meanwhile
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for process in found:
        found += children.get(process, [])
    return found


def test_ctrl_c_while_images_are_decoded_loses_none(own_service):
    """The terminal sends it to the whole process group, decoders included."""
    running = own_service("terminal")
    client = Client(running.url)
    job = client.job(s3_keys=["test/image.jpg"] * 500)
    while client.status(job)["progress"]["succeeded"] == 0:
        assert running.process.poll() is None
    members = family(running.process.pid)
    assert len(members) > 1
    for process in members:
        os.kill(process, signal.SIGINT)
    assert running.process.wait(timeout=60) == 0
    assert '"event":"stopping"' in running.log()
    running.start()
    assert Client(running.url).wait(job)["progress"] == {
        "total": 500, "succeeded": 500, "failed": 0, "skipped": 0, "pending": 0}
