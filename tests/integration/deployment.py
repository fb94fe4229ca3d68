# SPDX-License-Identifier: Apache-2.0
"""backend-service and ml-service as processes, against the servers of an AwsEnvironment: what a
deployment is, less the containers. The programs are those of DIC_BIN_DIR (build/asan/bin, whose
model is a fake)."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("DIC_BIN_DIR", ROOT / "build/asan/bin")).resolve()
MODEL = ROOT / "ml-service/model/efficientnet-lite0"
SAMPLES = ROOT / "local/samples"
PATIENCE_SECONDS = 300  # who waits longer waits for what will not come, on the busiest machine too
STOP_SECONDS = 120
CEILING_SECONDS = 25  # ECS gives 30
TERMINAL = {"succeeded", "completed_with_failures", "failed", "cancelled", "expired"}
SANITIZERS = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


def cpu_shortage_seconds():
    """For how long so far somebody on this machine was ready to run and had no CPU; 0 where the kernel
    does not tell (Documentation/accounting/psi.rst)."""
    try:
        text = pathlib.Path("/proc/pressure/cpu").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(re.search(r"^some .*total=(\d+)", text).group(1)) / 1e6


class Program:
    """A program with its log in a file, that can be killed and started again."""

    def __init__(self, name, folder, variables, label=None):
        self.name = name
        self.label = label or name
        self.variables = variables
        self.log_path = pathlib.Path(folder) / f"{self.label}.log"
        self.process = None
        self.port = None
        self.starts = 0
        self._begins = 0  # of this start's log

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def launch(self, **variables):
        """Without waiting until it is ready. The kernel ends it when the test run dies."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._begins = self.log_path.stat().st_size if self.log_path.exists() else 0
        bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        if self.port is not None:
            variables = {"PORT": str(self.port), **variables}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "SIGKILL", "--", BINARIES / self.name],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**bare, **self.variables, **variables})
        self.starts += 1
        return self

    def wait_ready(self, seconds=PATIENCE_SECONDS):
        ready = self.wait_for_log(r'"event":"ready"(?:,"port":(\d+))?', seconds)
        if ready.group(1):
            self.port = int(ready.group(1))
        return self

    def start(self, **variables):
        return self.launch(**variables).wait_ready()

    def log(self, whole=False):
        if not self.log_path.exists():
            return ""
        return self.log_path.read_bytes()[0 if whole else self._begins:].decode(errors="replace")

    def wait_for_log(self, pattern, seconds=PATIENCE_SECONDS):
        """In the log of this start."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.search(pattern, self.log())
            if found:
                return found
            assert self.process.poll() is None, f"{self.label} ended:\n{self.log()[-6000:]}"
            time.sleep(0.02)
        raise AssertionError(f"{pattern} not in the log of {self.label} after {seconds} s:\n"
                             f"{self.log()[-6000:]}")

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """As the kernel does it: the program alone; its decoders find out by themselves."""
        self.process.kill()
        self.process.wait()

    def freeze(self):
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGCONT)

    def terminate(self):
        """SIGTERM; returns the seconds until it ended, and its status. ECS would have killed what needs
        longer than CEILING_SECONDS on CPUs of its own."""
        begun, short = time.monotonic(), cpu_shortage_seconds()
        self.process.terminate()
        status = self.process.wait(STOP_SECONDS)
        seconds = time.monotonic() - begun
        assert seconds < CEILING_SECONDS + cpu_shortage_seconds() - short, \
            f"{self.label} needed {seconds:.1f} s to end:\n{self.log()[-6000:]}"
        return seconds, status

    def clean_up(self):
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def complaints(self):
        """What sanitizers found, in all starts."""
        text = self.log(whole=True)
        found = SANITIZERS.search(text)
        return text[max(0, found.start() - 500):found.start() + 6000] if found else ""


class Deployment:
    """So many of each program. backend= and worker= are further variables, variables those of both;
    a function of the number makes those of each."""

    def __init__(self, aws, folder, backends=1, workers=1, variables=None, backend=None, worker=None):
        common = {"LOG_LEVEL": "info", "MODEL_URI": str(MODEL), "BIND_ADDRESS": "127.0.0.1"}

        def settings(number, own):
            chosen = {}
            for given in (variables or aws.variables, own or {}):
                chosen.update(given(number) if callable(given) else given)
            return {**common, **chosen}

        self.aws = aws
        self.backends = [Program("backend-service", folder, {"PORT": "0", **settings(i, backend)},
                                 f"backend-{i}") for i in range(backends)]
        self.workers = [Program("ml-service", folder, {"WATCH_MS": "500", **settings(i, worker)},
                                f"worker-{i}") for i in range(workers)]

    @property
    def programs(self):
        return self.backends + self.workers

    @property
    def client(self):
        return ApiClient(self.backends[0].url)

    def __enter__(self):
        try:
            for program in self.programs:
                program.launch()
            for program in self.programs:
                program.wait_ready()
        except BaseException:
            self.clean_up()
            raise
        return self

    def __exit__(self, kind, *unused):
        try:
            if kind is None:
                self.stop()
        finally:
            self.clean_up()

    def stop(self):
        """SIGTERM to all; each must end well, and no sanitizer may have complained."""
        running = [program for program in self.programs if program.is_running]
        for program in running:
            program.thaw()
            program.process.terminate()
        for program in running:
            status = program.process.wait(STOP_SECONDS)
            assert status == 0, f"{program.label} ended with {status}:\n{program.log()[-6000:]}"
        self.check_sanitizers()

    def check_sanitizers(self):
        for program in self.programs:
            assert not program.complaints(), f"{program.label}:\n{program.complaints()}"

    def clean_up(self):
        for program in self.programs:
            program.clean_up()


class ApiClient:
    """The HTTP API, asked by a person in a hurry: no retries."""

    def __init__(self, url):
        self.url = url
        self.http = requests.Session()

    def get(self, path, **arguments):
        return self.http.get(self.url + path, timeout=120, **arguments)

    def post(self, path, **arguments):
        return self.http.post(self.url + path, timeout=120, **arguments)

    def submit(self, headers=None, **members):
        return self.post("/submit", json={"job_type": "image_classification", **members}, headers=headers)

    def job(self, **members):
        answer = self.submit(**members)
        assert answer.status_code == 202, answer.text
        return answer.json()["job_id"]

    def status(self, job):
        answer = self.get(f"/status/{job}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, job, seconds=PATIENCE_SECONDS):
        deadline = time.monotonic() + seconds
        while True:
            left = int(min(20, max(1, deadline - time.monotonic())))
            answer = self.get(f"/status/{job}", headers={"Prefer": f"wait={left}"})
            assert answer.status_code == 200, answer.text
            if answer.json()["status"] in TERMINAL:
                return answer.json()
            assert time.monotonic() < deadline, f"not ended after {seconds} s: {answer.text}"

    def rows(self, job):
        rows, cursor = [], ""
        while cursor is not None:
            answer = self.get(f"/result/{job}?limit=1000" + (f"&cursor={cursor}" if cursor else ""))
            assert answer.status_code in (200, 202), answer.text
            rows += answer.json()["results"]
            cursor = answer.json()["next_cursor"] if answer.json()["results"] else None
        return rows


def sample_photos():
    """{key: bytes}, under the keys that local mode gives them."""
    photos = {path for path in SAMPLES.iterdir() if path.suffix in (".jpg", ".png", ".webp")}
    return {("test/" if path.name == "image.jpg" else "samples/") + path.name: path.read_bytes()
            for path in photos}
