# SPDX-License-Identifier: Apache-2.0
"""GIF and BMP files, byte by byte (GIF89a; Windows and OS/2 bitmaps)."""
import struct

from PIL import Image

from item import CORRUPT, LONG, OK, TOO_LARGE, UNSUPPORTED, WHOLE, Bits, Item, either, patched, refused, saved

PALETTE = bytes(v for i in range(4) for v in (80 * i, 60 * i, 255 - 70 * i))
GLOBAL_4 = 0x81  # a global palette of four colours


def screen(width, height, flags=GLOBAL_4, palette=PALETTE):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0) + palette


def blocks(data):
    return b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255)) + b"\0"


def lzw(codes, size=2):
    """Codes of a fixed width, for as long as the reader's table does not grow beyond it."""
    bits = Bits(lowest_first=True)
    for code in codes:
        bits.put(code, size + 1)
    return bytes([size]) + blocks(bits.done())


CLEAR, STOP = 4, 5


def literal(indices):
    """Every pixel as itself: the table is cleared before codes grow to four bits."""
    codes = []
    for i, index in enumerate(indices):
        codes += [CLEAR, index] if i % 2 == 0 else [index]
    return lzw(codes + [STOP])


def image(x, y, width, height, data, flags=0):
    return b"," + struct.pack("<HHHHB", x, y, width, height, flags) + data


def control(disposal, transparent=None):
    flags = disposal << 2 | (transparent is not None)
    return b"!\xf9\x04" + struct.pack("<BHB", flags, 10, transparent or 0) + b"\0"


END = b";"
PIXEL = image(0, 0, 1, 1, literal([1]))


def gif(*parts, size=(4, 4)):
    return screen(*size) + b"".join(parts) + END


def flat_frame(width, height):
    """Grey all over: runs that grow by one pixel a code, with codes of twelve bits and many clears."""
    bits, left, size = Bits(lowest_first=True), width * height, 2
    bits.put(CLEAR, 3)
    while left > 0:
        following, code_bits, run = 6, 3, 1
        bits.put(0, code_bits)
        left -= 1
        while left > 0 and following < 4095:
            run += 1
            bits.put(following, code_bits)  # the code just being made: the last string and its first pixel
            left -= run
            following += 1
            code_bits = max(code_bits, min(12, following.bit_length()))
        bits.put(CLEAR if left > 0 else STOP, code_bits)
    return image(0, 0, width, height, bytes([size]) + blocks(bits.done()))


def gif_bombs(photo):
    yield refused("65535-square.gif", lambda: gif(PIXEL * 100_000, size=(65535, 65535)), TOO_LARGE)
    yield Item("8000-square-100000-frames.gif", lambda: gif(PIXEL * 100_000, size=(8000, 8000)), cpu_ms=LONG)
    yield Item("100000-frames.gif", lambda: gif(PIXEL * 100_000))
    for side, deep in ((2000, False), (8000, True)):
        yield Item(f"{side}-square-flat.gif", lambda side=side: gif(flat_frame(side, side), size=(side, side)),
                   memory_mib=WHOLE, cpu_ms=LONG, deep=deep)
    yield Item("frame-of-8000-square-without-data.gif",
               lambda: gif(image(0, 0, 8000, 8000, literal([1, 2])), size=(8000, 8000)), CORRUPT)
    yield Item("24-mb-of-comments.gif", lambda: gif(b"!\xfe" + (b"\xff" + bytes(255)) * 98_000 + b"\0", PIXEL))
    yield Item("100000-extensions.gif", lambda: gif(control(0, 1) * 100_000, PIXEL))
    yield Item("1-byte-blocks.gif", lambda: gif(image(0, 0, 64, 64, one_byte_blocks()), size=(64, 64)))


def one_byte_blocks():
    bits = Bits(lowest_first=True)
    for i in range(64 * 64):
        for code in ([CLEAR, i % 4] if i % 2 == 0 else [i % 4]):
            bits.put(code, 3)
    bits.put(STOP, 3)
    return b"\2" + b"".join(b"\1" + bytes([b]) for b in bits.done()) + b"\0"


