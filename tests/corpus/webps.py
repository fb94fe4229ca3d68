# SPDX-License-Identifier: Apache-2.0
"""WebP files, chunk by chunk, and lossless streams bit by bit (RFC 9649)."""
import random
import struct

from PIL import Image

from item import CORRUPT, LONG, OK, TOO_LARGE, WHOLE, Bits, Item, either, patched, refused, saved

LENGTH_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
ALPHABETS = (280, 256, 256, 256, 40)  # green and lengths, red, blue, alpha, distances


def chunk(kind, data):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def riff(*chunks, size=None):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def u24(value):
    return struct.pack("<I", value)[:3]


def extended(flags, width, height):
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + u24(width - 1) + u24(height - 1))


ANIMATION, ALPHA, EXIF, ICC = 0x02, 0x10, 0x08, 0x20


def lossless_start(width, height, alpha=0):
    bits = Bits(lowest_first=True)
    bits.put(0x2F, 8)
    bits.put(width - 1, 14)
    bits.put(height - 1, 14)
    bits.put(alpha, 1)
    bits.put(0, 3)  # version
    return bits


def flat_body(bits):
    """No transform, no cache, no groups, and five codes of one symbol each: a pixel takes no bit."""
    bits.put(0, 3)
    for _ in range(5):
        bits.put(0b001, 3)  # simple, one symbol, which has one bit:
        bits.put(0, 1)


def lossless(width, height):
    bits = lossless_start(width, height)
    flat_body(bits)
    return chunk(b"VP8L", bits.done())


def put_lengths(bits, lengths):
    """A normal code whose lengths are written with four bits each."""
    bits.put(0, 1)
    bits.put(len(LENGTH_ORDER) - 4, 4)
    for symbol in LENGTH_ORDER:
        bits.put(4 if symbol < 16 else 0, 3)
    bits.put(0, 1)  # as many as the alphabet has
    for length in lengths:
        bits.put(int(f"{length:04b}"[::-1], 2), 4)


def with_codes(lengths_of_five, width=64, height=64):
    bits = lossless_start(width, height)
    bits.put(0, 3)
    for lengths in lengths_of_five:
        put_lengths(bits, lengths)
    bits.put(0, 8 * 64)
    return riff(chunk(b"VP8L", bits.done()))


def complete_code(generator, symbols):
    """Lengths of a complete prefix code: leaves are split until there are enough."""
    leaves = [0]
    while len(leaves) < symbols:
        at = generator.choice([i for i, length in enumerate(leaves) if length < 15])
        leaves[at] += 1
        leaves.append(leaves[at])
    generator.shuffle(leaves)
    return leaves


def odd_codes(seed):
    """Four complete codes, full of long ones, and a last one that is none, as in CVE-2023-4863."""
    generator = random.Random(seed)
    codes = [complete_code(generator, size) for size in ALPHABETS]
    broken = codes[generator.randrange(5) if seed % 2 else 4]
    for _ in range(generator.randrange(1, 8)):
        broken[generator.randrange(len(broken))] = generator.randrange(16)
    return codes


def animated(width, height, count, frame):
    """count frames of one by one pixel."""
    piece = chunk(b"ANMF", u24(0) * 2 + u24(0) * 2 + u24(10) + b"\0" + frame)
    return riff(extended(ANIMATION, width, height), chunk(b"ANIM", bytes(6)), piece * count)


