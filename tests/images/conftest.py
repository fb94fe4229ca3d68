# SPDX-License-Identifier: Apache-2.0
"""The two container images, built from this tree, or those that DIC_BACKEND_IMAGE and DIC_ML_IMAGE
name; and the servers of tests/integration for them to work on. Without a Docker daemon all but the
tests of `make doctor` are skipped, with the reason."""
import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

import aws_env  # noqa: E402
import containers  # noqa: E402
from emulators import Emulators  # noqa: E402


@pytest.fixture(scope="session")
def docker():
    reason = containers.why_no_docker()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def images(docker):
    """{program: image}."""
    return {program: os.environ.get(variable) or containers.build(program, ROOT)
            for program, variable in containers.NAMED.items()}


@pytest.fixture(params=sorted(containers.NAMED))
def program(request):
    return request.param


@pytest.fixture
def image(images, program):
    return images[program]


@pytest.fixture(scope="session")
def roots(images, tmp_path_factory):
    """{program: its image's root, unpacked}."""
    return {program: containers.unpack(image, tmp_path_factory.mktemp("root") / program)
            for program, image in images.items()}


@pytest.fixture
def root(roots, program):
    return roots[program]


@pytest.fixture(scope="session")
def ministack(docker, tmp_path_factory):
    with Emulators(tmp_path_factory.mktemp("emulators")) as running:
        running.start("ministack")
        yield running.get("ministack")


@pytest.fixture
def aws(ministack):
    """Buckets, queues and table of the test's own, on a server that checks every signature."""
    return aws_env.create({"s3": ministack, "sqs": ministack, "dynamodb": ministack})