def gif_corrupt(photo):
    small = saved(photo.resize((48, 32)).quantize(64), "GIF")
    yield refused("header-only.gif", lambda: screen(10, 10, 0, b""))
    yield refused("no-frame.gif", lambda: gif())
    yield refused("0-by-0.gif", lambda: gif(PIXEL, size=(0, 0)))
    yield refused("frame-0-by-0.gif", lambda: gif(image(0, 0, 0, 0, literal([1]))))
    yield Item("frame-outside.gif", lambda: gif(image(3, 3, 4, 4, literal([1] * 16))), CORRUPT)
    yield Item("frame-larger.gif", lambda: gif(image(0, 0, 8, 8, literal([1] * 64))), CORRUPT)
    yield refused("frame-at-65535.gif", lambda: gif(image(65535, 65535, 65535, 65535, literal([1]))))
    yield refused("no-palette.gif", lambda: screen(4, 4, 0, b"") + image(0, 0, 4, 4, literal([1] * 16)) + END)
    yield refused("code-beyond-table.gif", lambda: gif(image(0, 0, 4, 4, lzw([CLEAR, 1, 7, 7, STOP]))))
    yield Item("no-clear-code.gif", lambda: gif(image(0, 0, 2, 1, lzw([1, 2, STOP]))), either(OK, CORRUPT))
    yield refused("code-size-0.gif", lambda: gif(image(0, 0, 4, 4, b"\0" + blocks(bytes(20)))), either(CORRUPT, OK))
    for size in (9, 12, 13, 255):
        yield refused(f"code-size-{size}.gif", lambda s=size: gif(image(0, 0, 4, 4, bytes([s]) + blocks(bytes(20)))))
    yield refused("stops-early.gif", lambda: gif(image(0, 0, 4, 4, literal([1] * 8))))
    yield Item("goes-on.gif", lambda: gif(image(0, 0, 4, 4, literal([1] * 64))), either(OK, CORRUPT))
    yield refused("no-data-blocks.gif", lambda: gif(image(0, 0, 4, 4, b"\2\0")))
    yield refused("unknown-block.gif", lambda: screen(4, 4) + b"\x99" + bytes(30))
    yield refused("extension-without-end.gif", lambda: screen(4, 4) + b"!\xfe\xff" + bytes(100))
    yield Item("no-trailer.gif", lambda: small[:-1], either(OK, CORRUPT))
    yield Item("index-beyond-palette.gif",
               lambda: b"GIF89a" + struct.pack("<HHBBB", 2, 1, 0x80, 0, 0) + bytes(6)
               + image(0, 0, 2, 1, literal([3, 3])) + END, either(OK, CORRUPT))
    yield refused("version-99.gif", lambda: b"GIF99a" + small[6:], UNSUPPORTED)
    for size in (1, 10_000_000):
        yield Item(f"trailing-{size}.gif", lambda size=size: small + b"\xa5" * size)


def gif_odd(photo):
    grey = photo.convert("L")
    yield Item("plain.gif", lambda: saved(photo.quantize(256), "GIF"), label="espresso")
    yield Item("87a.gif", lambda: b"GIF87a" + saved(photo.quantize(256), "GIF", interlace=0)[6:], label="espresso")
    yield Item("interlaced.gif", lambda: saved(photo.quantize(256), "GIF", interlace=1), label="espresso")
    yield Item("not-interlaced.gif", lambda: saved(photo.quantize(256), "GIF", interlace=0), label="espresso")
    yield Item("grey.gif", lambda: saved(grey, "GIF"))
    yield Item("moving.gif", label="espresso", make=lambda: saved(
        photo.quantize(255), "GIF", save_all=True, append_images=[photo.rotate(90).quantize(255)]))
    yield Item("transparent-disposal-3.gif",
               lambda: gif(control(3, 1), image(0, 0, 4, 4, literal([0, 1, 2, 3] * 4)), control(3, 1), PIXEL))
    yield Item("frame-smaller-than-canvas.gif", lambda: gif(image(1, 1, 2, 2, literal([1, 2, 3, 0])), size=(64, 64)))
    yield Item("local-palette.gif", lambda: screen(4, 4, 0, b"")
               + b"," + struct.pack("<HHHHB", 0, 0, 4, 4, GLOBAL_4) + PALETTE + literal([1, 2, 3, 0] * 4) + END)
    yield Item("all-transparent.gif", lambda: gif(control(0, 1), image(0, 0, 4, 4, literal([1] * 16))))
    yield Item("comment-first.gif", lambda: gif(b"!\xfe" + blocks(b"hello"), PIXEL))