def bombs(photo):
    yield refused("lossless-16383-square.webp", lambda: riff(lossless(16383, 16383)), TOO_LARGE)
    yield refused("lossless-8000-square.webp", lambda: riff(lossless(8000, 8000)), TOO_LARGE)
    yield refused("lossless-5793-square.webp", lambda: riff(lossless(5793, 5793)), TOO_LARGE)
    for side in (2500, 5000, 5792):
        yield Item(f"lossless-{side}-square.webp", lambda side=side: riff(lossless(side, side)), memory_mib=WHOLE,
                   cpu_ms=LONG, deep=side > 2500)
    yield Item("lossless-16383-by-1.webp", lambda: riff(lossless(16383, 1)))
    yield Item("lossless-1-by-16383.webp", lambda: riff(lossless(1, 16383)))
    yield refused("animated-16383-square.webp", lambda: animated(16383, 16383, 1000, lossless(1, 1)), TOO_LARGE)
    yield Item("animated-8000-square.webp", lambda: animated(8000, 8000, 1000, lossless(1, 1)), cpu_ms=LONG)
    yield Item("animated-100000-frames.webp", lambda: animated(64, 64, 100_000, lossless(1, 1)))
    yield Item("24-mb-of-unknown-chunks.webp", lambda: riff(
        extended(0, 64, 64), lossless(64, 64), chunk(b"ABCD", bytes(6_000_000)) * 4))
    yield Item("100000-chunks.webp", lambda: riff(extended(0, 64, 64), lossless(64, 64), chunk(b"ABCD", b"") * 100_000))
    yield Item("lossy-header-lie.webp", lambda: vp8_sized(saved(photo.resize((64, 43)), "WEBP"), 8000, 8000), CORRUPT,
               memory_mib=WHOLE, cpu_ms=LONG)
    yield refused("lossy-header-lie-16383-square.webp",
                  lambda: vp8_sized(saved(photo.resize((64, 43)), "WEBP"), 16383, 16383), TOO_LARGE)


def vp8_sized(data, width, height):
    at = data.index(b"\x9d\x01\x2a") + 3
    return patched(data, at, struct.pack("<HH", width, height))


def corrupt(photo):
    small = photo.resize((48, 32))
    lossy = saved(small, "WEBP")
    alpha = saved(small.convert("RGBA").rotate(45), "WEBP")
    yield refused("header-only.webp", lambda: lossy[:12])
    for name, size in {"0": 0, "2-32": 0xFFFFFFFF, "too-long": len(lossy), "too-short": len(lossy) - 20,
                       "odd": len(lossy) - 9}.items():
        yield Item(f"riff-size-{name}.webp", lambda size=size: patched(lossy, 4, struct.pack("<I", size)),
                   either(CORRUPT, OK))
    yield refused("chunk-size-2-32.webp", lambda: patched(lossy, 16, b"\xff\xff\xff\xff"))
    yield refused("chunk-size-0.webp", lambda: patched(lossy, 16, bytes(4)))
    yield Item("flags-say-alpha.webp", lambda: riff(extended(ALPHA, 48, 32), lossy[12:]), either(OK, CORRUPT))
    yield Item("flags-hide-alpha.webp", lambda: alpha.replace(b"VP8X\x0a\0\0\0\x10", b"VP8X\x0a\0\0\0\0"),
               either(OK, CORRUPT))
    yield refused("flags-say-animation.webp", lambda: riff(extended(ANIMATION, 48, 32), lossy[12:]))
    yield Item("flags-say-exif.webp", lambda: riff(extended(EXIF, 48, 32), lossy[12:]), either(OK, CORRUPT))
    yield refused("canvas-is-smaller.webp", lambda: riff(extended(0, 8, 8), lossy[12:]))
    yield refused("canvas-is-larger.webp", lambda: riff(extended(0, 480, 320), lossy[12:]))
    yield refused("canvas-of-2-48.webp", lambda: riff(extended(0, 1 << 24, 1 << 24), lossy[12:]),
                  either(CORRUPT, TOO_LARGE))
    yield refused("extended-without-picture.webp", lambda: riff(extended(0, 48, 32)))
    yield refused("extended-of-1-byte.webp", lambda: riff(chunk(b"VP8X", b"\0"), lossy[12:]))
    yield refused("animation-without-frames.webp", lambda: riff(extended(ANIMATION, 48, 32), chunk(b"ANIM", bytes(6))))
    yield refused("frame-outside-canvas.webp", lambda: riff(
        extended(ANIMATION, 48, 32), chunk(b"ANIM", bytes(6)),
        chunk(b"ANMF", u24(1000) * 2 + u24(0) * 2 + u24(10) + b"\0" + lossless(1, 1))))
    yield refused("frame-of-another-size.webp", lambda: riff(
        extended(ANIMATION, 48, 32), chunk(b"ANIM", bytes(6)),
        chunk(b"ANMF", u24(0) * 2 + u24(9) * 2 + u24(10) + b"\0" + lossless(1, 1))), either(CORRUPT, OK))
    yield refused("alpha-only.webp", lambda: riff(extended(ALPHA, 48, 32), chunk(b"ALPH", b"\0" + bytes(48 * 32))))
    yield Item("alpha-too-short.webp", lambda: riff(extended(ALPHA, 48, 32), chunk(b"ALPH", b"\0" + bytes(9)), lossy[12:]),
               either(OK, CORRUPT))
    yield Item("alpha-is-garbage.webp", lambda: riff(
        extended(ALPHA, 48, 32), chunk(b"ALPH", b"\1" + b"\xa5" * 99), lossy[12:]), either(OK, CORRUPT))
    yield refused("not-a-key-frame.webp", lambda: riff(chunk(b"VP8 ", bytes([lossy[20] | 1]) + lossy[21:])))
    yield refused("lossy-0-wide.webp", lambda: vp8_sized(lossy, 0, 32))
    yield refused("lossless-version-7.webp", lambda: riff(chunk(b"VP8L", b"\x2f\0\0\0\xe0" + bytes(20))))
    yield refused("lossless-no-signature.webp", lambda: riff(chunk(b"VP8L", b"\x2e" + bytes(20))))
    yield refused("lossless-ends-early.webp", lambda: riff(chunk(b"VP8L", lossless_start(64, 64).done() + b"\0")))
    yield refused("lossless-same-transform-twice.webp", lambda: riff(chunk(b"VP8L", transform_twice())))
    yield Item("trailing-1.webp", lambda: lossy + b"\xa5")
    yield Item("trailing-10000000.webp", lambda: lossy + b"\xa5" * 10_000_000)
    complete = [[8] * 232 + [9] * 48, *[[8] * 256] * 3, [5] * 24 + [6] * 16]
    yield Item("codes-complete.webp", lambda: with_codes(complete, 4, 4))
    yield refused("codes-oversubscribed.webp", lambda: with_codes([[1] * size for size in ALPHABETS]))
    yield refused("codes-incomplete.webp", lambda: with_codes([[15] * size for size in ALPHABETS]))
    yield refused("codes-empty.webp", lambda: with_codes([[0] * size for size in ALPHABETS]), either(CORRUPT, OK))
    for seed in range(400):
        yield Item(f"codes-{seed}.webp", lambda seed=seed: with_codes(odd_codes(seed)), either(CORRUPT, OK),
                   deep=seed >= 24)


