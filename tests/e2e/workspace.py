# SPDX-License-Identifier: Apache-2.0
"""A copy of the checkout that a test may edit: images are built from it, and Terraform runs in it."""
import json
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
# S3's host names of virtual-hosted style (BUCKET.localhost) are nobody's here.
OVERRIDE = 'provider "aws" {\n  s3_use_path_style = true\n}\n'
VARIABLES = "e2e.auto.tfvars.json"


class Workspace:
    """The files that git knows, as they are in the working tree. With variables the folder terraform is one to be
    applied; without it is as a user has it."""

    def __init__(self, folder, variables=None):
        self.root = pathlib.Path(folder)
        self.terraform = self.root / "terraform"
        for name in tracked_files():
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
        # Its checksums would be those of the mirror's builds, not of the public registry's.
        (self.terraform / ".terraform.lock.hcl").unlink(missing_ok=True)
        self.variables = dict(variables or {})
        if variables is not None:
            (self.terraform / "override.tf").write_text(OVERRIDE)
            self.set()

    def set(self, **variables):
        """Variables of the deployment, from now on."""
        self.variables.update(variables)
        (self.terraform / VARIABLES).write_text(json.dumps(self.variables, indent=2))

    def read(self, name):
        return (self.root / name).read_text()

    def append(self, name, text):
        with open(self.root / name, "a", encoding="utf-8") as file:
            file.write(text)

    def insert_after(self, name, place, text):
        content = self.read(name)
        assert content.count(place) == 1, f"{name} has {place!r} {content.count(place)} times"
        (self.root / name).write_text(content.replace(place, place + text))

    def rename(self, old, new):
        (self.root / old).rename(self.root / new)

    def restore(self, name):
        """As it is in the checkout."""
        shutil.copy2(ROOT / name, self.root / name)


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]
