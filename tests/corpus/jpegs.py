# SPDX-License-Identifier: Apache-2.0
"""JPEG files, byte by byte (ITU-T T.81): what Pillow writes, and what it does not."""
import functools
import math
import struct

from PIL import Image, ImageOps

from item import (CORRUPT, LONG, OK, PARTIAL, TOO_LARGE, UNSUPPORTED, USUAL, WHOLE, Bits, Item, either, patched,
                  refused, saved)

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
MAX_PIXELS, MAX_SIDE, MAX_SCANS = 64_000_000, 16384, 100
ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, (i // 8 if (i // 8 + i % 8) % 2 else i % 8)))
COSINES = [[math.cos((2 * x + 1) * u * math.pi / 16) * (math.sqrt(0.125) if u == 0 else 0.5) for x in range(8)]
           for u in range(8)]


def segment(marker, payload):
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def segments(data):
    """(marker, start, end) of each segment up to the first scan's header, included."""
    at, found = 2, []
    while not found or found[-1][0] != 0xDA:
        end = at + 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
        found.append((data[at + 1], at, end))
        at = end
    return found


def without(data, marker):
    """The file without the segments of that marker."""
    for kind, start, end in reversed(segments(data)):
        if kind == marker:
            data = data[:start] + data[end:]
    return data


def with_size(data, width, height):
    start = next(s for kind, s, _ in segments(data) if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC))
    return patched(data, start + 5, struct.pack(">HH", height, width))


def with_marker(data, old, new):
    start = next(s for kind, s, _ in segments(data) if kind == old)
    return patched(data, start + 1, bytes([new]))


def inserted(data, extra):
    """Something behind SOI."""
    return data[:2] + extra + data[2:]


# ---- a writer for what Pillow cannot: any sampling, restarts, scans, precision ----

def quantisers(step):
    return segment(0xDB, bytes([0]) + bytes([step]) * 64)


def wide_quantisers(step):
    """16-bit steps, as 12-bit pictures may need them."""
    return segment(0xDB, bytes([0x10]) + struct.pack(">H", step) * 64)


def frame(marker, width, height, components, precision=8):
    body = struct.pack(">BHHB", precision, height, width, len(components))
    return segment(marker, body + b"".join(bytes([c["id"], c["h"] << 4 | c["v"], 0]) for c in components))


def table(kind, symbols, width):
    """A Huffman table in which all codes are equally long; the all-ones code stays unused."""
    assert len(symbols) < 1 << width
    counts = bytes(len(symbols) if length == width else 0 for length in range(1, 17))
    return segment(0xC4, bytes([kind]) + counts + bytes(symbols))


DC_SYMBOLS = list(range(16))
AC_SYMBOLS = [0x00, 0xF0] + [run << 4 | size for run in range(16) for size in range(1, 15)]
TABLES = table(0x00, DC_SYMBOLS, 5) + table(0x10, AC_SYMBOLS, 8)
ZERO_TABLES = table(0x00, [0], 1) + table(0x10, [0], 1)  # a flat block is the bits 0, 0
SKIP_SYMBOLS = [size << 4 for size in range(15)]
SKIP_TABLE = table(0x10, SKIP_SYMBOLS, 4)


def scan(components, first=0, last=63, approximation=0):
    body = bytes([len(components)]) + b"".join(bytes([c["id"], 0]) for c in components)
    return segment(0xDA, body + bytes([first, last, approximation]))


def stuffed(data):
    return data.replace(b"\xff", b"\xff\x00")


def put_number(bits, value, size):
    bits.put(value if value >= 0 else value + (1 << size) - 1, size)


def put_block(bits, block, predicted):
    """block: 64 quantised coefficients in zigzag order."""
    size = abs(block[0] - predicted).bit_length()
    bits.put(DC_SYMBOLS.index(size), 5)
    put_number(bits, block[0] - predicted, size)
    run = 0
    last = max((i for i in range(1, 64) if block[i]), default=0)
    for value in block[1:last + 1]:
        if value == 0:
            run += 1
            continue
        while run > 15:
            bits.put(AC_SYMBOLS.index(0xF0), 8)
            run -= 16
        size = abs(value).bit_length()
        bits.put(AC_SYMBOLS.index(run << 4 | size), 8)
        put_number(bits, value, size)
        run = 0
    if last < 63:
        bits.put(AC_SYMBOLS.index(0x00), 8)