# ---- BMP ----

def bmp(width, height, bits, pixels, compression=0, palette=b"", masks=b"", header_size=40, colours=0, offset=None):
    if header_size == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header_size, width, height, 1, bits, compression, len(pixels), 2835, 2835,
                           colours, 0)
        info += masks if header_size > 40 else b""
        info += bytes(max(0, header_size - len(info)))
    extra = masks if header_size == 40 else b""
    start = 14 + len(info) + len(extra) + len(palette)
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start if offset is None else offset)
    return head + info + extra + palette + pixels


def bmp_rows(image, top_first=False):
    """24-bit rows, blue first, padded to four bytes."""
    width, height = image.size
    data = image.convert("RGB").tobytes("raw", "BGR")
    rows = [data[y * width * 3:(y + 1) * width * 3] + bytes(-width * 3 % 4) for y in range(height)]
    return b"".join(rows if top_first else rows[::-1])


def pixels_of(image, pack, width_bytes):
    data = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).convert("RGBA")
    width = image.size[0]
    out, row = [], []
    for i, pixel in enumerate(data.get_flattened_data(), 1):
        row.append(pack(*pixel))
        if i % width == 0:
            out.append(b"".join(row) + bytes(-len(row) * width_bytes % 4))
            row = []
    return b"".join(out)


