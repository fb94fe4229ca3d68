# SPDX-License-Identifier: Apache-2.0
"""Pictures that lie, explode, or are legal but odd, made here and classified by the running service."""
import io
import struct
import time
import zlib

import pytest
from PIL import Image, ImageDraw


def picture(mode="RGB", size=(320, 240)):
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for i in range(0, size[0], 16):
        draw.ellipse((i, i // 2, i + 60, i // 2 + 40), fill=(i % 256, 255 - i % 256, 90))
    return image.convert(mode)


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def jpeg_with_size(width, height, progressive=False):
    """A small JPEG whose header claims another size."""
    data = bytearray(saved(picture(size=(64, 64)), "JPEG", progressive=progressive))
    at = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, extra=b""):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def scans_jpeg(count):
    """A progressive JPEG whose last scan is repeated."""
    data = saved(picture(size=(64, 64)), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    return data[:-2] + data[at:-2] * count + b"\xff\xd9"


def zeros(count):
    packer = zlib.compressobj(9)
    out = b"".join(packer.compress(bytes(1 << 20)) for _ in range(count >> 20))
    return out + packer.compress(bytes(count & 0xFFFFF)) + packer.flush()


BAD = {
    "jpeg-65500-square": (lambda: jpeg_with_size(65500, 65500), {"TOO_LARGE"}),
    "jpeg-20000-square-progressive": (lambda: jpeg_with_size(20000, 20000, True), {"TOO_LARGE"}),
    "jpeg-9000-square-progressive": (lambda: jpeg_with_size(9000, 7000, True), {"TOO_LARGE", "CORRUPT_IMAGE"}),
    "jpeg-0-wide": (lambda: jpeg_with_size(0, 100), {"CORRUPT_IMAGE", "UNSUPPORTED_FORMAT"}),
    "jpeg-1001-scans": (lambda: scans_jpeg(1001), {"TOO_LARGE"}),
    "jpeg-start-only": (lambda: b"\xff\xd8", {"CORRUPT_IMAGE", "UNSUPPORTED_FORMAT"}),
    "jpeg-without-picture": (lambda: b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9", {"CORRUPT_IMAGE"}),
    "png-60000-by-20000": (lambda: png(60000, 20000, 1, 0, zeros(1 << 20)), {"TOO_LARGE"}),
    "png-2-31": (lambda: png(0x7FFFFFFF, 0x7FFFFFFF, 8, 6, b""), {"TOO_LARGE", "CORRUPT_IMAGE"}),
    "png-zero": (lambda: png(0, 0, 8, 2, b""), {"CORRUPT_IMAGE"}),
    "png-bad-crc": (lambda: saved(picture(), "PNG")[:40] + b"\0\0\0\0" + saved(picture(), "PNG")[44:], {"CORRUPT_IMAGE"}),
    "png-no-data": (lambda: png(10, 10, 8, 2, zlib.compress(b"")), {"CORRUPT_IMAGE"}),
    "png-palette-missing": (lambda: png(10, 10, 8, 3, zlib.compress(bytes(110))), {"CORRUPT_IMAGE"}),
    "gif-65535-square": (lambda: b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;", {"TOO_LARGE"}),
    "gif-header-only": (lambda: b"GIF89a\x0a\0\x0a\0\0\0\0", {"CORRUPT_IMAGE"}),
    "webp-lying-size": (lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff", {"CORRUPT_IMAGE"}),
    "bmp-huge": (lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 0x7FFFFFFF, -0x7FFFFFFF, 1, 24, 0, 0, 0, 0, 0, 0), {"TOO_LARGE", "CORRUPT_IMAGE"}),
    "wrong-magic": (lambda: b"%PDF-1.7\n" + bytes(1000), {"UNSUPPORTED_FORMAT"}),
    "text": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"UNSUPPORTED_FORMAT"}),
    "one-byte": (lambda: b"\xff", {"UNSUPPORTED_FORMAT"}),
}

PLAIN = picture()
ODD = {
    "grey.jpg": lambda: saved(picture("L"), "JPEG"),
    "cmyk.jpg": lambda: saved(picture("CMYK"), "JPEG"),
    "progressive.jpg": lambda: saved(PLAIN, "JPEG", progressive=True),
    "no-subsampling.jpg": lambda: saved(PLAIN, "JPEG", subsampling=0),
    "one-pixel.png": lambda: saved(picture(size=(1, 1)), "PNG"),
    "thin.png": lambda: saved(picture(size=(1, 16384)), "PNG"),
    "palette.png": lambda: saved(PLAIN.quantize(16), "PNG"),
    "bilevel.png": lambda: saved(picture("1"), "PNG"),
    "grey16.png": lambda: saved(picture("L").convert("I;16"), "PNG"),
    "alpha.png": lambda: saved(picture("RGBA"), "PNG"),
    "grey-alpha.png": lambda: saved(picture("LA"), "PNG"),
    "lossy.webp": lambda: saved(PLAIN, "WEBP", quality=50),
    "lossless.webp": lambda: saved(picture("RGBA"), "WEBP", lossless=True),
    "moving.webp": lambda: saved(PLAIN, "WEBP", save_all=True, append_images=[picture(size=(320, 240)).rotate(90)]),
    "moving.gif": lambda: saved(PLAIN.quantize(32), "GIF", save_all=True, append_images=[PLAIN.rotate(90).quantize(32)]),
    "plain.bmp": lambda: saved(PLAIN, "BMP"),
    "palette.bmp": lambda: saved(PLAIN.quantize(256), "BMP"),
    "bilevel.bmp": lambda: saved(picture("1"), "BMP"),
    "trailing.jpg": lambda: saved(PLAIN, "JPEG") + bytes(1000000),
    "a-png-by-content.jpg": lambda: saved(PLAIN, "PNG"),
    **{f"side-{n}.png": (lambda n=n: saved(picture(size=(n, 64 - n)), "PNG")) for n in (1, 7, 31, 63)},
    **{f"side-{n}.jpg": (lambda n=n: saved(picture(size=(n, 64 - n)), "JPEG")) for n in (1, 7, 31, 63)},
}


def classify(client, service, files):
    folder = service.bucket / "hostile"
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    job = client.job(s3_keys=[f"hostile/{name}" for name in files], top_k=5)
    client.wait(job)
    return {row["s3_key"].split("/", 1)[1]: row for row in client.rows(job)}


def test_pictures_that_lie_or_explode_are_row_errors(client, service):
    start = time.monotonic()
    rows = classify(client, service, {name: make() for name, (make, _) in BAD.items()})
    wrong = {name: rows[name].get("error", rows[name].get("label")) for name, (_, codes) in BAD.items()
             if rows[name].get("error", {}).get("code") not in codes}
    assert not wrong
    assert all(row["error"]["message"] for row in rows.values())
    assert time.monotonic() - start < 60


def test_pictures_that_are_legal_but_odd_are_classified(client, service):
    rows = classify(client, service, {name: make() for name, make in ODD.items()})
    assert not {name: row["error"] for name, row in rows.items() if "error" in row}


@pytest.mark.model
def test_a_turned_photo_is_seen_upright(client, service):
    upright = Image.open(service.bucket / "test/image.jpg")
    turns = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
             6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}
    files = {"orientation-1.jpg": saved(upright, "JPEG", quality=95)}
    for value, turn in turns.items():
        exif = Image.Exif()
        exif[0x0112] = value
        files[f"orientation-{value}.jpg"] = saved(upright.transpose(turn), "JPEG", quality=95, exif=exif)
    rows = classify(client, service, files)
    confidences = [row["confidence"] for row in rows.values()]
    assert {row["label"] for row in rows.values()} == {"espresso"}
    assert max(confidences) - min(confidences) < 0.05


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_every_97th_truncation_is_a_row_and_never_a_crash(client, service, form):
    data = saved(picture("P" if form == "GIF" else "RGB", (96, 64)), form)
    files = {f"cut-{form}-{n}": data[:n] for n in range(1, len(data), 97)}
    rows = classify(client, service, files)
    assert len(rows) == len(files)
    assert not [row for row in rows.values() if row.get("error", {}).get("code") in ("DECODER_CRASHED", "DECODE_TIMEOUT")]
    whole = classify(client, service, {f"whole-{form}": data})[f"whole-{form}"]
    assert "error" not in whole
