# SPDX-License-Identifier: Apache-2.0
"""Black-box tests of the command-line client: against classifier-local, as tests/api starts it, and
against a scripted server where faults are the subject. DIC_BIN_DIR picks the build."""
import importlib.util
import os
import pathlib
import subprocess

import pytest

import scripted_server

ROOT = pathlib.Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("api_conftest", ROOT / "tests/api/conftest.py")
api = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(api)
PROGRAM = api.BINARIES / "classify"


class Cli:
    """The program with one service's URL in its environment, and nothing else of ours."""

    def __init__(self, url, **environment):
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("AWS_", "CLASSIFIER_", "JOB_"))}
        self.environment.update(environment)
        if url is not None:
            self.environment["CLASSIFIER_URL"] = url

    def run(self, *arguments, input=None, timeout=120):
        done = subprocess.run([PROGRAM, *arguments], input=input, capture_output=True,
                              env=self.environment, timeout=timeout, check=False)
        assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, done.stderr
        done.out = done.stdout.decode()
        done.err = done.stderr.decode()
        return done

    def start(self, *arguments):
        return subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=self.environment)

    def good(self, *arguments, **more):
        """Standard output of a run that went well and complained of nothing."""
        done = self.run(*arguments, **more)
        assert (done.returncode, done.err) == (0, ""), done
        return done.out

    def fails(self, status, *arguments, **more):
        """The one line that a failed run says."""
        done = self.run(*arguments, **more)
        assert done.returncode == status, done
        assert done.err.startswith("classify: ") and done.err.count("\n") == 1, done.err
        return done.err[len("classify: "):-1]


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    running = api.Service(tmp_path_factory.mktemp("service")).start()
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="session")
def client(service):
    return api.Client(service.url)


@pytest.fixture
def cli(service):
    return Cli(service.url)


@pytest.fixture
def scripted():
    with scripted_server.ScriptedServer() as server:
        yield server


@pytest.fixture
def scripted_cli(scripted):
    return Cli(scripted.url)
