# SPDX-License-Identifier: Apache-2.0
"""What is in the images: the programs, what they need to run, and nothing else."""
import gzip
import pathlib
import re
import shutil
import subprocess

import pytest

import containers

LIBRARIES = "usr/lib/x86_64-linux-gnu"
OPENVINO = "usr/lib/openvino"
MODEL = "usr/share/ml-service/efficientnet-lite0"
LIMIT_MB = {"backend-service": 30, "ml-service": 150}
# Opened at run time, so that no other file names them: by the C library to end threads, and by OpenVINO.
OPENED = {"backend-service": {"libgcc_s.so.1"},
          "ml-service": {"libopenvino_intel_cpu_plugin.so", "libopenvino_ir_frontend.so.2640",
                         "libopenvino_onnx_frontend.so.2640"}}
ALLOWED = re.compile(rf"""usr/bin/(backend-service|ml-service)
    |lib64/ld-linux-x86-64\.so\.2 |{LIBRARIES}/lib[\w.+-]+\.so[\d.]* |{OPENVINO}/lib[\w.]+\.so[\d.]*
    |{MODEL}/(model\.(xml|bin|json)|labels\.txt|PROVENANCE\.md)
    |etc/ssl/certs/ca-certificates\.crt |etc/nsswitch\.conf |etc/os-release
    |usr/share/doc/openvino/(LICENSE|licensing/[\w-]+\.txt) |usr/share/doc/[a-z0-9.+-]+/copyright
    |var/lib/dpkg/status\.d/[a-z0-9.+-]+""", re.VERBOSE)


def readelf(path, *options):
    assert shutil.which("readelf"), "readelf (package binutils) is needed"
    return subprocess.run(["readelf", "-W", *options, path], text=True, capture_output=True, check=True).stdout


def needs(path):
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", readelf(path, "-d")))


def objects(root):
    """{file name: path} of all ELF files."""
    found = [path for path in root.rglob("*") if path.is_file() and path.open("rb").read(4) == b"\x7fELF"]
    assert len({path.name for path in found}) == len(found), "two libraries of one name"
    return {path.name: path for path in found}


def test_the_size_is_within_its_limit(image, program):
    size = containers.inspect(image)["Size"]
    print(f"{program}: {size / 1e6:.1f} MB")
    assert size < LIMIT_MB[program] * 1e6


def test_what_a_registry_stores_is_far_below_it(image, program):
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as save:
        packed = gzip.compress(save.stdout.read(), compresslevel=1)
    print(f"{program}: {len(packed) / 1e6:.1f} MB compressed")
    assert len(packed) < LIMIT_MB[program] * 1e6 / 2


def test_there_is_no_file_but_those_that_are_meant(image):
    found = [entry.name for entry in containers.members(image) if not entry.isdir()]
    assert [name for name in found if not ALLOWED.fullmatch(name)] == []
    assert len(found) > 50


def test_there_is_no_shell_and_no_package_manager(image):
    programs = [entry.name for entry in containers.members(image) if entry.isfile() and entry.mode & 0o111]
    assert len(programs) == 2 and "lib64/ld-linux-x86-64.so.2" in programs, programs


def test_nothing_is_setuid_or_writable_by_others_and_root_owns_it_all(image):
    for entry in containers.members(image):
        assert (entry.uid, entry.gid) == (0, 0), entry.name
        assert entry.mode & 0o7022 == 0, (entry.name, oct(entry.mode))
        assert entry.isfile() or entry.isdir(), entry.name


def test_every_library_is_needed_and_every_needed_one_is_there(root, program):
    there = objects(root)
    reached, waiting = set(), {program} | OPENED[program]
    while waiting:
        name = waiting.pop()
        assert name in there, f"{name} is missing"
        reached.add(name)
        waiting |= needs(there[name]) - reached
    assert set(there) - reached == set()


def test_programs_are_stripped_hardened_and_say_nothing_of_where_they_were_built(root, program):
    path = root / "usr/bin" / program
    dynamic = readelf(path, "-d")
    assert re.search(r"FLAGS_1.*NOW.*PIE", dynamic), dynamic
    headers = readelf(path, "-l")
    assert "GNU_RELRO" in headers and re.search(r"GNU_STACK.* RW +0x", headers), headers
    rpath = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic)
    assert rpath == (["$ORIGIN/../lib/openvino"] if program == "ml-service" else [])
    content = path.read_bytes()
    for place in (b"\0/src/", b"/src/lib/", b"/src/build/", b"\0/build/", b"/root/", b"/home/"):
        assert place not in content, place
    for name, file in objects(root).items():
        assert not re.search(r"\.symtab|\.debug_info", readelf(file, "-S")), name


def test_programs_run_on_any_x86_64(root, program):
    """What newer processors have is chosen at run time, by the libraries."""
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", root / "usr/bin" / program], text=True,
                          capture_output=True, check=True).stdout
    assert "xmm" in code
    assert not re.search(r"%[yz]mm\d", code)


def test_scanners_find_the_packages_and_readers_their_licences(root):
    folder = root / "var/lib/dpkg/status.d"
    packages = {}
    for path in folder.iterdir():
        fields = dict(re.findall(r"^([\w-]+): (.*)$", path.read_text(), re.MULTILINE))
        assert fields["Package"] == path.name and fields["Version"] and "installed" in fields["Status"]
        assert (root / "usr/share/doc" / path.name / "copyright").stat().st_size > 100
        packages[path.name] = fields
    assert {"libc6", "libcurl4t64", "libssl3t64", "libjansson4", "ca-certificates"} <= set(packages)
    assert 'VERSION_CODENAME=trixie' in (root / "etc/os-release").read_text()


def test_there_are_certificates(root):
    bundle = (root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert bundle.count("BEGIN CERTIFICATE") > 100


def test_the_configuration_asks_for_no_privilege_and_no_shell(image, program):
    config = containers.inspect(image)["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == [f"/usr/bin/{program}"] and not config.get("Cmd")
    assert "Healthcheck" not in config and not config.get("Volumes") and not config.get("OnBuild")
    assert [one.partition("=")[0] for one in config.get("Env") or []] in ([], ["PATH"])
    assert list(config.get("ExposedPorts") or {}) == (["8080/tcp"] if program == "backend-service" else [])


def test_labels_say_version_and_revision(images, image, program):
    labels = containers.inspect(image)["Config"]["Labels"]
    name = "org.opencontainers.image."
    assert labels[name + "title"] == program and labels[name + "licenses"] == "Apache-2.0"
    said = containers.run(image, "--version").stdout.strip()
    assert said == f"{program} {labels[name + 'version']}"
    assert labels[name + "revision"]


def test_the_model_is_the_committed_one(roots):
    committed = pathlib.Path(__file__).resolve().parents[2] / "ml-service/model/efficientnet-lite0"
    there = roots["ml-service"] / MODEL
    assert {path.name for path in there.iterdir()} == {path.name for path in committed.iterdir()}
    for path in committed.iterdir():
        assert (there / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.deep
def test_the_same_source_gives_the_same_files(docker, program):
    """Twice from nothing but the base image; REVISION is in the label, so no file may differ by it."""
    root = pathlib.Path(__file__).resolve().parents[2]
    first, second = (containers.build(program, root, tag=f"dic-test/{program}:{mark}", cached=False, REVISION=mark)
                     for mark in ("first", "second"))
    assert first != second
    found = containers.sums(first)
    assert len(found) > 50
    assert containers.sums(second) == found
