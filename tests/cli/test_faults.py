# SPDX-License-Identifier: Apache-2.0
"""What the client does when the service is slow, goes away, or is another one."""
import json
import os
import re
import socket
import subprocess

import pytest

from conftest import PROGRAM, Cli
from scripted_server import CUT, JOB, error, job, page

ROW = {"index": 0, "s3_key": "a ] } \" \\ é.jpg", "predictions": [{"label": "x, [y]"}, {}]}


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]  # bound and not listening: refused


def test_a_service_that_is_not_there_is_exit_4(closed_port):
    said = Cli(f"http://127.0.0.1:{closed_port}").fails(4, "status", JOB)
    assert f"127.0.0.1:{closed_port}" in said


def test_result_asks_again_for_the_page_that_broke_off(scripted, scripted_cli):
    rows = [{"index": number} for number in range(5)]
    scripted.answers = [page(rows[:2], "0.2"), CUT, CUT, page(rows[2:4], "0.4"),
                        page(rows[4:], None)]
    printed = scripted_cli.good("result", JOB)
    assert [json.loads(line) for line in printed.splitlines()] == rows
    asked = [path for _, path, _, _ in scripted.requests]
    assert asked == [f"/result/{JOB}?limit=1000", *[f"/result/{JOB}?limit=1000&cursor=0.2"] * 3,
                     f"/result/{JOB}?limit=1000&cursor=0.4"]


def test_result_that_ends_early_says_where_to_go_on(scripted, scripted_cli):
    scripted.answers = [page([ROW], "0.1"), error(404, "NOT_FOUND", "the job is gone")]
    done = scripted_cli.run("result", JOB)
    assert done.returncode == 2 and json.loads(done.out) == ROW
    assert done.err == ("classify: the rows are not complete; 1 rows written, go on with "
                        "--cursor 0.1\nclassify: the job is gone\n")


def test_result_of_a_running_job_is_what_there_is(scripted, scripted_cli):
    scripted.answers = [page([ROW], "0.1", 202), page([], "0.1", 202)]
    done = scripted_cli.run("result", JOB)
    assert done.returncode == 0 and json.loads(done.out) == ROW
    assert done.err == "classify: the job still runs; 1 rows written, go on with --cursor 0.1\n"


@pytest.mark.parametrize("rows", [[], [ROW], [ROW, ROW], [{}, [], "]", 1, None, {"a": [{}]}]])
@pytest.mark.parametrize("separators", [(",", ":"), (" ,\n", " : ")])
def test_rows_are_passed_on_as_they_were_written(scripted, scripted_cli, rows, separators):
    text = json.dumps({"results_": [1], "x": {"results": [2]}, "y": "results", "results": rows,
                       "next_cursor": None}, separators=separators, ensure_ascii=False)
    scripted.answers = [(200, {}, text.encode())]
    written = [json.dumps(row, separators=separators, ensure_ascii=False) for row in rows]
    assert scripted_cli.good("result", JOB) == "".join(row + "\n" for row in written)


def test_a_submit_whose_answer_was_lost_is_sent_again_under_the_same_key(scripted, scripted_cli):
    scripted.answers = [CUT, (202, {}, {"job_id": JOB, "status": "queued"})]
    assert scripted_cli.good("submit", "k") == JOB + "\n"
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in scripted.requests]
    assert len(keys) == 2 and keys[0] == keys[1] and re.fullmatch("classify-[a-z2-7]{26}", keys[0])
    assert scripted.requests[0][3] == scripted.requests[1][3]


def test_a_busy_service_is_asked_again_after_its_retry_after(scripted, scripted_cli):
    scripted.answers = [error(503, "BUSY", "not now", Retry_After="1"), job("succeeded")]
    assert "succeeded" in scripted_cli.good("status", JOB)
    assert len(scripted.requests) == 2


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 500])
def test_a_refusal_is_final_and_exit_2(scripted, scripted_cli, status):
    scripted.answers = [error(status, "WORD", "because of that", "some.field")]
    assert scripted_cli.fails(2, "status", JOB) == "because of that (field some.field)"
    assert len(scripted.requests) == 1


def test_messages_of_a_service_cannot_drive_the_terminal(scripted, scripted_cli):
    scripted.answers = [job("run\x1b[2Jning\x07\x9b", total=None)]
    printed = scripted_cli.good("status", JOB)
    assert "run?[2Jning??: 0 of - images" in printed


@pytest.mark.parametrize("arguments", [["submit", "k"], ["retry", JOB]])
@pytest.mark.parametrize("answer", [{}, {"job_id": None}, {"job_id": "../../x"}])
def test_an_answer_that_names_no_job_is_an_error(scripted, scripted_cli, arguments, answer):
    scripted.answers = [(202, {}, answer)]
    assert scripted_cli.fails(4, *arguments) == "the service's answer names no job"


def test_another_server_is_told_from_the_service(scripted, scripted_cli):
    scripted.answers = [(200, {}, b"<html>hello</html>")]
    assert "is it the right URL?" in scripted_cli.fails(2, "status", JOB)
    scripted.answers = [(404, {}, b"<html>no</html>")]
    assert "answers 404" in scripted_cli.fails(2, "status", JOB)
    scripted.answers = [(301, {"Location": "https://elsewhere/"}, b"")]
    assert "leads elsewhere (301), to https://elsewhere/" in scripted_cli.fails(2, "status", JOB)
    scripted.answers = [(200, {}, b"{\"job_id\":")]
    assert "not valid JSON" in scripted_cli.fails(4, "status", JOB)


