# SPDX-License-Identifier: Apache-2.0
"""What each image is built from. Terraform's triggers name the same paths: whatever else changes, the
image stays as it is."""
import os
import pathlib
import re
import shutil

import pytest

import containers

ROOT = pathlib.Path(__file__).resolve().parents[2]
INPUTS = {"backend-service": ["lib", "backend-service"],
          "ml-service": ["lib", "ml-service", "tools/fetch-openvino"]}


@pytest.fixture
def built_here(program):
    if containers.NAMED[program] in os.environ:
        pytest.skip(f"{containers.NAMED[program]} names an image that was built elsewhere")


def copy(paths, folder):
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, target)
        else:
            shutil.copy2(ROOT / path, target)
    return folder


def test_dockerfiles_copy_the_inputs_and_nothing_else(program):
    text = (ROOT / program / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(\S+) \S+$", text, re.MULTILINE)
    assert sorted(copied) == sorted(INPUTS[program])
    assert "ADD " not in text


def test_the_context_is_an_allow_list(program):
    for path, allowed in ((".dockerignore", set().union(*INPUTS.values())),
                          (f"{program}/Dockerfile.dockerignore", set(INPUTS[program]))):
        lines = [line for line in (ROOT / path).read_text().splitlines() if line and not line.startswith("#")]
        assert lines[0] == "*" and {line[1:] for line in lines[1:-1]} == allowed, path
        assert all(line.startswith("!") for line in lines[1:-1])
        assert lines[-1] == "**/.*"  # an editor's swap files are no change


def test_inputs_alone_are_enough_and_other_files_change_nothing(image, program, built_here, tmp_path):
    """Nothing is compiled anew: equal inputs are found in the builder's cache."""
    tree = copy(INPUTS[program] + [".dockerignore"], tmp_path / "tree")
    assert containers.build(program, tree, tag=f"dic-test/{program}:alone") == image
    other = {"backend-service": "ml-service/src/new.c", "ml-service": "backend-service/src/new.c"}[program]
    for path in (other, "docs/new.md", "README.md", "terraform/main.tf", "tools/new"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("int main(void) { return 0; }\n")
    assert containers.build(program, tree, tag=f"dic-test/{program}:alone") == image
