# SPDX-License-Identifier: Apache-2.0
"""Images and containers, by the docker command. Containers run as ECS runs them: a read-only root, a
user that is not root, no capabilities, and limits of memory and CPU."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import tarfile

from deployment import Deployment, Program

BUILD_SECONDS = 1800
NAMED = {"backend-service": "DIC_BACKEND_IMAGE", "ml-service": "DIC_ML_IMAGE"}  # images built elsewhere
LABELS = {"VERSION": "0.0.0-test", "REVISION": "0123abc"}
STRICT = ("--read-only", "--user", "65532", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
          "--memory", "512m", "--memory-swap", "512m")  # no swap beyond it
# What the engine itself puts into every container's root.
ENGINES_OWN = re.compile(r"(\.dockerenv|dev|proc|sys|dev/.*|etc/hosts|etc/hostname|etc/resolv\.conf|etc/mtab)")


def docker(*arguments, seconds=60, **options):
    done = subprocess.run(["docker", *map(str, arguments)], text=True, capture_output=True, timeout=seconds,
                          check=False, **options)
    assert done.returncode == 0, f"docker {' '.join(map(str, arguments))}:\n{(done.stdout + done.stderr)[-6000:]}"
    return done.stdout


def why_no_docker():
    """The reason why these tests cannot run here, or None."""
    if shutil.which("docker") is None:
        return "there is no docker command here"
    try:
        done = subprocess.run(["docker", "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"], text=True,
                              capture_output=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return "the Docker daemon does not answer (make doctor says more)"
    if done.returncode != 0:
        return f"there is no Docker daemon (make doctor says more): {done.stderr.strip()[-200:]}"
    if done.stdout.strip() != "linux/amd64":
        return f"the Docker daemon is for {done.stdout.strip()}, the images are for linux/amd64"
    return None


def build(program, context, tag=None, cached=True, **arguments):
    """Returns the image's id."""
    tag = tag or f"dic-test/{program}"
    given = {**LABELS, **arguments}
    if "PIP_INDEX_URL" in os.environ:
        given["PIP_INDEX_URL"] = os.environ["PIP_INDEX_URL"]
    docker("build", "--tag", tag, "--file", pathlib.Path(context) / program / "Dockerfile",
           *([] if cached else ["--no-cache"]),
           *(part for name, value in given.items() for part in ("--build-arg", f"{name}={value}")), context,
           seconds=BUILD_SECONDS)
    return inspect(tag)["Id"]


def inspect(thing):
    return json.loads(docker("inspect", thing))[0]


@contextlib.contextmanager
def exported(image):
    """The image's files as a tar stream."""
    container = docker("create", image).strip()
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            with tarfile.open(fileobj=export.stdout, mode="r|") as archive:
                yield archive
    finally:
        docker("rm", container)


def members(image):
    """The image's own entries, of any type."""
    with exported(image) as archive:
        return [entry for entry in archive if not ENGINES_OWN.fullmatch(entry.name.strip("/"))]


def sums(image):
    """{path: sha256 of the content, target of a link, or the type}."""
    found = {}
    with exported(image) as archive:
        for entry in archive:
            if ENGINES_OWN.fullmatch(entry.name.strip("/")):
                continue
            found[entry.name] = (hashlib.sha256(archive.extractfile(entry).read()).hexdigest() if entry.isfile()
                                 else entry.linkname or entry.type.decode())
    return found


def unpack(image, folder):
    folder.mkdir()
    with exported(image) as archive:
        for entry in archive:
            if not ENGINES_OWN.fullmatch(entry.name.strip("/")):
                archive.extract(entry, folder, filter="data")
    return folder


def run(image, *arguments, options=STRICT, variables=None, seconds=60):
    """Once, to its end; the finished process."""
    environment = [part for name, value in (variables or {}).items() for part in ("--env", f"{name}={value}")]
    return subprocess.run(["docker", "run", "--rm", *options, *environment, image, *arguments], text=True,
                          capture_output=True, timeout=seconds, check=False)


class Container(Program):
    """A program of tests/integration, but in a container; the docker command passes signals on."""

    def __init__(self, like, image, options=()):
        variables = {name: value for name, value in like.variables.items()
                     if name != "MODEL_URI" or value.startswith("s3://")}  # the image has a model of its own
        super().__init__(like.name, like.log_path.parent, variables, like.label)
        self.image = image
        self.options = options
        self.container = None

    def launch(self, **variables):
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._begins = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.container = f"dic-test-{self.label}-{secrets.token_hex(4)}"
        given = {**self.variables, **variables}
        environment = [part for name, value in given.items() for part in ("--env", f"{name}={value}")]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["docker", "run", "--name", self.container, "--network", "host", *STRICT, *self.options,
                 *environment, self.image], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.starts += 1
        return self

    def state(self):
        return inspect(self.container)["State"]

    def pids(self):
        """All processes of the container, as this machine numbers them; the program's first."""
        first = self.state()["Pid"]
        listed = docker("top", self.container, "-eo", "pid").split()[1:]
        return [first] + sorted(int(pid) for pid in listed if int(pid) != first)

    def decoders(self):
        """Processes of ml-service: the program forks a nursery, and that the decoders."""
        first, *others = self.pids()
        parents = {pid: int(status_of(pid)["PPid"]) for pid in others}
        nurseries = {pid for pid, parent in parents.items() if parent == first}
        return [pid for pid, parent in parents.items() if parent in nurseries]

    def kill(self):
        docker("kill", self.container)
        self.process.wait()

    def clean_up(self):
        if self.container is None:
            return
        subprocess.run(["docker", "rm", "--force", self.container], capture_output=True, timeout=60, check=False)
        self.process.wait()


class ContainerDeployment(Deployment):
    """One backend and one worker, each in its container."""

    def __init__(self, aws, folder, images, options=("--cpus", "1"), **settings):
        super().__init__(aws, folder, **settings)
        self.backends = [Container(one, images["backend-service"], options) for one in self.backends]
        self.workers = [Container(one, images["ml-service"], options) for one in self.workers]


def status_of(pid):
    """The fields of /proc/PID/status."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def memory_of(pid):
    """(bytes of the control group that are no file's, how often its limit killed), with either version of control groups."""
    groups = dict(line.split(":", 2)[1:] for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    if "memory" in groups:
        folder = pathlib.Path("/sys/fs/cgroup/memory" + groups["memory"])
        names = ("total_rss", "total_shmem")
        events = "memory.oom_control"
    else:
        folder = pathlib.Path("/sys/fs/cgroup" + groups[""])
        names = ("anon", "shmem")
        events = "memory.events"
    stat = numbers(folder / "memory.stat")
    return sum(stat.get(name, 0) for name in names), numbers(folder / events).get("oom_kill", 0)


def numbers(path):
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
