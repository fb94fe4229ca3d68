# SPDX-License-Identifier: Apache-2.0
"""Makes system calls of a running service fail, through tests/support/fault_preload.c."""
import contextlib
import errno
import mmap
import pathlib
import struct

import pytest
from conftest import BINARIES, ROOT, Service

LAYOUT = struct.Struct("IiIIII24s128s")  # struct dic_fault of tests/support/fault.h


def library():
    """Beside the programs under test, or from another build of these sources."""
    for folder in (BINARIES.parent, ROOT / "build/asan", ROOT / "build/clang", ROOT / "build/debug"):
        if (folder / "tests/libfault_preload.so").exists():
            return folder / "tests/libfault_preload.so"
    pytest.skip("libfault_preload.so is part of builds with DIC_TESTS=ON; there is none")


class FaultyService(Service):
    """classifier-local with failing system calls, from the start or whenever a test wants them."""

    def __init__(self, folder, **environment):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.record_path = folder / "fault"
        self.record_path.write_bytes(bytes(LAYOUT.size))
        with open(self.record_path, "r+b") as file:
            self.record = mmap.mmap(file.fileno(), LAYOUT.size)
        super().__init__(folder, LD_PRELOAD=str(library()), DIC_FAULT_FILE=str(self.record_path),
                         ASAN_OPTIONS="verify_asan_link_order=0", **environment)

    def arm(self, function, error, path="", first=1, count=0):
        """Matching calls fail from the first-th on, count of them or (0) all until disarm."""
        self.record[:4] = bytes(4)
        values = LAYOUT.pack(0, getattr(errno, error), first, count, 0, 0, function.encode(), path.encode())
        self.record[4:] = values[4:]
        self.record[:4] = struct.pack("I", 1)

    def disarm(self):
        """The number of calls that failed."""
        self.record[:4] = bytes(4)
        return self.failed

    @property
    def failed(self):
        return LAYOUT.unpack(self.record[:])[5]

    @contextlib.contextmanager
    def fault(self, function, error, path="", **more):
        self.arm(function, error, path, **more)
        try:
            yield
        finally:
            self.disarm()
