# SPDX-License-Identifier: Apache-2.0
"""The commands that follow a job, against classifier-local."""
import json
import re
import shutil

import pytest

from conftest import PROGRAM, Cli

KEY = "test/image.jpg"
GONE = "no/such/image.jpg"
ID = re.compile(r"[a-z2-7]{26}\n")


def submitted(cli, *arguments, **more):
    printed = cli.good("submit", *arguments, **more)
    assert ID.fullmatch(printed)
    return printed.strip()


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_submit_prints_the_job_id_and_nothing_else(cli, client):
    job = submitted(cli, KEY)
    assert client.wait(job)["progress"]["total"] == 1


def test_submit_passes_every_option_on(cli, client):
    job = submitted(cli, KEY, "--top-k", "3", "--threshold=0.25", "--tag", "a=1=2", "--tag=é=ü",
                    "--deadline", "3600", "--max-failures", "7")
    found = client.status(job)
    assert (found["top_k"], found["confidence_threshold"]) == (3, 0.25)
    assert found["request"]["tags"] == {"a": "1=2", "é": "ü"}
    assert found["deadline_at"] is not None


def test_submit_takes_a_prefix_with_globs(cli, service, client):
    folder = service.bucket / "globs"
    folder.mkdir(exist_ok=True)
    for name in ("a.jpg", "b.jpg", "c.png"):
        shutil.copy(service.bucket / KEY, folder / name)
    job = submitted(cli, "--prefix", "globs/", "--include", "*.jpg", "--include", "*.png",
                    "--exclude", "*/b*")
    client.wait(job)
    assert [row["s3_key"] for row in client.rows(job)] == ["globs/a.jpg", "globs/c.png"]


def test_submit_takes_a_manifest(cli, service, client):
    (service.bucket / "list.jsonl").write_text(f'"{KEY}"\n"{GONE}"\n')
    job = submitted(cli, "--manifest", "list.jsonl")
    client.wait(job)
    assert [row["s3_key"] for row in client.rows(job)] == [KEY, GONE]


def test_submit_takes_keys_from_standard_input(cli, client):
    keys = [KEY, "été/日本 \"x\" \\ %2F.jpg", " spaces ", "tab\there", "cr\r", "-", "--json"]
    job = submitted(cli, "-", input=("\n".join(keys[:3]) + "\n\n" + "\n".join(keys[3:])).encode())
    client.wait(job)
    assert [row["s3_key"] for row in client.rows(job)] == keys


@pytest.mark.parametrize("count, ending", [(1, b""), (1, b"\n"), (9999, b""), (10000, b"\n")])
def test_up_to_ten_thousand_keys_are_taken_from_standard_input(cli, count, ending):
    text = b"\n".join(b"k%d" % number for number in range(count)) + ending
    answer = json.loads(cli.good("submit", "--dry-run", "--json", "-", input=text))
    assert answer["total_images"] == count


def test_the_key_after_ten_thousand_is_refused_and_the_manifest_named(cli):
    text = b"\n".join(b"k%d" % number for number in range(10001))
    said = cli.fails(1, "submit", "-", input=text)
    assert "more than 10000 keys" in said and "--manifest" in said
    said = cli.fails(1, "submit", *(f"k{number}" for number in range(10001)))
    assert "more than 10000 keys" in said and "--manifest" in said


def test_more_bytes_of_keys_than_a_request_may_have_name_the_manifest_too(cli):
    text = b"\n".join(b"\x01" * 1000 for _ in range(3000))  # six bytes of JSON for each
    said = cli.fails(1, "submit", "-", input=text)
    assert "12 MiB" in said and "--manifest" in said


def test_keys_that_look_like_options_follow_two_dashes(cli, client):
    job = submitted(cli, "--top-k=1", "--", "--json", "-", "-x")
    client.wait(job)
    assert [row["s3_key"] for row in client.rows(job)] == ["--json", "-", "-x"]


def test_unicode_keys_come_back_as_they_were(cli, service):
    name = "dir/ßtraße-日本-🦜.jpg"
    (service.bucket / "dir").mkdir(exist_ok=True)
    shutil.copy(service.bucket / KEY, service.bucket / name)
    job = submitted(cli, name)
    cli.good("wait", job)
    rows = rows_of(cli.good("result", job))
    assert rows[0]["s3_key"] == name and "error" not in rows[0]


def test_the_same_idempotency_key_is_the_same_job(cli):
    first = submitted(cli, KEY, "--idempotency-key", "one")
    assert submitted(cli, KEY, "--idempotency-key", "one") == first
    assert submitted(cli, KEY) != submitted(cli, KEY)
    said = cli.fails(2, "submit", GONE, "--idempotency-key", "one")
    assert "dempotency" in said


def test_a_dry_run_counts_and_queues_nothing(cli, client):
    before = len(client.get("/jobs").json()["jobs"])
    printed = cli.good("submit", "--dry-run", KEY, GONE)
    assert re.search(r"^images +2$", printed, re.M) and re.search(r"^missing +1 of 2", printed, re.M)
    assert len(client.get("/jobs").json()["jobs"]) == before


def test_submit_wait_and_out_write_the_rows(cli, tmp_path):
    done = cli.run("submit", KEY, "--out", str(tmp_path / "rows.ndjson"))
    assert done.returncode == 0 and ID.fullmatch(done.out)
    assert done.err == "succeeded: 1 of 1 images, 1 classified, 0 failed, 0 skipped\n"
    rows = rows_of((tmp_path / "rows.ndjson").read_text())
    assert [row["s3_key"] for row in rows] == [KEY]


