# SPDX-License-Identifier: Apache-2.0
"""Fetches the servers of the integration tests, each once, into build/emulators. What is fetched is
pinned by the recipes in tools/emulators; a changed recipe is fetched anew. A download that fails is
an error of the tests, never a reason to skip them."""
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPES = ROOT / "tools/emulators"
CACHE = pathlib.Path(os.environ.get("DIC_EMULATORS_DIR", ROOT / "build/emulators")).resolve()
DYNOXIDE = "3.2.0"
DOWNLOAD_SECONDS = 900


class EmulatorError(RuntimeError):
    """A server that cannot be fetched or started; says what to do."""


def python_environment():
    """The venv with ministack and moto; returns its interpreter."""
    requirements = RECIPES / "requirements.txt"

    def build(folder):
        _run([sys.executable, "-m", "venv", folder], "make a Python environment (python3-venv)")
        _run([folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check",
              "-r", requirements], "install ministack and moto")

    return _fetch("python", requirements.read_bytes(), build) / "bin/python"


def jars(name):
    """The class path of a Java server: its jar and all it depends on."""
    pom = RECIPES / f"{name}.pom.xml"

    def build(folder):
        # --strict-checksums: a jar that differs from the repository's own checksum is an error.
        _run(["mvn", "--batch-mode", "--quiet", "--strict-checksums", "--file", pom,
              "dependency:copy-dependencies", "-DincludeScope=runtime",
              f"-DoutputDirectory={folder}"], f"fetch {name} (needs maven and a Java runtime)")

    java()
    return f"{_fetch(name, pom.read_bytes(), build)}/*"


def java():
    """Java 17 or later, as both Java servers are compiled for it."""
    found = shutil.which("java")
    if found is None:
        raise EmulatorError("no java in PATH; install the package default-jre-headless")
    return found


def dynoxide():
    """A DynamoDB server from crates.io, compiled here (minutes); not fetched unless asked for."""
    recipe = f"dynoxide-rs {DYNOXIDE}".encode()

    def build(folder):
        quick = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
                 "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}
        _run(["cargo", "install", "--quiet", "--locked", "--root", folder, "--target-dir",
              folder / "target", "dynoxide-rs", "--version", DYNOXIDE, "--no-default-features",
              "--features", "native-sqlite,http-server,cli", "--jobs", "2"],
             "compile dynoxide (needs cargo 1.88 or later)", quick)
        shutil.rmtree(folder / "target")

    return _fetch("dynoxide", recipe, build) / "bin/dynoxide"


def _fetch(name, recipe, build):
    """build(folder) once per recipe, also when several test runs start at the same time."""
    folder = CACHE / f"{name}-{hashlib.sha256(recipe).hexdigest()[:12]}"
    done = folder / ".complete"
    if done.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            for stale in CACHE.glob(f"{name}-*"):
                shutil.rmtree(stale)
            folder.mkdir()
            build(folder)
            done.touch()
    return folder


def _run(command, purpose, environment=None):
    command = [str(part) for part in command]
    try:
        result = subprocess.run(command, env={**os.environ, **(environment or {})}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=DOWNLOAD_SECONDS, check=False)
    except FileNotFoundError as missing:
        raise EmulatorError(f"cannot {purpose}: {command[0]} is not installed") from missing
    except subprocess.TimeoutExpired as slow:
        raise EmulatorError(f"cannot {purpose}: not done after {DOWNLOAD_SECONDS} s") from slow
    if result.returncode != 0:
        raise EmulatorError(f"cannot {purpose}: {command[0]} ended with status "
                            f"{result.returncode}\n{result.stdout[-3000:]}")
