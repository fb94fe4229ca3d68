#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far our preprocessing is from Pillow's (bicubic, short side 256, centre 224).

    compare_pillow.py BUILD/bin/decode_bench PICTURE...

Prints the mean and largest absolute difference of each picture in steps of 0 … 255, and over all.
A JPEG whose short side is 512 or more is decoded at a reduced DCT scale, which differs by design.
Needs Pillow and NumPy.
"""
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageOps

SHORT_SIDE, CROP = 256, 224


def reference(path):
    with Image.open(path) as picture:
        picture = ImageOps.exif_transpose(picture)
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture.convert("RGBA"))
        picture = picture.convert("RGB")
    width, height = picture.size
    short = min(width, height)
    size = (SHORT_SIDE * width // short, SHORT_SIDE * height // short)
    left, top = (round((side - CROP) / 2) for side in size)
    resized = picture.resize(size, Image.Resampling.BICUBIC)
    crop = resized.crop((left, top, left + CROP, top + CROP))
    return np.asarray(crop, dtype=np.float32).transpose(2, 0, 1), short


def ours(program, path):
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([program, "--dump", out.name, path], check=True)
        return np.fromfile(out.name, dtype=np.float32).reshape(3, CROP, CROP)


def main():
    program, paths = sys.argv[1], sys.argv[2:]
    means = {False: [], True: []}
    largest = {False: 0.0, True: 0.0}
    for path in paths:
        expected, short = reference(path)
        difference = np.abs(ours(program, path) - expected)
        scaled = short >= 2 * SHORT_SIDE and path.lower().endswith((".jpg", ".jpeg"))
        means[scaled].append(difference.mean())
        largest[scaled] = max(largest[scaled], difference.max())
        if len(paths) <= 20:
            print(f"{path}: mean {difference.mean():.4f}, largest {difference.max():.0f}")
    for scaled, name in ((False, "full size"), (True, "reduced DCT")):
        if means[scaled]:
            print(f"{name}: {len(means[scaled])} pictures, mean {np.mean(means[scaled]):.4f}, "
                  f"worst mean {np.max(means[scaled]):.4f}, largest {largest[scaled]:.0f}")


if __name__ == "__main__":
    main()