def test_failed_images_make_submit_wait_and_wait_exit_3(cli, tmp_path):
    done = cli.run("submit", KEY, GONE, "--wait", "--json", "--out", str(tmp_path / "rows"))
    assert done.returncode == 3 and done.err == ""
    accepted, ended = rows_of(done.out)
    assert accepted["job_id"] == ended["job_id"]
    assert ended["status"] == "completed_with_failures"
    assert rows_of((tmp_path / "rows").read_text())[1]["error"]["code"] == "NOT_FOUND"
    waited = cli.run("wait", ended["job_id"])
    assert waited.returncode == 3
    assert "completed_with_failures: 2 of 2 images, 1 classified, 1 failed" in waited.out


def test_cancel_shows_the_job_and_a_cancelled_job_exits_3(cli, client):
    job = client.job(s3_keys=[KEY] * 3200)  # seconds of work, and one segment: all planned at once
    assert re.search(r"^status +cancell(ing|ed): ", cli.good("cancel", job), re.M)
    waited = cli.run("wait", job, "--json")
    assert waited.returncode == 3
    ended = json.loads(waited.out)
    assert ended["status"] == "cancelled" and ended["progress"]["skipped"] > 0


def test_a_job_that_has_ended_is_not_cancelled_any_more(cli, client):
    job = client.job(s3_keys=[KEY])
    client.wait(job)
    assert job in cli.fails(2, "cancel", job)


def test_status_shows_what_the_service_says(cli, client):
    job = client.job(s3_keys=[KEY])
    client.wait(job)
    assert json.loads(cli.good("status", job, "--json")) == client.status(job)
    printed = cli.good("status", job)
    assert re.search(rf"^job +{job}$", printed, re.M)
    assert re.search(r"^status +succeeded: 1 of 1 images, 1 classified, 0 failed, 0 skipped$",
                     printed, re.M)
    assert re.search(r"^created +20\S+Z$", printed, re.M)


def test_result_is_the_service_s_own_stream_byte_by_byte(cli, client):
    job = client.job(s3_keys=[KEY, GONE] * 1001)
    client.wait(job)
    stream = client.get(f"/result/{job}", headers={"Accept": "application/x-ndjson"})
    assert cli.good("result", job).encode() == stream.content


def test_result_goes_on_at_a_cursor_and_adds_to_the_file(cli, client, tmp_path):
    job = client.job(s3_keys=[GONE] * 250)
    client.wait(job)
    first = client.get(f"/result/{job}?limit=120").json()
    path = tmp_path / "rows"
    path.write_text("".join(json.dumps(row) + "\n" for row in first["results"]))
    cli.good("result", job, "--out", str(path), "--cursor", first["next_cursor"])
    assert [row["index"] for row in rows_of(path.read_text())] == list(range(250))


def test_result_without_a_cursor_replaces_the_file(cli, client, tmp_path):
    job = client.job(s3_keys=[KEY])
    client.wait(job)
    (tmp_path / "rows").write_text("old\n" * 100)
    cli.good("result", job, "--out", str(tmp_path / "rows"))
    assert len(rows_of((tmp_path / "rows").read_text())) == 1


def test_a_refused_result_leaves_the_file_as_it_was(cli, tmp_path):
    (tmp_path / "rows").write_text("old\n")
    cli.fails(2, "result", "a" * 26, "--out", str(tmp_path / "rows"))
    assert (tmp_path / "rows").read_text() == "old\n"


def test_retry_prints_the_new_job_and_repeats_it(cli, client):
    job = client.job(s3_keys=[KEY, GONE])
    client.wait(job)
    child = cli.good("retry", job).strip()
    assert child != job and client.wait(child)["request"] == {"retry_of": job}


def test_jobs_lists_the_newest_first_and_no_more_than_asked(cli, client):
    wanted = [client.job(s3_keys=[KEY]) for _ in range(3)][::-1]
    for job in wanted:
        client.wait(job)
    listed = rows_of(cli.good("jobs", "--json", "--limit", "3"))
    assert [job["job_id"] for job in listed] == wanted
    table = cli.good("jobs", "--limit", "2", "--status", "succeeded").splitlines()
    assert table[0].split()[:2] == ["JOB", "STATUS"]
    assert [line.split()[0] for line in table[1:]] == wanted[:2]


def test_the_url_may_be_given_and_wins(service):
    cli = Cli("http://127.0.0.1:9")
    assert cli.good("jobs", "--json", "--limit", "1", "--url", service.url + "/") != ""


def test_a_refusal_shows_the_message_and_the_field(cli):
    said = cli.fails(2, "submit", KEY, "--top-k", "101")
    assert "101" in said and said.endswith("(field top_k)")
    said = cli.fails(2, "submit", KEY, "k" * 1025)
    assert said.endswith("(field s3_keys[1])")
    assert "(field" not in cli.fails(2, "status", "a" * 26)
    assert cli.fails(2, "jobs", "--status", "so & so")


def test_a_full_disk_is_an_error(client, cli):
    job = client.job(s3_keys=[KEY])
    client.wait(job)
    assert "No space left" in cli.fails(1, "result", job, "--out", "/dev/full")
    assert "cannot write" in cli.fails(1, "result", job, "--out", "/no/such/folder/rows")


def test_a_closed_pipe_is_an_error_and_no_signal(client, cli):
    job = client.job(s3_keys=[GONE] * 3000)
    client.wait(job)
    running = cli.start("result", job)
    running.stdout.close()
    said = running.stderr.read().decode()
    assert running.wait(timeout=60) == 1 and "Broken pipe" in said


def test_version_is_the_service_s(cli, client):
    assert cli.good("--version").split() == ["classify", client.get("/version").json()["version"]]
    assert PROGRAM.name == "classify"
