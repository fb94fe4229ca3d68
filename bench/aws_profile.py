# SPDX-License-Identifier: Apache-2.0
"""Where processes spend their CPU time: perf samples the clock, and the samples are counted by thread,
by component (a library, the kernel, a folder of this project) and by function."""
import collections
import contextlib
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
HERTZ = 499  # a prime, in step with no timer; more would show in what is measured
OURS = ("lib", "ml-service", "backend-service", "local")
# The first pattern found in the path of a sample's file says whose code it is.
COMPONENTS = (
    (r"kernel|\[vdso\]|\[guest", "kernel"),
    (r"libcurl|libnghttp2", "libcurl"),
    (r"libcrypto|libssl", "OpenSSL"),
    (r"libopenvino|libtbb|libhwloc", "OpenVINO"),
    (r"libjpeg|libspng|libwebp|libgif|libsharpyuv|libpng", "image libraries"),
    (r"libz\.", "zlib"),
    (r"libexpat", "expat"),
    (r"libjansson", "jansson"),
    (r"libc\.so|libc-|libm\.so|libm-|ld-linux|libstdc\+\+|libgcc", "C library"),
)


class Profile(contextlib.AbstractContextManager):
    """perf on these processes while the block runs; afterwards `samples` is a Counter of
    (thread, component, function)."""

    def __init__(self, folder, pids, program):
        self.data = pathlib.Path(folder) / "perf.data"
        self.log = pathlib.Path(folder) / "perf.log"
        self.program = pathlib.Path(program).resolve()
        self.samples = collections.Counter()
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["perf", "record", "-e", "cpu-clock", "-F", str(HERTZ), "-p", ",".join(map(str, pids)),
                 "-o", self.data, "--", "sleep", "600"], stdout=log, stderr=log)

    def __exit__(self, kind, *_):
        self.process.terminate()
        self.process.wait(60)
        if kind is None:
            self._read()

    def _read(self):
        text = subprocess.run(["perf", "script", "-i", self.data, "-F", "comm,ip,sym,dso"], capture_output=True,
                              text=True, errors="replace", check=True, timeout=300).stdout
        folders = source_folders(self.program)
        for line in text.splitlines():
            found = re.match(r"\s*(.+?)\s+[0-9a-f]+ (.*) \((.*)\)$", line)
            if found:
                thread, function, file = found.groups()
                # fetcher-3 and fetcher-4 do the same
                self.samples[re.sub(r"[-/ ]?\d+$", "", thread), self._component(file, function, folders), function] += 1
        assert self.samples, f"perf saw nothing:\n{self.log.read_text(encoding='utf-8')}"

    def _component(self, file, function, folders):
        if pathlib.Path(file).name == self.program.name:
            return folders.get(function, "this project")
        for pattern, name in COMPONENTS:
            if re.search(pattern, file):
                return name
        # perf's names for memory that is no file's
        return "OpenVINO" if re.search(r"anon|memfd|unknown|heap|\.map", file) else pathlib.Path(file).name

    def shares(self, of):
        """Counter of a part of the samples' names, as shares of all; of is a function of (thread, component,
        function), and leaves out those of which it says None."""
        total, found = sum(self.samples.values()), collections.Counter()
        for names, count in self.samples.items():
            if of(*names) is not None:
                found[of(*names)] += count / total
        return found


def source_folders(program):
    """{function: the folder of its source}, by the program's debugging symbols."""
    text = subprocess.run(["nm", "--line-numbers", "--defined-only", program], capture_output=True, text=True,
                          check=True, timeout=120).stdout
    found = {}
    for line in text.splitlines():
        names, _, place = line.partition("\t")
        if place:
            parts = pathlib.PurePath(place.rpartition(":")[0]).parts
            for i, part in enumerate(parts):
                if part in OURS:
                    found[names.split()[-1]] = "/".join(parts[i:i + 2]) if part == "lib" else part
                    break
    return found


def is_available():
    return shutil.which("perf") is not None and subprocess.run(
        ["perf", "record", "-e", "cpu-clock", "-o", "/dev/null", "--", "true"], capture_output=True,
        check=False).returncode == 0
