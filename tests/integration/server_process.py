# SPDX-License-Identifier: Apache-2.0
"""One server of the integration tests as a child process: on a free port of 127.0.0.1, with its log
in a file, waited for until it answers, and ended with its whole process group. The kernel ends it
too if the test run dies without ending it (PR_SET_PDEATHSIG)."""
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

from emulator_packages import EmulatorError

LOOPBACK = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 5
ATTEMPTS = 3  # a port that was free when it was chosen may be taken by another process


class ServerProcess:
    """Subclasses say the command, its environment and the path that answers when it is ready."""

    name = "server"
    health_path = "/"
    needs = ()  # functions that fetch what the command names

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.log_path = self.folder / f"{self.name}.log"
        self.process = None
        self.port = None
        self.start_seconds = None

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    @property
    def url(self):
        return f"http://{LOOPBACK}:{self.port}"

    def launch(self):
        """Starts the process, without waiting for it."""
        # PR_SET_PDEATHSIG is about the thread that forks: when it ends, so does the child.
        assert threading.current_thread() is threading.main_thread()
        for need in self.needs:
            need()  # before a port is chosen, as it may take minutes
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._launched = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "SIGKILL", "--", *map(str, self.command())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(self.folder), **self.environment()})

    def wait(self):
        """Returns once the server answers; starts it again if its port was taken meanwhile."""
        for attempt in range(ATTEMPTS):
            if self._answers():
                self.start_seconds = time.monotonic() - self._launched
                return self
            self.stop()
            if attempt + 1 < ATTEMPTS and "in use" in self.log():
                self.launch()
                continue
            raise EmulatorError(f"{self.name} did not start; its log ends with\n{self.log()}")
        raise AssertionError("unreachable")

    def start(self):
        self.launch()
        return self.wait()

    def _answers(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            # The port must be ours: another process may have taken it and answer in our place.
            if (LOOPBACK, self.port) in self.listening():
                try:
                    with urllib.request.urlopen(self.url + self.health_path, timeout=10):
                        return True
                except urllib.error.HTTPError:
                    return True  # an error status is an answer
                except OSError:
                    pass
            time.sleep(0.05)
        return False

    def stop(self):
        if self.process is None:
            return
        for end in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, end)
            except ProcessLookupError:
                break
            try:
                self.process.wait(STOP_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # what the leader left behind
        except ProcessLookupError:
            pass
        self.process.wait()

    def pause(self):
        """A server that hangs: the kernel takes connections, nobody answers."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def log(self):
        return self.log_path.read_text(errors="replace")[-4000:] if self.log_path.exists() else ""

    def members(self):
        """Process ids of the server's session."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue  # ended meanwhile
                if int(stat.rpartition(")")[2].split()[3]) == self.process.pid:
                    found.append(int(entry.name))
        return found

    def peak_memory_mb(self):
        total = 0
        for pid in self.members():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1])
        return total / 1024

    def listening(self):
        """(address, port) of every TCP socket on which the server listens."""
        inodes = set()
        for pid in self.members():
            try:
                for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                    target = os.readlink(fd)
                    if target.startswith("socket:["):
                        inodes.add(target[8:-1])
            except OSError:
                continue  # ended meanwhile
        return {address for inode, address in _listeners() if inode in inodes}


def _listeners():
    """(inode, (address, port)) of the machine's listening TCP sockets; proc(5), /proc/net/tcp."""
    for family, table in ((socket.AF_INET, "/proc/net/tcp"), (socket.AF_INET6, "/proc/net/tcp6")):
        if not os.path.exists(table):
            continue
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # TCP_LISTEN
                packed, port = fields[1].split(":")
                raw = bytes.fromhex(packed)
                raw = b"".join(raw[i:i + 4][::-1] for i in range(0, len(raw), 4))
                address = socket.inet_ntop(family, raw).removeprefix("::ffff:")
                yield fields[9], (address, int(port, 16))


def free_port():
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]