@functools.lru_cache(maxsize=None)
def coefficients(rows, step):
    """The 8 × 8 DCT of level-shifted samples, quantised, in zigzag order."""
    half = [[sum(c * v for c, v in zip(cosines, row)) for cosines in COSINES] for row in rows]
    columns = list(zip(*half))
    whole = [[sum(c * v for c, v in zip(cosines, column)) for column in columns] for cosines in COSINES]
    return [round(whole[i // 8][i % 8] / step) for i in ZIGZAG]


def blocks_of(plane, wide, high, step):
    """{(x, y): coefficients} of a grey image, its edge repeated up to wide × high blocks."""
    width, height = plane.size
    pixels = plane.tobytes()
    lines = [pixels[min(y, height - 1) * width:][:width] for y in range(high * 8)]
    lines = [tuple(v - 128 for v in line) + (line[-1] - 128,) * (wide * 8 - width) for line in lines]
    return {(x, y): coefficients(tuple(line[8 * x:8 * x + 8] for line in lines[8 * y:8 * y + 8]), step)
            for y in range(high) for x in range(wide)}


def sampled(image, factors, restart=0, step=8, separate=False, names=b"\1\2\3\4"):
    """A baseline JPEG with the given (h, v) for each component of a YCbCr, grey or other image."""
    width, height = image.size
    most_h, most_v = max(h for h, _ in factors), max(v for _, v in factors)
    mcus_x, mcus_y = -(-width // (8 * most_h)), -(-height // (8 * most_v))
    components = []
    for name, plane, (h, v) in zip(names, image.split(), factors):
        size = (-(-width * h // most_h), -(-height * v // most_v))
        plane = plane.resize(size, Image.Resampling.BOX) if size != plane.size else plane
        components.append({"id": name, "h": h, "v": v, "size": size,
                           "blocks": blocks_of(plane, mcus_x * h, mcus_y * v, step)})
    interval = segment(0xDD, struct.pack(">H", restart)) if restart else b""
    head = SOI + quantisers(step) + frame(0xC0, width, height, components) + TABLES + interval
    if separate:
        body = b"".join(scan([c]) + one_component(c) for c in components)
    else:
        body = scan(components) + interleaved(components, mcus_x, mcus_y, restart)
    return head + body + EOI


def one_component(component):
    """A scan of one component has no padding to whole MCUs."""
    bits, predicted = Bits(), 0
    width, height = component["size"]
    for y in range(-(-height // 8)):
        for x in range(-(-width // 8)):
            block = component["blocks"][x, y]
            put_block(bits, block, predicted)
            predicted = block[0]
    return stuffed(bits.done(1))


def interleaved(components, mcus_x, mcus_y, restart):
    out, bits, predicted, number = b"", Bits(), {}, 0
    for y in range(mcus_y):
        for x in range(mcus_x):
            if restart and number and number % restart == 0:
                out += stuffed(bits.done(1)) + bytes([0xFF, 0xD0 + (number // restart - 1) % 8])
                bits, predicted = Bits(), {}
            number += 1
            for c in components:
                for block_y in range(c["v"]):
                    for block_x in range(c["h"]):
                        block = c["blocks"][x * c["h"] + block_x, y * c["v"] + block_y]
                        put_block(bits, block, predicted.get(c["id"], 0))
                        predicted[c["id"]] = block[0]
    return out + stuffed(bits.done(1))


GREY = [{"id": 1, "h": 1, "v": 1}]


def block_count(width, height):
    return -(-width // 8) * -(-height // 8)


def flat_bits(count):
    return stuffed(bytes(count // 8) + (bytes([0xFF >> count % 8]) if count % 8 else b""))


def flat(width, height, marker=0xC0, extra=b"", precision=8, step=1):
    """Grey all over: two bits a block."""
    steps = quantisers(step) if precision == 8 else wide_quantisers(step)
    return (SOI + extra + steps + frame(marker, width, height, GREY, precision) + ZERO_TABLES + scan(GREY)
            + flat_bits(2 * block_count(width, height)) + EOI)


def skipping_scan(width, height):
    """A progressive scan of all AC coefficients in which every block is empty."""
    bits, left = Bits(), block_count(width, height)
    while left:
        size = min(left.bit_length() - 1, 14)
        run = min(left, (2 << size) - 1)
        bits.put(SKIP_SYMBOLS.index(size << 4), 4)
        bits.put(run - (1 << size), size)
        left -= run
    return scan(GREY, 1, 63) + stuffed(bits.done(1))


def many_scans(width, height, count):
    """A progressive picture of count scans, of which all but the first are empty."""
    return (SOI + quantisers(1) + frame(0xC2, width, height, GREY) + table(0x00, [0], 1) + SKIP_TABLE
            + scan(GREY, 0, 0) + flat_bits(block_count(width, height))
            + skipping_scan(width, height) * (count - 1) + EOI)


def four_components(side):
    """Grey all over, progressive, in four components: eight bytes a pixel until it is whole."""
    components = [{"id": i, "h": 1, "v": 1} for i in range(1, 5)]
    return (SOI + quantisers(1) + frame(0xC2, side, side, components) + table(0x00, [0], 1)
            + scan(components, 0, 0) + flat_bits(4 * block_count(side, side)) + EOI)


def lossless(width, height):
    """SOF3: a bit for each sample, which is what the one before says."""
    return (SOI + frame(0xC3, width, height, GREY) + table(0x00, [0], 1) + scan(GREY, 1, 0)
            + flat_bits(width * height) + EOI)


# ITU-T T.81 table D.3, as far as a sequence of equal decisions leads: Qe and the next index after a
# more probable symbol. A less probable one at index 0 exchanges the symbols and leads to index 1.
QM_STATES = [(0x5A1D, 1), (0x2586, 2), (0x1114, 3), (0x080B, 4), (0x03D8, 5), (0x01DA, 6), (0x00E5, 7),
             (0x006F, 8), (0x0036, 9), (0x001A, 10), (0x000D, 11), (0x0006, 12), (0x0003, 13), (0x0001, 13)]


class FlatCoder:
    """The QM encoder of annex D for decisions that each context answers always alike. The code is a
    number as long as it needs to be, so there are no carries to resolve."""

    def __init__(self):
        self.low, self.range, self.shifts = 0, 0x10000, 0
        self.contexts = {}

    def put(self, context, decision):
        index, likely = self.contexts.get(context, (0, 0))
        qe, following = QM_STATES[index]
        self.range -= qe
        if decision == likely:
            if self.range >= 0x8000:
                return
            if self.range < qe:  # conditional exchange
                self.low += self.range
                self.range = qe
            self.contexts[context] = (following, likely)
        else:
            assert index == 0
            if self.range >= qe:
                self.low += self.range
                self.range = qe
            self.contexts[context] = (1, 1 - likely)
        while self.range < 0x8000:
            self.range <<= 1
            self.low <<= 1
            self.shifts += 1

    def done(self):
        """The roundest number in the interval: decoders read zeros beyond the end."""
        width = 16 + self.shifts
        value = next(v for drop in range(width, -1, -1)
                     if (v := -(-self.low >> drop) << drop) < self.low + self.range)
        value <<= -width % 8
        return stuffed(value.to_bytes((width + 7) // 8, "big").rstrip(b"\0") or b"\0")


def arithmetic(width, height, marker=0xC9):
    """Grey all over, arithmetic-coded: each block says "no DC difference", "end of block"."""
    coder = FlatCoder()
    for _ in range(block_count(width, height)):
        coder.put("dc", 0)
        coder.put("ac", 1)
    return SOI + quantisers(1) + frame(marker, width, height, GREY) + scan(GREY) + coder.done() + EOI


# ---- metadata ----

def exif(payload):
    return segment(0xE1, b"Exif\0\0" + payload)


def tiff(entries, at=8, following=0):
    """A little-endian TIFF with one directory; entries are (tag, type, count, value)."""
    body = b"II*\0" + struct.pack("<I", at) + struct.pack("<H", len(entries))
    return body + b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", following)


def nested_thumbnails(data):
    """Each thumbnail has a thumbnail of its own, as deep as a segment is long."""
    inner = saved(Image.new("RGB", (8, 8)), "JPEG")
    while len(inner) < 63000:
        directory = tiff([(0x0201, 4, 1, 38), (0x0202, 4, 1, len(inner))])
        inner = inserted(flat(8, 8), exif(directory + inner))
    return inserted(data, exif(tiff([(0x0201, 4, 1, 38), (0x0202, 4, 1, len(inner))]) + inner))


def adobe(transform):
    return segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


def inks(photo):
    """The photo as ink planes, printed with the darkest common part in black."""
    cyan, magenta, yellow = (ImageOps.invert(plane) for plane in photo.split())
    black = Image.new("L", photo.size, 0)
    return [cyan, magenta, yellow, black]


def ycck(photo):
    """Adobe's YCCK: inverted inks, of which three are turned into YCbCr."""
    first_three = Image.merge("RGB", [ImageOps.invert(plane) for plane in inks(photo)[:3]]).convert("YCbCr")
    stored = Image.merge("CMYK", [*first_three.split(), Image.new("L", photo.size, 255)])
    return inserted(sampled(stored, [(1, 1)] * 4), adobe(2))


def cmyk(photo, transform):
    """Without Adobe's marker the inks are stored as they are, with it inverted."""
    planes = inks(photo) if transform is None else [ImageOps.invert(plane) for plane in inks(photo)]
    data = sampled(Image.merge("CMYK", planes), [(1, 1)] * 4)
    return data if transform is None else inserted(data, adobe(transform))


def rgb(photo, by_marker):
    """Three components that are red, green and blue: said by Adobe's marker or by their names."""
    if by_marker:
        return inserted(sampled(photo, [(1, 1)] * 3), adobe(0))
    return sampled(photo, [(1, 1)] * 3, names=b"RGB")


# ---- the items ----

def bombs(photo):
    small = saved(photo.resize((64, 64)), "JPEG")
    progressive = saved(photo.resize((64, 64)), "JPEG", progressive=True)
    yield refused("header-lie-65500-square.jpg", lambda: with_size(small, 65500, 65500), TOO_LARGE)
    yield refused("header-lie-20000-square-progressive.jpg", lambda: with_size(progressive, 20000, 20000), TOO_LARGE)
    yield refused("header-lie-8000-square-progressive.jpg", lambda: with_size(progressive, 8000, 8000),
                  either(CORRUPT, TOO_LARGE))
    yield refused("header-lie-16384-by-3906.jpg", lambda: with_size(small, 16384, 3906))
    yield refused("header-lie-8000-square-grey-progressive.jpg",
                  lambda: with_size(many_scans(8, 8, 2), 8000, 8000))
    for width, expected in ((MAX_SIDE - 1, OK), (MAX_SIDE, OK), (MAX_SIDE + 1, TOO_LARGE)):
        yield Item(f"{width}-wide.jpg", lambda width=width: flat(width, 8), expected)
        yield Item(f"{width}-high.jpg", lambda width=width: flat(8, width), expected)
    for height, expected in ((7999, OK), (8000, OK), (8001, TOO_LARGE)):
        yield Item(f"8000-by-{height}.jpg", lambda height=height: flat(8000, height), expected, cpu_ms=LONG)
    for count, expected in ((MAX_SCANS - 1, OK), (MAX_SCANS, OK), (MAX_SCANS + 1, TOO_LARGE)):
        yield Item(f"{count}-scans.jpg", lambda count=count: many_scans(64, 64, count), expected)
    for side, deep in ((2000, False), (8000, True)):
        whole = {"memory_mib": WHOLE, "cpu_ms": LONG, "deep": deep}
        yield Item(f"100-scans-{side}-square.jpg", lambda side=side: many_scans(side, side, 100), **whole)
        yield Item(f"501-scans-{side}-square.jpg", lambda side=side: many_scans(side, side, 501), TOO_LARGE, **whole)
        yield Item(f"1001-scans-{side}-square.jpg", lambda side=side: many_scans(side, side, 1001), TOO_LARGE, **whole)
    for side, expected in ((1000, OK), (5700, OK), (5792, either(OK, TOO_LARGE)), (5800, TOO_LARGE)):
        yield Item(f"four-components-progressive-{side}-square.jpg", lambda side=side: four_components(side), expected,
                   memory_mib=WHOLE, cpu_ms=LONG, deep=side > 1000)
    yield Item("restart-interval-1.jpg", lambda: sampled(photo.convert("YCbCr").resize((192, 128)), [(1, 1)] * 3, 1),
               label="espresso")
    yield Item("64-mb-of-comments.jpg", lambda: inserted(small, segment(0xFE, bytes(65533)) * 1024), TOO_LARGE)
    yield Item("24-mb-of-comments.jpg", lambda: inserted(small, segment(0xFE, bytes(65533)) * 384))
    yield Item("24-mb-of-application-data.jpg",
               lambda: inserted(small, b"".join(segment(0xE0 + i % 16, bytes(65533)) for i in range(384))))
    yield Item("65535-quantisation-tables.jpg", lambda: inserted(small, quantisers(1) * 65535))
    yield Item("65535-huffman-tables.jpg", lambda: inserted(small, ZERO_TABLES * 65535))
    yield Item("exif-directory-loop.jpg", lambda: inserted(small, exif(tiff([(0x8769, 4, 1, 8)], following=8))))
    yield Item("exif-count-2-32.jpg",
               lambda: inserted(small, exif(tiff([(0x0112, 3, 0xFFFFFFFF, 6), (0x927C, 7, 0xFFFFFFFF, 0xFFFFFFFF)]))))
    yield Item("exif-65535-entries.jpg",
               lambda: inserted(small, exif(patched(tiff([(0x0100, 3, 1, 1)] * 5000), 8, b"\xff\xff"))))
    yield Item("exif-directory-beyond-the-end.jpg", lambda: inserted(small, exif(tiff([], at=0xFFFFFFF0))))
    yield Item("nested-thumbnails.jpg", lambda: nested_thumbnails(small))
    yield Item("arithmetic.jpg", lambda: arithmetic(512, 512), either(OK, UNSUPPORTED))
    yield Item("arithmetic-4096-square.jpg", lambda: arithmetic(4096, 4096), either(OK, UNSUPPORTED))
    yield Item("arithmetic-8000-square-no-data.jpg", lambda: with_size(arithmetic(8, 8), 8000, 8000),
               either(CORRUPT, UNSUPPORTED, OK), cpu_ms=LONG)
    yield Item("arithmetic-progressive-garbage.jpg", lambda: with_marker(progressive, 0xC2, 0xCA),
               either(CORRUPT, UNSUPPORTED, OK, PARTIAL))
    yield Item("12-bit.jpg", lambda: flat(64, 64, 0xC1, precision=12), UNSUPPORTED)
    yield Item("lossless.jpg", lambda: lossless(64, 64), UNSUPPORTED)
    for marker in (0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF):
        yield refused(f"frame-of-type-{marker:02x}.jpg", lambda marker=marker: with_marker(small, 0xC0, marker),
                      either(UNSUPPORTED, CORRUPT))
    yield Item("sampling-4x4-grey.jpg", lambda: sampled(photo.convert("L").resize((120, 80)), [(4, 4)]))
    yield Item("sampling-4x4-separate-scans.jpg", label="espresso", make=lambda: sampled(
        photo.convert("YCbCr").resize((192, 128)), [(4, 4), (1, 1), (1, 1)], separate=True))
    yield Item("sampling-4x4-one-scan.jpg", lambda: sampled(
        photo.convert("YCbCr").resize((120, 80)), [(4, 4), (1, 1), (1, 1)]), CORRUPT)


def corrupt(photo):
    small = saved(photo.resize((120, 80)), "JPEG")
    progressive = saved(photo.resize((120, 80)), "JPEG", progressive=True)
    yield refused("start-only.jpg", lambda: SOI)
    yield refused("start-and-end.jpg", lambda: SOI + EOI)
    yield refused("no-picture.jpg", lambda: SOI + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + EOI)
    yield Item("no-end.jpg", lambda: small[:-2], either(OK, PARTIAL))
    yield refused("no-scan.jpg", lambda: without(small, 0xDA)[:600] + EOI)
    yield Item("no-huffman-tables.jpg", lambda: without(small, 0xC4), either(OK, PARTIAL, CORRUPT))
    yield refused("no-quantisation-tables.jpg", lambda: without(small, 0xDB))
    yield refused("no-frame.jpg", lambda: without(small, 0xC0))
    yield refused("two-frames.jpg", lambda: inserted(small, frame(0xC0, 16, 16, GREY)))
    yield refused("0-wide.jpg", lambda: with_size(small, 0, 80))
    yield refused("0-high.jpg", lambda: with_size(small, 120, 0))
    yield refused("0-high-with-dnl.jpg",
                  lambda: with_size(small, 120, 0)[:-2] + segment(0xDC, struct.pack(">H", 80)) + EOI)
    yield refused("0-components.jpg", lambda: SOI + frame(0xC0, 8, 8, []) + scan([]) + EOI)
    yield refused("5-components.jpg", lambda: SOI + quantisers(1) + frame(
        0xC0, 8, 8, [{"id": i, "h": 1, "v": 1} for i in range(5)]) + ZERO_TABLES + scan(GREY) + bytes(9) + EOI,
        either(CORRUPT, UNSUPPORTED))
    yield refused("sampling-0.jpg", lambda: SOI + quantisers(1) + frame(
        0xC0, 8, 8, [{"id": 1, "h": 0, "v": 1}]) + ZERO_TABLES + scan(GREY) + bytes(9) + EOI)
    yield refused("sampling-5.jpg", lambda: SOI + quantisers(1) + frame(
        0xC0, 8, 8, [{"id": 1, "h": 5, "v": 5}]) + ZERO_TABLES + scan(GREY) + bytes(9) + EOI)
    yield refused("scan-of-unknown-component.jpg", lambda: SOI + quantisers(1) + frame(0xC0, 64, 64, GREY)
                  + ZERO_TABLES + scan([{"id": 9}]) + flat_bits(128) + EOI)
    yield refused("segment-of-1-byte.jpg", lambda: inserted(small, b"\xff\xe0\0\1"), either(CORRUPT, OK))
    yield refused("segment-beyond-the-end.jpg", lambda: SOI + b"\xff\xe1\xff\xff" + bytes(100))
    yield refused("huffman-table-of-257.jpg", lambda: inserted(
        small, segment(0xC4, b"\0" + bytes([0] * 15 + [255]) + bytes(255)) + segment(0xC4, b"\0" + b"\xff" * 16)))
    yield refused("huffman-table-oversubscribed.jpg", lambda: SOI + quantisers(1) + frame(0xC0, 64, 64, GREY)
                  + segment(0xC4, b"\0" + bytes([3] + [0] * 15) + b"\0\1\2") + table(0x10, [0], 1)
                  + scan(GREY) + flat_bits(128) + EOI)
    yield refused("quantisation-table-9.jpg", lambda: inserted(small, segment(0xDB, b"\x09" + b"\1" * 64)))
    yield Item("progressive-out-of-order.jpg", lambda: SOI + quantisers(1) + frame(0xC2, 64, 64, GREY)
               + table(0x00, [0], 1) + SKIP_TABLE + skipping_scan(64, 64) + scan(GREY, 0, 0) + flat_bits(64) + EOI,
               either(OK, PARTIAL, CORRUPT))
    yield Item("progressive-refined-before-coded.jpg", lambda: SOI + quantisers(1) + frame(0xC2, 64, 64, GREY)
               + table(0x00, [0], 1) + scan(GREY, 0, 0, 0x10) + flat_bits(64) + EOI, either(OK, PARTIAL, CORRUPT))
    yield refused("progressive-band-reversed.jpg", lambda: SOI + quantisers(1) + frame(0xC2, 64, 64, GREY)
                  + table(0x00, [0], 1) + SKIP_TABLE + scan(GREY, 63, 1) + bytes(9) + EOI)
    yield Item("restart-marker-missing.jpg", lambda: cut_marker(sampled(
        photo.convert("YCbCr").resize((120, 80)), [(1, 1)] * 3, 5)), either(OK, PARTIAL, CORRUPT))
    for size in (1, 10_000_000):
        yield Item(f"trailing-{size}.jpg", lambda size=size: small + b"\xa5" * size)
        yield Item(f"trailing-{size}-zeros.jpg", lambda size=size: small + bytes(size))
    yield Item("progressive-sos-flood.jpg", lambda: progressive[:-2] + scan(GREY, 1, 63) * 50 + EOI,
               either(OK, PARTIAL, CORRUPT))


def cut_marker(data):
    at = data.index(b"\xff\xd2")
    return data[:at] + data[at + 2:]


def odd(photo):
    small = photo.resize((192, 128))
    ycbcr = small.convert("YCbCr")
    for name, factors in {"4-4-4": (1, 1), "4-2-2": (2, 1), "4-2-0": (2, 2), "4-4-0": (1, 2), "4-1-1": (4, 1),
                          "4-1-0": (4, 2), "1x4": (1, 4)}.items():
        yield Item(f"sampling-{name}.jpg", lambda f=factors: sampled(ycbcr, [f, (1, 1), (1, 1)]), label="espresso")
    yield Item("sampling-chroma-finer.jpg", lambda: sampled(ycbcr, [(1, 1), (2, 1), (1, 2)]), label="espresso")
    yield Item("grey.jpg", lambda: saved(photo.convert("L"), "JPEG"))
    yield Item("progressive.jpg", lambda: saved(photo, "JPEG", progressive=True), label="espresso")
    yield Item("optimised.jpg", lambda: saved(photo, "JPEG", optimize=True), label="espresso")
    yield Item("restarts.jpg", lambda: saved(photo, "JPEG", restart_marker_rows=1), label="espresso")
    for transform in (None, 0):
        yield Item(f"cmyk-{'plain' if transform is None else 'adobe-0'}.jpg", lambda t=transform: cmyk(small, t),
                   label="espresso")
    yield Item("ycck-adobe-2.jpg", lambda: ycck(small), label="espresso")
    yield Item("cmyk-adobe-1.jpg", lambda: inserted(cmyk(small, None), adobe(1)))
    yield Item("cmyk-by-pillow.jpg", lambda: saved(photo.convert("CMYK"), "JPEG"), label="espresso")
    yield Item("rgb-adobe-0.jpg", lambda: rgb(small, True), label="espresso")
    yield Item("rgb-by-names.jpg", lambda: rgb(small, False), label="espresso")
    yield Item("two-components.jpg", lambda: sampled(small.convert("LA"), [(1, 1)] * 2), UNSUPPORTED)
    for value in range(1, 9):
        yield Item(f"orientation-{value}.jpg", lambda value=value: turned(photo, value), label="espresso")
    for value in (0, 9, 65535):
        yield Item(f"orientation-{value}.jpg", label="espresso",
                   make=lambda value=value: inserted(saved(photo, "JPEG"), exif(tiff([(0x0112, 3, 1, value)]))))
    yield Item("orientation-as-long.jpg", label="espresso", make=lambda: inserted(
        saved(photo.transpose(Image.Transpose.ROTATE_90), "JPEG"), exif(tiff([(0x0112, 4, 1, 6)]))))
    yield Item("exif-60-kb.jpg", lambda: inserted(saved(photo, "JPEG"), exif(tiff([(0x927C, 7, 60000, 38)]) + bytes(60000))),
               label="espresso")
    yield Item("mpo.jpg", lambda: saved(photo, "MPO", save_all=True, append_images=[photo.rotate(90)]), label="espresso")
    yield Item("fill-bytes.jpg", lambda: inserted(saved(photo, "JPEG"), b"\xff" * 100), label="espresso")
    yield Item("jfif-and-exif.jpg", lambda: saved(photo, "JPEG", dpi=(72, 72), exif=Image.Exif().tobytes()),
               label="espresso")


def turned(photo, value):
    turns = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
             5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
             8: Image.Transpose.ROTATE_270}
    tags = Image.Exif()
    tags[0x0112] = value
    return saved(photo if value == 1 else photo.transpose(turns[value]), "JPEG", quality=95, exif=tags)
