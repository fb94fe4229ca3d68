# SPDX-License-Identifier: Apache-2.0
"""chaos.py, for a minute of faults with a fixed seed in make test; longer, and with new seeds, in
make test-deep or by hand (DIC_CHAOS_SEED, DIC_CHAOS_SECONDS)."""
import os

import pytest

import chaos


def test_no_image_is_lost_or_doubled_whatever_fails(ministack, tmp_path):
    print(chaos.run(ministack, tmp_path, seed=int(os.environ.get("DIC_CHAOS_SEED", "1")), seconds=60,
                    job_count=60, most_images=60))


@pytest.mark.deep
def test_nor_in_a_longer_run(ministack, tmp_path):
    seconds = float(os.environ.get("DIC_CHAOS_SECONDS", "300"))
    print(chaos.run(ministack, tmp_path, seed=int(os.environ.get("DIC_CHAOS_SEED", "2")), seconds=seconds,
                    job_count=200, most_images=max(60, min(500, int(seconds / 2.4)))))
