# SPDX-License-Identifier: Apache-2.0
"""What a file of the corpus is, and what everybody needs to make one."""
import dataclasses
import io
from typing import Callable

HEADER, ROWS, WHOLE = 8, 64, 272  # MiB that a decoder may grow by: for a refusal, rows, a whole picture
QUICK, USUAL, LONG = 2, 5, 2500  # CPU milliseconds

CORRUPT, UNSUPPORTED, TOO_LARGE, EMPTY = "CORRUPT_IMAGE", "UNSUPPORTED_FORMAT", "TOO_LARGE", "EMPTY"
OK, PARTIAL = "ok", "partial"


def either(*outcomes):
    return "|".join(outcomes)


@dataclasses.dataclass(frozen=True)
class Item:
    name: str
    make: Callable[[], bytes]
    expected: str = OK  # "ok", "partial", a row's error code, or several of them with "|" between
    label: str = ""  # the real model's, when the picture is a photo that it knows
    memory_mib: int = ROWS
    cpu_ms: int = USUAL
    deep: bool = False  # only for make test-deep


def refused(name, make, expected=CORRUPT, **more):
    """A file that must be refused for what its first bytes say."""
    return Item(name, make, expected, **{"memory_mib": HEADER, "cpu_ms": QUICK, **more})


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def patched(data, at, new):
    return data[:at] + new + data[at + len(new):]


class Bits:
    """Bits into bytes: the first bit of a byte is its highest (JPEG, GIF backwards: lowest)."""

    def __init__(self, lowest_first=False):
        self.lowest_first = lowest_first
        self.bytes = bytearray()
        self.held, self.count = 0, 0

    def put(self, value, width):
        if self.lowest_first:
            self.held |= value << self.count
            self.count += width
            while self.count >= 8:
                self.bytes.append(self.held & 0xFF)
                self.held >>= 8
                self.count -= 8
            return
        self.held = self.held << width | value
        self.count += width
        while self.count >= 8:
            self.count -= 8
            self.bytes.append(self.held >> self.count & 0xFF)
        self.held &= (1 << self.count) - 1

    def done(self, padding=0):
        """All bytes, the last one filled up with ones or zeros."""
        while self.count:
            self.put(padding, 1)
        return bytes(self.bytes)