def test_wait_prefers_a_long_answer_and_ends_with_the_job(scripted, scripted_cli):
    early = job("running")
    scripted.answers = [(early[0], {"Retry-After": "0"}, early[2]), job("succeeded", succeeded=3)]
    printed = scripted_cli.good("wait", JOB, "--json")
    assert json.loads(printed)["status"] == "succeeded"
    assert [headers["Prefer"] for _, _, headers, _ in scripted.requests] == ["wait=50"] * 2


@pytest.mark.parametrize("status, code", [("succeeded", 0), ("completed_with_failures", 3),
                                          ("failed", 3), ("cancelled", 3), ("expired", 3)])
def test_how_the_job_ended_is_the_exit_status_of_wait(scripted, scripted_cli, status, code):
    scripted.answers = [job(status)]
    assert scripted_cli.run("wait", JOB).returncode == code


@pytest.mark.parametrize("status", ["queued", "running", "cancelling"])
def test_wait_gives_up_after_its_timeout(scripted, scripted_cli, status):
    scripted.answers = [job(status)]
    said = scripted_cli.fails(4, "wait", JOB, "--timeout", "1")
    assert said == f"the job has not ended within 1 s: it is {status}"
    assert len(scripted.requests) <= 2


def test_wait_rests_when_it_is_answered_early(scripted, scripted_cli):
    scripted.answers = [job("running")]
    scripted_cli.fails(4, "wait", JOB, "--timeout", "3")
    assert 2 <= len(scripted.requests) <= 5  # a second between them, and not as fast as can be


def test_wait_never_asks_to_wait_longer_than_its_timeout(scripted, scripted_cli):
    scripted.answers = [job("succeeded")]
    scripted_cli.good("wait", JOB, "--timeout", "10")
    assert scripted.requests[0][2]["Prefer"] in ("wait=9", "wait=10")


def test_a_terminal_sees_a_line_of_progress_and_a_file_does_not(scripted, scripted_cli):
    early = job("running", succeeded=1, failed=1)
    scripted.answers = [(early[0], {"Retry-After": "0"}, early[2]), job("succeeded", succeeded=3)]
    ours, theirs = os.openpty()
    running = subprocess.Popen([PROGRAM, "wait", JOB], stdout=subprocess.PIPE, stderr=theirs,
                               env=scripted_cli.environment)
    os.close(theirs)
    printed = running.communicate(timeout=60)[0].decode()
    shown = os.read(ours, 10000).decode()
    os.close(ours)
    assert "running: 2 of 3 images, 1 classified, 1 failed, 0 skipped" in shown
    assert shown.endswith("\r\x1b[K") and "running" not in printed
    assert scripted.requests[0][2]["Prefer"] == "wait=2"


def test_result_holds_one_page_however_many_there_are(scripted, scripted_cli):
    rows = [{"index": number, "s3_key": "k" * 1000} for number in range(1000)]
    peaks = []
    scripted_cli.environment["ASAN_OPTIONS"] = "quarantine_size_mb=1"
    for pages in (3, 60):
        scripted.answers = [page(rows, "1.0")] * (pages - 1) + [page(rows, None)]
        with subprocess.Popen([PROGRAM, "result", JOB, "--out", "/dev/null"],
                              env=scripted_cli.environment) as running:
            _, status, usage = os.wait4(running.pid, 0)
            running.returncode = os.waitstatus_to_exitcode(status)
        assert running.returncode == 0 and scripted.requests[-1][1].endswith("cursor=1.0")
        peaks.append(usage.ru_maxrss / 1024)
    assert peaks[1] < peaks[0] + 20, peaks  # MiB; all 60 pages are 60 MiB



def test_wait_outlives_a_restart_of_the_service(scripted, scripted_cli):
    early = job("running")
    # Longer than the 3 s that a service which never answered is given.
    scripted.answers = [(early[0], {"Retry-After": "0"}, early[2]), CUT, CUT, CUT, CUT,
                        error(503, "BUSY", "starting", Retry_After="1"), job("succeeded")]
    assert "succeeded" in scripted_cli.good("wait", JOB)


def test_wait_for_a_service_that_went_away_ends_with_its_timeout(scripted, scripted_cli):
    early = job("running")
    scripted.answers = [(early[0], {"Retry-After": "0"}, early[2]), CUT]
    assert scripted_cli.run("wait", JOB, "--timeout", "2", timeout=30).returncode == 4


def test_jobs_asks_for_further_pages_until_it_has_enough(scripted, scripted_cli):
    one = job("running")[2]
    scripted.answers = [(200, {}, {"jobs": [one] * 1000, "next_cursor": "1-" + JOB}),
                        (200, {}, {"jobs": [one] * 200, "next_cursor": "2-" + JOB})]
    printed = scripted_cli.good("jobs", "--limit", "1200", "--status", "a&b", "--json")
    assert len(printed.splitlines()) == 1200
    assert [path for _, path, _, _ in scripted.requests] == [
        "/jobs?limit=1000&status=a%26b", f"/jobs?limit=200&status=a%26b&cursor=1-{JOB}"]
