#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The conventional worker that ours is compared with: processes with Pillow and OpenVINO's Python API,
on the same int8 model.  python_worker.py MODEL_FOLDER PHOTO_FOLDER IMAGES [PROCESSES]"""
import json
import multiprocessing
import pathlib
import sys
import time

import numpy as np


def work(folder, files, ready, go, done):
    import openvino as ov
    from PIL import Image
    description = json.loads((folder / "model.json").read_text())
    side, short = description["input"]["height"], description["resize"]["short_side"]
    mean, scale = np.float32(description["input"]["mean"]), np.float32(description["input"]["scale"])
    model = ov.Core().compile_model(folder / description["files"]["model"], "CPU", {
        "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1})
    ready.put(1)
    go.wait()
    for file in files:
        image = Image.open(file)
        image.draft("RGB", (short, short))  # the decoder's own downscaling, as a careful author would
        image = image.convert("RGB")
        factor = short / min(image.size)
        image = image.resize((round(image.width * factor), round(image.height * factor)), Image.BICUBIC)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        pixels = np.asarray(image.crop((left, top, left + side, top + side)), np.float32)
        scores = model(((pixels - mean) / scale).transpose(2, 0, 1)[None])[0][0]
        np.argsort(-scores)[:5]
    done.put(len(files))


def main():
    folder, photos, count = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    processes = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    files = sorted(p for p in photos.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
    files = (files * (count // len(files) + 1))[:count]
    ready, done, go = multiprocessing.Queue(), multiprocessing.Queue(), multiprocessing.Event()
    workers = [multiprocessing.Process(target=work, args=(folder, files[i::processes], ready, go, done))
               for i in range(processes)]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.get()
    start = time.perf_counter()
    go.set()
    total = sum(done.get() for _ in workers)
    print(json.dumps({"images": total, "images_per_s": round(total / (time.perf_counter() - start), 1)}))


if __name__ == "__main__":
    main()
