# SPDX-License-Identifier: Apache-2.0
"""The corpus of tests/corpus through the running service: each picture has the outcome its index names, none
ends a process, and none takes more memory or time than it may."""
import collections
import os
import pathlib
import re
import sys

import pytest
from conftest import ROOT, Client, Service

sys.path.insert(0, str(ROOT / "tests/corpus"))
import make_corpus  # noqa: E402

pytestmark = pytest.mark.local

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
FILES_A_JOB = 2000


def descendants(pid):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def decoders(service):
    found = {pid for pid in descendants(service.process.pid)
             if pathlib.Path(f"/proc/{pid}/comm").read_text() == "dic-decoder\n"}
    assert found
    return found


def memory_mib(pid, field):
    return int(re.search(rf"{field}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def cpu_ms(pids):
    fields = [pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return sum(int(f[11]) + int(f[12]) for f in fields) * 1000 / TICKS_PER_SECOND


def is_sanitized(service):
    return re.search(r"lib[atu]b?san", pathlib.Path(f"/proc/{service.process.pid}/maps").read_text()) is not None


def outcome(row):
    return row["error"]["code"] if "error" in row else "partial" if row.get("partial") else "ok"


class Run:
    """All files of a corpus, classified in jobs by what memory they may take, the least first: so a decoder's
    peak after a job is that of the job's files or of more modest ones."""

    def __init__(self, service, folder, **choice):
        self.service, self.folder = service, folder
        self.index = {line["file"]: line for line in make_corpus.make(service.bucket / folder, **choice)}
        self.rows, self.peaks, self.spent = {}, {}, {}
        self.decoders = decoders(service)
        self.resting_mib = max(memory_mib(pid, "VmRSS") for pid in self.decoders)
        for ceiling in sorted({line["memory_mib"] for line in self.index.values()}):
            files = [name for name, line in self.index.items() if line["memory_mib"] == ceiling]
            for at in range(0, len(files), FILES_A_JOB):
                self.classify(ceiling, files[at:at + FILES_A_JOB])

    def classify(self, ceiling, files):
        client = Client(self.service.url)
        pids = decoders(self.service)
        before = cpu_ms(pids)
        job = client.job(s3_keys=[f"{self.folder}/{name}" for name in files], top_k=1)
        client.wait(job, seconds=600)
        for row in client.rows(job):
            self.rows[row["s3_key"].removeprefix(f"{self.folder}/")] = row
        if decoders(self.service) == pids:  # a test of its own says when they are not
            self.peaks[files[0]] = (max(memory_mib(pid, "VmHWM") for pid in pids) - self.resting_mib, ceiling)
            self.spent[files[0]] = (cpu_ms(pids) - before, sum(self.index[name]["cpu_ms"] for name in files))

    def unexpected(self):
        return {name: (outcome(row), row.get("error", {}).get("message"), self.index[name]["expected"])
                for name, row in self.rows.items() if outcome(row) not in self.index[name]["expected"].split("|")}


def own_run(tmp_path_factory, **choice):
    service = Service(tmp_path_factory.mktemp("corpus")).start()
    try:
        yield Run(service, "corpus", **choice)
        assert service.stop() == 0, service.log()
        assert "ERROR: AddressSanitizer" not in service.log() and "runtime error" not in service.log()
    finally:
        if service.process.poll() is None:
            service.kill()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    yield from own_run(tmp_path_factory)


@pytest.fixture(scope="module")
def deep_run(tmp_path_factory):
    yield from own_run(tmp_path_factory, deep=True, only_deep=True)


def check_outcomes(run):
    assert run.rows.keys() == run.index.keys()
    assert not run.unexpected()
    assert all(row["error"]["message"] for row in run.rows.values() if "error" in row)


def check_memory(run):
    if is_sanitized(run.service):
        pytest.skip("sanitizers keep freed memory")
    assert run.peaks and not {name: pair for name, pair in run.peaks.items() if pair[0] > pair[1]}


def test_every_picture_has_the_outcome_that_the_index_names(run):
    check_outcomes(run)


def test_no_picture_ends_a_process(run):
    assert run.service.process.poll() is None
    assert decoders(run.service) == run.decoders


def test_no_picture_takes_more_memory_than_it_may(run):
    check_memory(run)


def test_no_job_takes_more_time_than_its_pictures_may(run):
    if is_sanitized(run.service):
        pytest.skip("sanitizers are slow")
    assert run.spent and not {name: pair for name, pair in run.spent.items() if pair[0] > pair[1]}


@pytest.mark.model
def test_photos_are_recognised_in_every_disguise(run):
    wrong = {name: (row.get("label"), row.get("confidence"), row.get("error")) for name, row in run.rows.items()
             if run.index[name]["label"] not in ("", row.get("label"))}
    assert not wrong


@pytest.mark.model
def test_a_turned_photo_is_seen_upright(run):
    confidences = [run.rows[f"odd/orientation-{value}.jpg"]["confidence"] for value in range(1, 9)]
    assert max(confidences) - min(confidences) < 0.05


def test_the_corpus_covers_each_format_and_section(run):
    counts = collections.Counter((line["section"], name.rsplit(".", 1)[-1]) for name, line in run.index.items())
    for form in ("jpg", "png", "webp", "gif", "bmp"):
        assert all(counts[section, form] >= 5 for section in ("bombs", "corrupt", "odd", "cut")), (form, counts)


@pytest.mark.deep
def test_every_truncation_and_every_wrong_byte_is_a_row_and_never_a_crash(deep_run):
    check_outcomes(deep_run)
    assert decoders(deep_run.service) == deep_run.decoders
    check_memory(deep_run)
