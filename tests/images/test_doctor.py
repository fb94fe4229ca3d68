# SPDX-License-Identifier: Apache-2.0
"""`make doctor` on machines that lack this or that: commands that stand in for docker, terraform and aws
are all it finds on its PATH."""
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

DOCTOR = pathlib.Path(__file__).resolve().parents[2] / "tools/doctor"
TOOLS = ("sh", "cat", "awk", "sed", "tail", "head", "cut", "dirname", "id", "timeout")
DOCKER = """case "$1 $2" in
"version --format") echo "28.2.2 linux/amd64" ;;
"info --format") echo {root} ;;
"context show") echo default ;;
"buildx version") echo "github.com/docker/buildx v0.24.0 abc" ;;
esac"""
AWS = 'case $1 in --version) echo "aws-cli/2.27.0 Python/3" ;; sts) echo arn:aws:iam::123456789012:user/test ;; esac'


class Machine:
    """A PATH of stand-ins."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "bin"
        self.path.mkdir()
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool))
        self.has("uname", "echo x86_64")
        self.has("df", self.free(100))
        self.has("docker", DOCKER.format(root=folder))
        self.has("terraform", "echo Terraform v1.11.4")
        self.has("aws", AWS)

    @staticmethod
    def free(gigabytes):
        return f"echo Filesystem; echo /dev/x 1 1 {gigabytes * 1024 * 1024} 1% /"

    def has(self, command, body):
        path = self.path / command
        path.unlink(missing_ok=True)
        path.write_text(f"#!{shutil.which('sh')}\n{body}\n")
        path.chmod(0o755)

    def lacks(self, *commands):
        for command in commands:
            (self.path / command).unlink()

    def doctor(self, *arguments, **variables):
        return subprocess.run([DOCTOR, *arguments], text=True, capture_output=True, timeout=60, check=False,
                              env={"PATH": str(self.path), "HOME": str(self.folder / "home"), **variables})


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def findings(done):
    """{name: [(level, text, cure)]}."""
    found = {}
    lines = done.stdout.splitlines()
    for line, after in zip(lines, lines[1:]):
        level, _, rest = line.partition(" ")
        if level in ("ok", "warn", "FAIL"):
            name, _, text = rest.strip().partition(" ")
            cure = after.strip() if after.startswith(" ") else ""
            found.setdefault(name, []).append((level, text.strip(), cure))
    return found


def assert_says(done, name, level, *words):
    """One finding of this name has the level and all words; what is not ok has a cure."""
    found = findings(done).get(name, [])
    fitting = [one for one in found if one[0] == level and all(word in one[1] + one[2] for word in words)]
    assert fitting, done.stdout + done.stderr
    assert level == "ok" or fitting[0][2].startswith("do: "), done.stdout
    assert done.returncode == (1 if "FAIL" in done.stdout else 0)
    assert done.stderr == ""


def test_a_machine_that_has_all_is_well(machine):
    done = machine.doctor()
    assert (done.returncode, done.stderr) == (0, ""), done
    assert {one[0] for found in findings(done).values() for one in found} == {"ok"}
    assert set(findings(done)) == {"architecture", "docker", "buildkit", "buildx", "disk", "terraform", "aws", "credentials"}
    assert done.stdout.endswith("0 to mend, 0 to know\n")
    assert "arn:aws:iam::123456789012:user/test" in done.stdout


def test_a_machine_that_has_nothing_is_told_all_at_once(machine):
    machine.lacks("docker", "terraform", "aws", "df", "timeout")
    done = machine.doctor(DOCKER_HOST=f"unix://{machine.folder}/none.sock")
    assert_says(done, "docker", "FAIL", "neither the command docker", "install Docker")
    assert_says(done, "terraform", "FAIL", "not installed")
    assert_says(done, "aws", "warn", "no aws command")
    assert_says(done, "credentials", "warn", "none seen")
    assert_says(done, "disk", "warn", "cannot be seen")
    assert "2 to mend, 3 to know" in done.stdout


def test_help_says_what_is_looked_at_and_arguments_are_checked(machine):
    done = machine.doctor("--help")
    assert done.returncode == 0
    for name in findings(machine.doctor()):
        assert f"\n  {name} " in done.stdout, name
    done = machine.doctor("--frob")
    assert done.returncode == 2 and "--frob" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("said, words", [
    ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", ("no daemon answers", "start it")),
    ("permission denied while trying to connect to the Docker daemon socket", ("may not speak", "usermod -aG docker"))])
def test_a_daemon_that_cannot_be_reached(machine, said, words):
    machine.has("docker", f"echo '{said}' >&2; exit 1")
    assert_says(machine.doctor(), "docker", "FAIL", *words)


def test_docker_host_is_named_when_nothing_answers_there(machine):
    machine.has("docker", "echo 'cannot connect' >&2; exit 1")
    assert_says(machine.doctor(DOCKER_HOST="tcp://127.0.0.1:9"), "docker", "FAIL", "DOCKER_HOST=tcp://127.0.0.1:9")


class UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class Version(BaseHTTPRequestHandler):
    def do_GET(self):
        body = (b'{"Components":[{"Name":"Engine","Version":"28.0.0","Details":{}}],"Version":"28.0.0",'
                b'"ApiVersion":"1.48","Os":"linux","Arch":"amd64"}') if self.path == "/version" else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "unix"

    def log_message(self, *unused):
        pass


def test_the_daemon_is_enough_without_the_command(machine, tmp_path):
    (machine.path / "curl").symlink_to(shutil.which("curl"))
    machine.lacks("docker")
    place = tmp_path / "d.sock"
    with UnixServer(str(place), Version) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = machine.doctor(DOCKER_HOST=f"unix://{place}")
        server.shutdown()
    assert_says(done, "docker", "ok", "28.0.0", "linux/amd64")
    assert_says(done, "buildkit", "ok")
    assert done.returncode == 0


def test_a_socket_that_nobody_serves(machine, tmp_path):
    (machine.path / "curl").symlink_to(shutil.which("curl"))
    machine.lacks("docker")
    place = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
    assert stat.S_ISSOCK(os.stat(place).st_mode)
    assert_says(machine.doctor(DOCKER_HOST=f"unix://{place}"), "docker", "FAIL", "no daemon answers")


def test_containers_for_windows_are_refused(machine):
    machine.has("docker", DOCKER.format(root="/").replace("linux/amd64", "windows/amd64"))
    assert_says(machine.doctor(), "docker", "FAIL", "windows/amd64", "Linux containers")


def test_a_context_of_its_own_is_pointed_out(machine):
    machine.has("docker", DOCKER.format(root="/").replace("echo default", "echo desktop-linux"))
    assert_says(machine.doctor(), "docker", "warn", "desktop-linux", "export DOCKER_HOST=")
    assert_says(machine.doctor(DOCKER_HOST="unix:///x"), "docker", "ok")


def test_buildkit_that_is_switched_off_or_missing(machine):
    assert_says(machine.doctor(DOCKER_BUILDKIT="0"), "buildkit", "warn", "unset DOCKER_BUILDKIT")
    for version, level in (("18.06.3", "FAIL"), ("18.09.0", "ok"), ("20.10.24+dfsg1", "ok")):
        machine.has("docker", DOCKER.format(root="/").replace("28.2.2", version))
        assert_says(machine.doctor(), "buildkit", level)


def test_a_missing_buildx_is_no_hindrance(machine):
    machine.has("docker", DOCKER.format(root="/") + '\n[ "$1" != buildx ] || exit 1')
    done = machine.doctor()
    assert_says(done, "buildx", "warn", "docker-buildx")
    assert done.returncode == 0


@pytest.mark.parametrize("free, levels", [(1, ["FAIL", "FAIL"]), (2, ["FAIL", "ok"]), (3, ["FAIL", "ok"]),
                                          (4, ["ok", "ok"])])
def test_disk_space_is_measured_against_what_is_needed(machine, free, levels):
    machine.has("df", machine.free(free))
    done = machine.doctor()
    assert [one[0] for one in findings(done)["disk"]] == levels
    assert done.returncode == (1 if "FAIL" in levels else 0)


@pytest.mark.parametrize("version, level", [("1.4.7", "FAIL"), ("1.5.0", "ok-ish"), ("1.6.6", "ok-ish"), ("1.7.0", "ok"),
                                            ("1.11.4", "ok"), ("2.0.0", "ok"), ("0.15.5", "FAIL"), ("1.7.0-rc1", "ok")])
def test_versions_of_terraform_are_compared_as_numbers(machine, version, level):
    machine.has("terraform", f"echo Terraform v{version}; echo on linux_amd64")
    assert_says(machine.doctor(), "terraform", "warn" if level == "ok-ish" else level, version)


def test_a_terraform_that_does_not_run(machine):
    machine.has("terraform", "exit 126")
    assert_says(machine.doctor(), "terraform", "FAIL", "does not say its version")


@pytest.mark.parametrize("said, words", [
    ("Unable to locate credentials. You can configure credentials by running aws configure.", ("there are none",)),
    ("An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: The security token included in "
     "the request is expired", ("expired", "sign in again")),
    ("Error when retrieving token from sso: Token has expired and refresh failed", ("expired", "aws sso login")),
    ("An error occurred (InvalidClientTokenId) when calling", ("refused", "clock")),
    ("An error occurred (SignatureDoesNotMatch) when calling", ("refused", "clock")),
    ("The config profile (nobody) could not be found", ("nobody", "list-profiles")),
    ('Could not connect to the endpoint URL: "https://sts.us-east-1.amazonaws.com/"', ("not reached", "network"))])
def test_credentials_that_do_not_work_are_told_apart(machine, said, words):
    machine.has("aws", f"[ \"$1\" = --version ] && echo aws-cli/2.0 || {{ echo; echo '{said}'; exit 254; }} >&2")
    assert_says(machine.doctor(), "credentials", "FAIL", *words)


def test_the_region_and_the_endpoint_in_use_are_those_of_the_environment(machine):
    machine.has("aws", 'echo "arn $*"')
    assert_says(machine.doctor(), "credentials", "ok", "--region us-east-1")
    done = machine.doctor(AWS_REGION="eu-west-1", AWS_ENDPOINT_URL="http://localhost:4566")
    assert_says(done, "credentials", "ok", "--region eu-west-1", "AWS_ENDPOINT_URL=http://localhost:4566")


def test_secrets_are_not_repeated(machine):
    machine.has("aws", 'echo "cannot"; exit 1')
    done = machine.doctor(AWS_ACCESS_KEY_ID="AKIDCANARY", AWS_SECRET_ACCESS_KEY="secret-canary", AWS_SESSION_TOKEN="token-canary")
    assert "anary" not in (done.stdout + done.stderr).replace("AKIDCANARY", "")
    assert "CANARY" not in done.stdout + done.stderr


def test_without_the_aws_command_configured_credentials_are_taken_as_such(machine):
    machine.lacks("aws")
    assert "credentials" not in findings(machine.doctor(AWS_PROFILE="work"))


def test_another_architecture_is_a_warning_with_the_way_out(machine):
    machine.has("uname", "echo arm64")
    assert_says(machine.doctor(), "architecture", "warn", "arm64", "emulation")
