# SPDX-License-Identifier: Apache-2.0
"""PNG files, chunk by chunk (the PNG specification, third edition)."""
import itertools
import struct
import zlib

from PIL import Image, ImageCms

from item import (CORRUPT, HEADER, LONG, OK, TOO_LARGE, WHOLE, Item, either, patched, refused, saved)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS, MAX_SIDE = 64_000_000, 16384
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
NAMES = {GREY: "grey", RGB: "rgb", PALETTE: "palette", GREY_ALPHA: "grey-alpha", RGBA: "rgba"}
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, data, crc=None):
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def header(width, height, depth, colour, interlaced=0, compression=0, filtering=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, compression, filtering, interlaced))


END = chunk(b"IEND", b"")


def png(head, pixels, before=b"", after=b"", kind=b"IDAT"):
    return SIGNATURE + head + before + chunk(kind, pixels) + after + END


def zeros(count):
    """count zero bytes, compressed, without holding them."""
    packer = zlib.compressobj(9)
    out = [packer.compress(bytes(1 << 20)) for _ in range(count >> 20)]
    return b"".join(out) + packer.compress(bytes(count & 0xFFFFF)) + packer.flush()


def row_bytes(width, depth, colour):
    return (width * depth * CHANNELS[colour] + 7) // 8


def packed(samples, depth):
    """Samples of one row, most significant bits first."""
    if depth == 16:
        return b"".join(struct.pack(">H", s) for s in samples)
    if depth == 8:
        return bytes(samples)
    per_byte = 8 // depth
    samples = list(samples) + [0] * (-len(samples) % per_byte)
    return bytes(sum(s << depth * (per_byte - 1 - i) for i, s in enumerate(samples[at:at + per_byte]))
                 for at in range(0, len(samples), per_byte))


def filtered(rows, pixel_bytes):
    """Each row by the next of the five filter types."""
    out, above = [], None
    for row, kind in zip(rows, itertools.cycle(range(5))):
        above = above if above is not None else bytes(len(row))
        line = bytearray([kind])
        for i, value in enumerate(row):
            left = row[i - pixel_bytes] if i >= pixel_bytes else 0
            corner = above[i - pixel_bytes] if i >= pixel_bytes else 0
            line.append(value - predicted(kind, left, above[i], corner) & 0xFF)
        out.append(bytes(line))
        above = row
    return b"".join(out)