def transform_twice():
    bits = lossless_start(64, 64)
    bits.put(0b101, 3)  # there is one: subtract green
    bits.put(0b101, 3)
    flat_body(bits)
    return bits.done()


def odd(photo):
    rgba = photo.convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(photo.size).point(lambda v: 255 if v > 20 else 0))
    yield Item("lossy.webp", lambda: saved(photo, "WEBP", quality=60), label="espresso")
    yield Item("lossless.webp", lambda: saved(photo, "WEBP", lossless=True, method=0), label="espresso")
    yield Item("lossy-alpha.webp", lambda: saved(rgba, "WEBP", quality=60), label="espresso")
    yield Item("lossless-alpha.webp", lambda: saved(rgba, "WEBP", lossless=True, method=0), label="espresso")
    yield Item("animated.webp", label="espresso", make=lambda: saved(
        photo, "WEBP", save_all=True, append_images=[photo.rotate(90), photo.rotate(180)], quality=60))
    yield Item("with-icc-and-exif.webp", label="espresso", make=lambda: saved(
        photo, "WEBP", quality=60, icc_profile=b"\0" * 200, exif=Image.Exif().tobytes()))
    tags = Image.Exif()
    tags[0x0112] = 6
    yield Item("turned-by-exif.webp", label="espresso", make=lambda: saved(
        photo.transpose(Image.Transpose.ROTATE_90), "WEBP", quality=60, exif=tags))
    yield Item("flat-8-bytes.webp", lambda: riff(lossless(1, 1)))