def bmp_bombs(photo):
    for side, expected in ((16384, OK), (16385, TOO_LARGE)):
        yield Item(f"{side}-wide.bmp", lambda s=side: bmp(s, 1, 24, bytes(-(-s * 3 // 4) * 4)), expected)
    yield refused("2-31-square.bmp", lambda: bmp(0x7FFFFFFF, 0x7FFFFFFF, 24, b""), either(TOO_LARGE, CORRUPT))
    yield refused("minus-2-31-high.bmp", lambda: bmp(4, -0x80000000, 24, bytes(48)), either(TOO_LARGE, CORRUPT))
    yield refused("46341-square.bmp", lambda: bmp(46341, 46341, 32, b""), TOO_LARGE)
    yield Item("8000-by-8000-1-bit.bmp",
               lambda: bmp(8000, 8000, 1, bytes(1000 * 8000), palette=bytes(8)), cpu_ms=LONG)
    yield refused("8000-square-without-pixels.bmp", lambda: bmp(8000, 8000, 24, bytes(100)))


def bmp_corrupt(photo):
    small = bmp(48, 32, 24, bmp_rows(photo.resize((48, 32))))
    yield refused("magic-only.bmp", lambda: b"BM")
    for width, height in ((0, 4), (4, 0), (-4, 4)):
        yield refused(f"{width}-by-{height}.bmp", lambda w=width, h=height: bmp(w, h, 24, bytes(99)))
    for size in (0, 11, 13, 39, 41, 125, 0xFFFFFFFF):
        yield refused(f"header-of-{size}.bmp", lambda s=size: patched(small, 14, struct.pack("<I", s)),
                      either(UNSUPPORTED, CORRUPT, OK))
    for bits in (0, 2, 3, 7, 48, 65535):
        yield refused(f"{bits}-bit.bmp", lambda b=bits: bmp(4, 4, b, bytes(999)), UNSUPPORTED)
    for kind in (1, 2, 4, 5, 7, 11, 0xFFFFFFFF):
        yield refused(f"compression-{kind}.bmp", lambda k=kind: bmp(4, 4, 8, bytes(999), k, bytes(1024)), UNSUPPORTED)
    yield refused("pixels-in-the-header.bmp", lambda: bmp(4, 4, 24, bytes(48), offset=4))
    yield refused("pixels-beyond-the-end.bmp", lambda: bmp(4, 4, 24, bytes(48), offset=0xFFFFFFF0))
    yield refused("a-byte-short.bmp", lambda: small[:-1])
    yield refused("palette-short.bmp", lambda: bmp(1, 1, 8, bytes(4), palette=bytes(8)))
    yield refused("palette-of-2-32.bmp", lambda: bmp(1, 1, 8, bytes(4), palette=bytes(8), colours=0xFFFFFFFF))
    yield Item("palette-index-beyond.bmp", lambda: bmp(4, 1, 8, b"\xff" * 4, palette=bytes(8), colours=2))
    yield refused("mask-with-holes.bmp",
                  lambda: bmp(2, 2, 32, bytes(16), 3, masks=struct.pack("<III", 0xFF00F0, 0xF00, 0xFF)), UNSUPPORTED)
    yield Item("masks-of-0.bmp", lambda: bmp(2, 2, 32, bytes(16), 3, masks=bytes(12)))
    yield Item("masks-overlap.bmp", lambda: bmp(2, 2, 32, b"\x5a" * 16, 3, masks=struct.pack("<III", *[0xFFFFFFFF] * 3)))
    for size in (1, 10_000_000):
        yield Item(f"trailing-{size}.bmp", lambda size=size: small + b"\xa5" * size)


def bmp_odd(photo):
    shown = photo.resize((192, 128))
    yield Item("24-bit.bmp", lambda: bmp(192, 128, 24, bmp_rows(shown)), label="espresso")
    yield Item("top-row-first.bmp", lambda: bmp(192, -128, 24, bmp_rows(shown, True)), label="espresso")
    yield Item("os2.bmp", lambda: bmp(192, 128, 24, bmp_rows(shown), header_size=12), label="espresso")
    yield Item("palette-8-bit.bmp", lambda: saved(shown.quantize(256), "BMP"), label="espresso")
    yield Item("palette-4-bit.bmp", lambda: bmp(8, 2, 4, bytes(range(8)), palette=bytes(range(64))))
    yield Item("1-bit.bmp", lambda: saved(shown.convert("1"), "BMP"))
    yield Item("grey.bmp", lambda: saved(shown.convert("L"), "BMP"))
    yield Item("16-bit-555.bmp", label="espresso", make=lambda: bmp(192, 128, 16, pixels_of(
        shown, lambda r, g, b, _: struct.pack("<H", r >> 3 << 10 | g >> 3 << 5 | b >> 3), 2)))
    yield Item("16-bit-565.bmp", label="espresso", make=lambda: bmp(192, 128, 16, pixels_of(
        shown, lambda r, g, b, _: struct.pack("<H", r >> 3 << 11 | g >> 2 << 5 | b >> 3), 2), 3,
        masks=struct.pack("<III", 0xF800, 0x07E0, 0x001F)))
    yield Item("32-bit.bmp", label="espresso", make=lambda: bmp(192, 128, 32, pixels_of(
        shown, lambda r, g, b, _: bytes((b, g, r, 0)), 4)))
    yield Item("32-bit-1010102.bmp", label="espresso", make=lambda: bmp(192, 128, 32, pixels_of(
        shown, lambda r, g, b, _: struct.pack("<I", r << 22 | g << 12 | b << 2), 4), 3,
        masks=struct.pack("<III", 0x3FF00000, 0x000FFC00, 0x000003FF)))
    yield Item("v4-with-alpha.bmp", label="espresso", make=lambda: bmp(192, 128, 32, pixels_of(
        shown, lambda r, g, b, _: bytes((b, g, r, 255)), 4), 3, header_size=108,
        masks=struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)))
    yield Item("v5.bmp", lambda: bmp(192, 128, 24, bmp_rows(shown), header_size=124), label="espresso")
    yield Item("palette-shorter-than-depth.bmp", lambda: bmp(4, 1, 8, bytes(4), palette=bytes(8), colours=2))
