# SPDX-License-Identifier: Apache-2.0
"""Black-box tests of the HTTP API. They take DIC_BASE_URL when a service runs already (with the
sample photos in its bucket); otherwise they start classifier-local themselves on a free port. Of a
service that runs already, IMAGE_BUCKET and the AWS variables say where to put further objects, and
DIC_SERVICE_LOG where its log is; what needs a process of local mode is left out (marker: local)."""
import os
import pathlib
import re
import subprocess
import time

import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("DIC_BIN_DIR", ROOT / "build/bin")).resolve()
TERMINAL = {"succeeded", "completed_with_failures", "failed", "cancelled", "expired"}


class Service:
    """classifier-local as a process, with a data folder that survives restarts."""

    def __init__(self, folder, **environment):
        self.folder = pathlib.Path(folder)
        self.environment = environment
        self.command = [BINARIES / "classifier-local"]
        self.log_path = self.folder / "service.log"
        self.process = None
        self.url = None

    def start(self, **extra):
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {"PORT": "0", "DATA_DIR": str(self.folder / "data"),
                    "MODEL_URI": str(ROOT / "ml-service/model/efficientnet-lite0"),
                    "SAMPLES_DIR": str(ROOT / "local/samples"), "HEADER_TIMEOUT_MS": "1500"}
        before = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stderr=log, stdout=log,
                env={**os.environ, **settings, **self.environment, **extra})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            text = self.log_path.read_bytes()[before:].decode(errors="replace")
            found = re.search(r'"event":"ready","port":(\d+)', text)
            if found:
                self.url = f"http://127.0.0.1:{found.group(1)}"
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"classifier-local did not start:\n{self.log()}")

    def log(self):
        return self.log_path.read_text(errors="replace")[-8000:]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=60)

    @property
    def bucket(self):
        return self.folder / "data/bucket"


class FolderBucket:
    """Local mode's bucket, filled as its user would."""

    def __init__(self, folder):
        self.folder = folder

    def put(self, key, content):
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def get(self, key):
        return (self.folder / key).read_bytes()

    def remove(self, key):
        (self.folder / key).unlink(missing_ok=True)


class S3Bucket:
    """The bucket of a deployment; the address is given as to the programs."""

    def __init__(self, name):
        import boto3
        from botocore.config import Config
        self.name = name
        self.s3 = boto3.client("s3", region_name=os.environ["AWS_REGION"],
                               endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3"),
                               config=Config(s3={"addressing_style": "path"}))

    def put(self, key, content):
        self.s3.put_object(Bucket=self.name, Key=key, Body=content)

    def get(self, key):
        return self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()

    def remove(self, key):
        self.s3.delete_object(Bucket=self.name, Key=key)


class Client:
    def __init__(self, url):
        self.url = url
        self.http = requests.Session()

    def submit(self, body=None, headers=None, query="", **members):
        body = body if body is not None else {"job_type": "image_classification", **members}
        return self.http.post(f"{self.url}/submit{query}", json=body, headers=headers, timeout=60)

    def job(self, **members):
        answer = self.submit(**members)
        assert answer.status_code == 202, answer.text
        return answer.json()["job_id"]

    def get(self, path, **arguments):
        return self.http.get(self.url + path, timeout=120, **arguments)

    def post(self, path, **arguments):
        return self.http.post(self.url + path, timeout=60, **arguments)

    def status(self, job):
        answer = self.get(f"/status/{job}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, job, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.get(f"/status/{job}", headers={"Prefer": "wait=20"})
            assert answer.status_code == 200, answer.text
            if answer.json()["status"] in TERMINAL:
                return answer.json()
        raise AssertionError(f"job {job} did not end: {answer.text}")

    def rows(self, job):
        """All rows, page by page."""
        rows, cursor = [], None
        while True:
            query = f"?limit=1000&cursor={cursor}" if cursor else "?limit=1000"
            answer = self.get(f"/result/{job}{query}")
            assert answer.status_code in (200, 202), answer.text
            page = answer.json()
            rows += page["results"]
            cursor = page["next_cursor"]
            if cursor is None or not page["results"]:
                return rows


def pytest_collection_modifyitems(items):
    for item in items:
        if {"service", "own_service"} & set(item.fixturenames):
            item.add_marker("local")


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    if os.environ.get("DIC_BASE_URL"):
        pytest.skip("this test needs a service of its own")
    running = Service(tmp_path_factory.mktemp("service")).start()
    yield running
    code = running.stop()
    assert code == 0, running.log()
    assert "ERROR: AddressSanitizer" not in running.log() and "runtime error" not in running.log()


@pytest.fixture(scope="session")
def client(request):
    url = os.environ.get("DIC_BASE_URL") or request.getfixturevalue("service").url
    return Client(url)


@pytest.fixture(scope="session")
def is_local():
    return not os.environ.get("DIC_BASE_URL")


@pytest.fixture(scope="session")
def bucket(request, is_local):
    """Where clients' images are."""
    if is_local:
        return FolderBucket(request.getfixturevalue("service").bucket)
    if not os.environ.get("IMAGE_BUCKET"):
        pytest.skip("IMAGE_BUCKET does not say where the service's images are")
    return S3Bucket(os.environ["IMAGE_BUCKET"])


@pytest.fixture(scope="session")
def strict_framing(request):
    """Whether the service's HTTP library can refuse lenient line ends: libmicrohttpd can from
    0.9.77.1 on (Debian 13, the images), and not before (Debian 12, Ubuntu 24.04)."""
    if os.environ.get("DIC_SERVICE_LOG"):
        path = pathlib.Path(os.environ["DIC_SERVICE_LOG"])
    elif os.environ.get("DIC_BASE_URL"):
        return True
    else:
        path = request.getfixturevalue("service").log_path
    log = path.read_text(errors="replace")
    version = re.search(r'"event":"listening".*"libmicrohttpd":"([0-9.]+)"', log).group(1)
    return tuple(int(number) for number in version.split(".")) >= (0, 9, 77, 1)


@pytest.fixture
def own_service(tmp_path):
    """A function that starts further services; all are ended after the test."""
    started = []

    def start(name="own", **environment):
        started.append(Service(tmp_path / name, **environment).start())
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.stop()