def predicted(kind, left, up, corner):
    if kind < 4:
        return (0, left, up, (left + up) // 2)[kind]
    base = left + up - corner
    return min((left, up, corner), key=lambda near: abs(base - near))


def samples_of(image, depth, colour):
    """Rows of pixels, each a tuple of samples."""
    if colour == PALETTE:
        image = image.quantize(1 << depth)
    else:
        image = image.convert({GREY: "L", RGB: "RGB", GREY_ALPHA: "LA", RGBA: "RGBA"}[colour])
    width, height = image.size
    pixels = list(image.get_flattened_data())
    if colour not in (PALETTE,):
        scale = (1 << depth) - 1
        pixels = [tuple((v * scale + 127) // 255 for v in (p if isinstance(p, tuple) else (p,))) for p in pixels]
    else:
        pixels = [(p,) for p in pixels]
    return [pixels[y * width:(y + 1) * width] for y in range(height)], image


def encoded(image, depth, colour, interlaced, before=b""):
    rows, used = samples_of(image, depth, colour)
    width, height = image.size
    pixel_bytes = max(1, depth * CHANNELS[colour] // 8)
    if colour == PALETTE:
        before = chunk(b"PLTE", bytes(used.getpalette()[:3 << depth])) + before
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    data = b""
    for x, y, step_x, step_y in passes:
        lines = [packed([s for pixel in row[x::step_x] for s in pixel], depth) for row in rows[y::step_y] if row[x::step_x]]
        data += filtered(lines, pixel_bytes)
    return png(header(width, height, depth, colour, interlaced), zlib.compress(data), before)


def flat(width, height, depth=8, colour=GREY, interlaced=0, before=b""):
    """All zeros; only for one pass, or sizes that Adam7 divides evenly."""
    if not interlaced:
        size = height * (1 + row_bytes(width, depth, colour))
    else:
        size = sum(len(range(y, height, dy)) * (1 + row_bytes(len(range(x, width, dx)), depth, colour))
                   for x, y, dx, dy in ADAM7 if len(range(x, width, dx)))
    return png(header(width, height, depth, colour, interlaced), zeros(size), before)


def with_chunks(data, extra):
    """Chunks behind IHDR."""
    return data[:33] + extra + data[33:]


def split_data(data, piece):
    """The same picture with IDAT chunks of so many bytes."""
    at = data.index(b"IDAT") - 4
    size = struct.unpack(">I", data[at:at + 4])[0]
    body = data[at + 8:at + 8 + size]
    pieces = b"".join(chunk(b"IDAT", body[i:i + piece]) for i in range(0, len(body), piece))
    return data[:at] + pieces + data[at + 12 + size:]


# ---- the items ----

def bombs(photo):
    small = saved(photo.resize((64, 43)), "PNG")
    yield refused("60000-by-20000-1-bit.png", lambda: png(header(60000, 20000, 1, GREY), zeros(8 << 20)), TOO_LARGE)
    yield refused("10000-square-rgba16.png", lambda: png(header(10000, 10000, 16, RGBA), zeros(8 << 20)), TOO_LARGE)
    for side, expected in ((MAX_SIDE - 1, OK), (MAX_SIDE, OK), (MAX_SIDE + 1, TOO_LARGE)):
        yield Item(f"{side}-wide.png", lambda side=side: flat(side, 1), expected)
        yield Item(f"{side}-high.png", lambda side=side: flat(1, side), expected)
    yield refused("8000-by-8001-1-bit.png", lambda: flat(8000, 8001, 1), TOO_LARGE)
    for side, deep in ((2000, False), (6000, True)):
        yield Item(f"{side}-square-1-bit.png", lambda side=side: flat(side, side, 1), cpu_ms=LONG, deep=deep)
        yield Item(f"{side}-square-interlaced.png", lambda side=side: flat(side, side, 1, GREY, 1), memory_mib=WHOLE,
                   cpu_ms=LONG, deep=deep)
    for side in (2000, 5000):
        yield Item(f"{side}-square-rgba16.png", lambda side=side: flat(side, side, 16, RGBA), cpu_ms=LONG,
                   deep=side > 2000)
    yield Item("no-data-8000-square-interlaced.png", lambda: png(header(8000, 8000, 8, RGBA, 1), zlib.compress(b"")),
               CORRUPT, memory_mib=WHOLE, cpu_ms=LONG)
    text = chunk(b"zTXt", b"Comment\0\0" + zeros(7_900_000))
    yield Item("100-ztxt-of-8-mb.png", lambda: with_chunks(small, text * 100))
    yield Item("itxt-of-60-mb.png", lambda: with_chunks(small, chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros(60 << 20))))
    yield Item("iccp-of-60-mb.png", lambda: with_chunks(small, chunk(b"iCCP", b"icc\0\0" + zeros(60 << 20))))
    yield Item("100000-text-chunks.png", lambda: with_chunks(small, chunk(b"tEXt", b"a\0b") * 100_000))
    yield Item("20-mb-of-unknown.png", lambda: with_chunks(small, chunk(b"prVt", bytes(20_000_000))))
    yield Item("100000-unknown-critical.png", lambda: with_chunks(small, chunk(b"PRVT", b"") * 100_000), CORRUPT)
    yield Item("data-byte-by-byte.png", lambda: split_data(small, 1))
    yield Item("100000-empty-data-chunks.png",
               lambda: small[:33] + chunk(b"IDAT", b"") * 100_000 + small[33:], either(OK, CORRUPT))
    yield Item("data-for-100-pictures.png", lambda: png(header(64, 64, 8, GREY), zeros(64 * 65 * 100)), either(OK, CORRUPT))
    yield Item("data-of-1-gb-for-a-small-picture.png",
               lambda: png(header(64, 64, 8, GREY), zeros(1 << 30)), either(OK, CORRUPT), cpu_ms=LONG, deep=True)
    yield Item("exif-count-2-32.png", lambda: with_chunks(small, chunk(
        b"eXIf", b"II*\0\x08\0\0\0\xff\xff\x12\1\3\0\xff\xff\xff\xff\6\0\0\0")))


def sizes(kind, width, height):
    return refused(f"size-{kind}.png", lambda: png(header(width, height, 8, RGBA), b""), either(CORRUPT, TOO_LARGE))


def corrupt(photo):
    small = saved(photo.resize((48, 32)), "PNG")
    palette = saved(photo.resize((48, 32)).quantize(16), "PNG")
    yield refused("signature-only.png", lambda: SIGNATURE)
    for name, signature in {"xs1": b"\x88PNG\r\n\x1a\n", "xs2": b"\x89ONG\r\n\x1a\n", "xs4": b"\x89PNg\r\n\x1a\n",
                            "xs7": b"\x89PNG\r\n\x1b\n", "xcr": b"\x89PNG\r\x1a\r", "xlf": b"\x89PNG\n\x1a\n"}.items():
        yield refused(f"signature-{name}.png", lambda s=signature: s + small[8:], either(CORRUPT, "UNSUPPORTED_FORMAT"))
    yield refused("two-headers.png", lambda: with_chunks(small, small[8:33]))
    yield refused("no-header.png", lambda: SIGNATURE + small[33:])
    for colour in (1, 5, 7, 9, 255):
        yield refused(f"colour-type-{colour}.png", lambda c=colour: png(header(4, 4, 8, c), zeros(99)))
    for depth in (0, 3, 5, 32, 99, 255):
        yield refused(f"bit-depth-{depth}.png", lambda d=depth: png(header(4, 4, d, GREY), zeros(99)))
    for depth, colour in ((1, RGB), (4, RGBA), (16, PALETTE), (2, GREY_ALPHA)):
        yield refused(f"{depth}-bit-{NAMES[colour]}.png", lambda d=depth, c=colour: png(header(4, 4, d, c), zeros(99)))
    yield refused("interlace-2.png", lambda: png(header(4, 4, 8, GREY, 2), zeros(99)))
    yield refused("compression-1.png", lambda: png(header(4, 4, 8, GREY, compression=1), zeros(99)))
    yield refused("filtering-1.png", lambda: png(header(4, 4, 8, GREY, filtering=1), zeros(99)))
    for name, kind in {"header": b"IHDR", "data": b"IDAT", "end": b"IEND"}.items():
        yield refused(f"bad-crc-in-{name}.png", lambda k=kind: bad_crc(small, k))
    yield refused("bad-crc-in-palette.png", lambda: bad_crc(palette, b"PLTE"))
    yield Item("bad-crc-in-text.png", lambda: with_chunks(small, chunk(b"tEXt", b"a\0b", crc=1)))
    yield refused("no-data.png", lambda: SIGNATURE + header(4, 4, 8, GREY) + END)
    yield refused("no-end.png", lambda: small[:-12])
    yield refused("data-ends-early.png", lambda: png(header(64, 64, 8, GREY), zlib.compress(bytes(65 * 63))))
    yield refused("data-is-no-zlib.png", lambda: png(header(4, 4, 8, GREY), b"\xa5" * 40))
    yield refused("data-with-bad-adler.png", lambda: png(header(4, 4, 8, GREY), zlib.compress(bytes(20))[:-1] + b"\xff"),
                  either(CORRUPT, OK))
    yield refused("filter-5.png", lambda: png(header(4, 4, 8, GREY), zlib.compress(b"\5\0\0\0\0" * 4)))
    yield refused("chunk-length-2-31.png", lambda: SIGNATURE + header(4, 4, 8, GREY) + b"\x7f\xff\xff\xffIDATx")
    yield refused("chunk-length-2-32.png", lambda: SIGNATURE + header(4, 4, 8, GREY) + b"\xff\xff\xff\xffIDATx")
    yield refused("text-longer-than-the-file.png", lambda: SIGNATURE + header(4, 4, 8, GREY) + b"\0\xff\xff\xfftEXtx")
    yield sizes("0-by-0", 0, 0)
    yield sizes("0-by-10", 0, 10)
    yield sizes("10-by-0", 10, 0)
    yield sizes("2-31", 0x7FFFFFFF, 0x7FFFFFFF)
    yield sizes("2-32", 0xFFFFFFFF, 0xFFFFFFFF)
    yield sizes("65536-by-65537", 65536, 65537)
    yield sizes("46341-square", 46341, 46341)
    yield sizes("2-30-by-4", 1 << 30, 4)
    body = zlib.compress(bytes(11 * 10))
    yield refused("palette-missing.png", lambda: png(header(10, 10, 8, PALETTE), body))
    yield refused("palette-of-0.png", lambda: png(header(10, 10, 8, PALETTE), body, chunk(b"PLTE", b"")))
    yield refused("palette-of-257.png", lambda: png(header(10, 10, 8, PALETTE), body, chunk(b"PLTE", bytes(771))))
    yield refused("palette-of-4-bytes.png", lambda: png(header(10, 10, 8, PALETTE), body, chunk(b"PLTE", bytes(4))))
    yield Item("palette-index-beyond.png", lambda: png(
        header(10, 10, 8, PALETTE), zlib.compress((b"\0" + b"\xff" * 10) * 10), chunk(b"PLTE", bytes(6))), either(OK, CORRUPT))
    yield refused("palette-behind-data.png", lambda: png(header(10, 10, 8, PALETTE), body, after=chunk(b"PLTE", bytes(6))))
    yield refused("transparency-longer-than-palette.png", lambda: png(
        header(10, 10, 8, PALETTE), body, chunk(b"PLTE", bytes(6)) + chunk(b"tRNS", bytes(9))), either(CORRUPT, OK))
    yield refused("transparency-of-1-byte.png", lambda: png(header(10, 10, 8, GREY), body, chunk(b"tRNS", b"\0")),
                  either(CORRUPT, OK))
    yield refused("transparency-beside-alpha.png", lambda: png(
        header(2, 2, 8, RGBA), zlib.compress(bytes(18)), chunk(b"tRNS", bytes(6))), either(CORRUPT, OK))
    for size in (1, 10_000_000):
        yield Item(f"trailing-{size}.png", lambda size=size: small + b"\xa5" * size)


def bad_crc(data, kind):
    at = data.index(kind)
    end = at + 4 + struct.unpack(">I", data[at - 4:at])[0]
    return patched(data, end, bytes([data[end] ^ 0xFF]))


def xyz(values):
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def display_p3():
    """A matrix profile: the primaries of Display P3 adapted to D50, gamma 2.2."""
    tags = {b"rXYZ": xyz((0.5151, 0.2412, -0.0011)), b"gXYZ": xyz((0.2920, 0.6922, 0.0419)),
            b"bXYZ": xyz((0.1571, 0.0666, 0.7841)), b"wtpt": xyz((0.9642, 1, 0.8249)),
            b"rTRC": b"curv\0\0\0\0\0\0\0\1\x02\x33\0\0"}
    tags[b"gTRC"] = tags[b"bTRC"] = tags[b"rTRC"]
    directory, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        directory += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(value))
        body += value
    start = b"\0\0\0\0none\4\0\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + xyz((0.9642, 1, 0.8249))[8:]
    profile = start + bytes(128 - len(start)) + directory + body
    return struct.pack(">I", len(profile)) + profile[4:]


def srgb(version):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return patched(profile, 8, bytes([version, 0x10]))


def odd(photo):
    shown = photo.resize((192, 128))
    for colour, depths in DEPTHS.items():
        for depth in depths:
            for interlaced in (0, 1):
                name = f"{NAMES[colour]}-{depth}-bit{'-interlaced' if interlaced else ''}.png"
                yield Item(name, lambda d=depth, c=colour, i=interlaced: encoded(shown, d, c, i),
                           label="espresso" if colour in (RGB, RGBA) or (colour == PALETTE and depth == 8) else "")
    yield Item("palette-with-transparency.png", label="espresso",
               make=lambda: encoded(shown, 8, PALETTE, 0, chunk(b"tRNS", bytes([255] * 255 + [0]))))
    yield Item("grey-with-key.png", lambda: encoded(shown, 8, GREY, 0, chunk(b"tRNS", b"\0\x80")))
    yield Item("grey-16-with-key.png", lambda: encoded(shown, 16, GREY, 1, chunk(b"tRNS", b"\x80\x80")))
    yield Item("rgb-with-key.png", lambda: encoded(shown, 8, RGB, 0, chunk(b"tRNS", b"\0\1\0\1\0\1")), label="espresso")
    yield Item("rgb-16-with-key.png", lambda: encoded(shown, 16, RGB, 1, chunk(b"tRNS", b"\0\1\0\1\0\1")),
               label="espresso")
    yield Item("all-transparent.png", lambda: encoded(Image.new("RGBA", (64, 64)), 8, RGBA, 0))
    yield Item("half-transparent-16-bit.png", lambda: encoded(Image.new("RGBA", (64, 64), (9, 9, 9, 128)), 16, RGBA, 1))
    ancillary = {"gama": chunk(b"gAMA", struct.pack(">I", 45455)), "gama-0": chunk(b"gAMA", bytes(4)),
                 "srgb": chunk(b"sRGB", b"\0"), "chrm": chunk(b"cHRM", struct.pack(">8I", *[31270] * 8)),
                 "background": chunk(b"bKGD", bytes(6)), "sbit": chunk(b"sBIT", b"\5\6\5"),
                 "physical": chunk(b"pHYs", bytes(9)), "time": chunk(b"tIME", bytes(7)),
                 "exif": chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\1\0\0\0\0\0\0"),
                 "unknown": chunk(b"prVt", b"x")}
    photo_png = saved(photo, "PNG")
    for name, extra in ancillary.items():
        yield Item(f"with-{name}.png", lambda extra=extra: with_chunks(photo_png, extra), label="espresso")
    for name, profile in {"icc-2": lambda: srgb(2), "icc-4": lambda: srgb(4), "display-p3": display_p3}.items():
        yield Item(f"{name}.png", lambda p=profile: saved(photo, "PNG", icc_profile=p()), label="espresso")
        yield Item(f"{name}.jpg", lambda p=profile: saved(photo, "JPEG", icc_profile=p()), label="espresso")
    yield Item("apng.png", lambda: saved(photo, "PNG", save_all=True, append_images=[photo.rotate(90)]), label="espresso")
    yield Item("turned-by-exif.png", label="espresso", make=lambda: with_chunks(
        saved(photo.transpose(Image.Transpose.ROTATE_90), "PNG"),
        chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0")))
    yield Item("window-of-256.png", lambda: png(header(64, 64, 8, GREY), small_window(bytes(65 * 64))))
    yield Item("stored.png", lambda: png(header(64, 64, 8, GREY), zlib.compress(bytes(65 * 64), 0)))


def small_window(data):
    packer = zlib.compressobj(9, wbits=9)
    return packer.compress(data) + packer.flush()
