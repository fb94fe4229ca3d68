#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the corpus of hostile, corrupt and odd pictures, and an index of what must become of each.

    make_corpus.py FOLDER [--deep]

FOLDER/corpus.csv has a line for each file: file, section, expected (ok, partial, a row's error code; several
with "|" where libraries of different versions differ), label (of the real model, where the picture is a photo
that it knows), memory_mib (what a decoder process may grow by) and cpu_ms (what decoding may take). --deep adds
every truncation and every flipped byte of small pictures of each kind, and what takes long.

Everything is made from one photo, Pillow and the writers beside this file. Left out, and why:
- PngSuite and the corrupt files of libjpeg-turbo: not ours to ship. What they test is made here, by their names
  where they have one (signature-xs1, -xcr, …).
- A working exploit of CVE-2023-4863: codes-*.webp are 400 sets of Huffman codes of its kind (complete codes full
  of long ones, one that is none), not the one set that reaches the last byte of a library's table.
- Arithmetic-coded pictures with detail: arithmetic*.jpg are grey all over, which needs all of the decoder but
  its statistics for AC coefficients. Pillow cannot write them, and its libjpeg is not asked for by structure.
- Hierarchical JPEG (frames C5-C7, CD-CF): only its markers, since no library reads it.
- GIF of 65,535 x 65,535 with its pixels: the header is refused, so they would not be read.
- Animated WebP of 16,383 x 16,383 with whole frames: the same; and one of 8,000 x 8,000 with small frames.
- A wrong Content-Type: local mode's bucket is a folder, which has none. Names that say another format are here.
- Files of 25 MiB and one byte: the store refuses those by their size, as 64-mb-of-comments.jpg shows.
"""
import argparse
import csv
import pathlib

from PIL import Image

import gifs_bmps
import jpegs
import pngs
import webps
from item import CORRUPT, EMPTY, OK, PARTIAL, TOO_LARGE, UNSUPPORTED, WHOLE, Item, either, refused, saved

PHOTO = pathlib.Path(__file__).resolve().parents[2] / "local/samples/image.jpg"
STEP = 97  # of the truncations
SHORTEST = {"jpg": 2, "png": 4, "gif": 6, "bmp": 2, "webp": 12}  # what a format is recognised by


def tiny(photo):
    yield Item("nothing", lambda: b"", EMPTY)
    for byte in (0x00, 0x42, 0x47, 0x52, 0x89, 0xFF):
        yield refused(f"byte-{byte:02x}", lambda b=byte: bytes([b]), UNSUPPORTED)


def foreign(photo):
    for name, data in {"pdf.jpg": b"%PDF-1.7\n" + bytes(1000), "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
                       "text.jpg": b"hello\n" * 100, "zeros.jpg": bytes(100_000), "zip.png": b"PK\3\4" + bytes(99),
                       "tiff.jpg": saved(photo.resize((9, 9)), "TIFF"), "ico.png": saved(photo.resize((16, 16)), "ICO"),
                       "jpeg2000.jpg": saved(photo.resize((64, 64)), "JPEG2000"),
                       "heic.jpg": b"\0\0\0\x18ftypheic" + bytes(99), "avif.jpg": b"\0\0\0\x18ftypavif" + bytes(99),
                       "riff-wave.webp": b"RIFF\x24\0\0\0WAVEfmt " + bytes(28)}.items():
        yield refused(name, lambda data=data: data, UNSUPPORTED)


def names(photo):
    """Names say nothing: the content counts."""
    for name, form in {"a-png.jpg": "PNG", "a-jpeg.png": "JPEG", "a-webp.gif": "WEBP", "a-gif.webp": "GIF",
                       "a-bmp.jpeg": "BMP", "UPPER.JPG": "JPEG", "upper.PNG": "PNG", "no-extension": "JPEG",
                       "two.jpg.exe": "JPEG", ".hidden.jpg": "JPEG", "space in name.jpg": "JPEG"}.items():
        yield Item(name, lambda f=form: saved(photo.quantize(256) if f == "GIF" else photo, f), label="espresso")


def sides(photo):
    """All sizes from 1 to 63, in every format and the variants that have edges of their own."""
    for n in range(1, 64):
        square = photo.resize((n, n))
        thin = photo.resize((n, 64 - n))
        for name, make in {
                "rgb.png": lambda i=square: saved(i, "PNG"),
                "interlaced.png": lambda i=square: pngs.encoded(i, 8, pngs.RGB, 1),
                "interlaced-1-bit.png": lambda i=thin: pngs.encoded(i, 1, pngs.GREY, 1),
                "2-bit.png": lambda i=thin: pngs.encoded(i, 2, pngs.PALETTE, 0),
                "4-2-0.jpg": lambda i=square: saved(i, "JPEG", subsampling=2),
                "progressive.jpg": lambda i=thin: saved(i, "JPEG", progressive=True),
                "grey.jpg": lambda i=thin: saved(i.convert("L"), "JPEG"),
                "lossy.webp": lambda i=square: saved(i, "WEBP"),
                "lossless.webp": lambda i=thin: saved(i, "WEBP", lossless=True, method=0),
                "interlaced.gif": lambda i=square: saved(i.quantize(256), "GIF", interlace=1),
                "24-bit.bmp": lambda i=thin: saved(i, "BMP"),
                "1-bit.bmp": lambda i=square: saved(i.convert("1"), "BMP")}.items():
            yield Item(f"side-{n}-{name}", make)


def seeds(photo):
    """A small picture of each kind; the extension of its name is its format."""
    moved = photo.rotate(90)
    alpha = photo.convert("RGBA")
    alpha.putalpha(photo.convert("L"))
    return {"baseline.jpg": saved(photo, "JPEG"), "progressive.jpg": saved(photo, "JPEG", progressive=True),
            "restarts.jpg": saved(photo, "JPEG", restart_marker_blocks=2), "rgb.png": saved(photo, "PNG"),
            "palette.png": saved(photo.quantize(64), "PNG"), "interlaced.png": pngs.encoded(photo, 8, pngs.RGB, 1),
            "animated.png": saved(photo, "PNG", save_all=True, append_images=[moved]),
            "plain.gif": saved(photo.quantize(64), "GIF", interlace=0),
            "interlaced.gif": saved(photo.quantize(64), "GIF", interlace=1),
            "lossy.webp": saved(photo, "WEBP"), "lossless.webp": saved(photo, "WEBP", lossless=True),
            "alpha.webp": saved(alpha, "WEBP"),
            "animated.webp": saved(photo, "WEBP", save_all=True, append_images=[moved]),
            "24-bit.bmp": saved(photo, "BMP"), "palette.bmp": saved(photo.quantize(64), "BMP")}


def outcome_of_cut(name, data, length):
    """Of the first `length` bytes: JPEG is classified once half of its block rows are there, others must be
    whole (but for the end of their end)."""
    form = name.rsplit(".", 1)[1]
    if length == 0:
        return EMPTY
    if length < SHORTEST[form]:
        return UNSUPPORTED
    if form in ("gif", "png") and length >= len(data) - 4:
        return either(OK, CORRUPT)
    if form != "jpg":
        return CORRUPT
    start = jpegs.segments(data)[-1][2]
    part = (length - start) / (len(data) - start)
    if part <= 0 or (name.startswith("large") and part < 0.3):
        return CORRUPT
    if length > len(data) - 8:
        return either(CORRUPT, PARTIAL, OK)
    return PARTIAL if name.startswith("large") and part > 0.75 else either(PARTIAL, CORRUPT)


def cuts(photo, step, **more):
    large = {"large.jpg": saved(photo, "JPEG", quality=95)} if photo.height >= 40 else {}
    for name, data in {**seeds(photo), **large}.items():
        for length in range(0 if step == 1 else step, len(data), step):
            yield Item(f"cut-{length}-{name}", lambda d=data, n=length: d[:n], outcome_of_cut(name, data, length), **more)


def flips(photo):
    anything = either(OK, PARTIAL, CORRUPT, UNSUPPORTED, TOO_LARGE)
    for name, data in seeds(photo).items():
        for at in range(len(data)):
            yield Item(f"flip-{at}-{name}", lambda d=data, n=at: d[:n] + bytes([d[n] ^ 0xFF]) + d[n + 1:], anything,
                       memory_mib=WHOLE, deep=True)


def items(photo):
    """(section, item) of everything."""
    small, least = photo.resize((64, 43)), photo.resize((20, 14))
    for section, makers in {
            "bombs": (jpegs.bombs, pngs.bombs, webps.bombs, gifs_bmps.gif_bombs, gifs_bmps.bmp_bombs),
            "corrupt": (tiny, foreign, jpegs.corrupt, pngs.corrupt, webps.corrupt, gifs_bmps.gif_corrupt,
                        gifs_bmps.bmp_corrupt),
            "odd": (names, sides, jpegs.odd, pngs.odd, webps.odd, gifs_bmps.gif_odd, gifs_bmps.bmp_odd)}.items():
        for maker in makers:
            yield from ((section, item) for item in maker(photo))
    yield from (("cut", item) for item in cuts(small, STEP))
    yield from (("every-cut", item) for item in cuts(least, 1, deep=True))
    yield from (("flip", item) for item in flips(least))


def make(folder, deep=False, only_deep=False):
    """Writes the files and the index; returns the index's lines as dictionaries."""
    folder = pathlib.Path(folder)
    photo = Image.open(PHOTO).convert("RGB")
    lines = []
    for section, item in items(photo):
        if (item.deep and not deep) or (only_deep and not item.deep):
            continue
        path = folder / section / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists(), path
        path.write_bytes(item.make())
        lines.append({"file": f"{section}/{item.name}", "section": section, "expected": item.expected,
                      "label": item.label, "memory_mib": item.memory_mib, "cpu_ms": item.cpu_ms})
    with open(folder / "corpus.csv", "w", newline="", encoding="utf-8") as index:
        writer = csv.DictWriter(index, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder")
    parser.add_argument("--deep", action="store_true", help="everything, also what takes long")
    arguments = parser.parse_args()
    print(f"{len(make(arguments.folder, arguments.deep))} files in {arguments.folder}")


if __name__ == "__main__":
    main()
