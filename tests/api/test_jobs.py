# SPDX-License-Identifier: Apache-2.0
"""Sources, results, cancel, retry, deadline, listing, probes."""
import json
import os
import re
import subprocess
import time

import pytest
import yaml
from conftest import BINARIES, ROOT, Client

MODEL = str(ROOT / "ml-service/model/efficientnet-lite0")


def write_manifest(bucket, name, lines):
    bucket.put(name, "".join(line + "\n" for line in lines).encode())


def test_a_prefix_takes_what_the_globs_let_through(client):
    job = client.job(s3_prefix="samples/", include=["*.jpg", "*.png"], exclude=["*rocket*"])
    client.wait(job)
    assert [row["s3_key"] for row in client.rows(job)] == ["samples/cat.jpg", "samples/cat.png"]


def test_a_prefix_without_objects_is_a_job_without_images(client):
    done = client.wait(client.job(s3_prefix="no/such/folder/"))
    assert done["status"] == "succeeded" and done["progress"]["total"] == 0


def test_a_manifest_may_name_images_in_every_documented_form(client, bucket):
    write_manifest(bucket, "lists/all.jsonl", [
        '"test/image.jpg"', '{"s3_key":"samples/cat.jpg","id":"my cat"}', '',
        '{"source-ref":"s3://any-bucket/samples/rocket.jpg"}'])
    job = client.job(manifest_s3_key="lists/all.jsonl")
    assert client.wait(job)["status"] == "succeeded"
    rows = client.rows(job)
    assert [(row["s3_key"], row.get("id")) for row in rows] == [
        ("test/image.jpg", None), ("samples/cat.jpg", "my cat"), ("samples/rocket.jpg", None)]


@pytest.mark.parametrize("line,why", [
    ("{", "line 2"), ("17", "line 2"), ('{"s3_key":"a","source-ref":"s3://b/c"}', "exactly one"),
    ('{"source-ref":"https://x"}', "s3://"), ('""', "1024"), ('{"s3_key":"a","id":""}', "id"), ('"' + "x" * 8200 + '"', "8192"),
])
def test_a_bad_manifest_line_fails_the_job_and_says_which(client, bucket, line, why):
    write_manifest(bucket, "lists/bad.jsonl", ['"test/image.jpg"', line])
    done = client.wait(client.job(manifest_s3_key="lists/bad.jsonl"))
    assert done["status"] == "failed" and why in done["reason"] and "line 2" in done["reason"]


def test_a_missing_manifest_fails_the_job(client):
    done = client.wait(client.job(manifest_s3_key="lists/none.jsonl"))
    assert done["status"] == "failed" and done["reason"]


def test_a_result_is_paged_and_streamed_alike(client):
    keys = [f"missing/{i}" for i in range(250)]
    job = client.job(s3_keys=keys)
    client.wait(job)
    paged, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/result/{job}?limit=33" + (f"&cursor={cursor}" if cursor else "")).json()
        assert len(page["results"]) <= 33
        paged += page["results"]
        cursor = page["next_cursor"]
    streamed = client.get(f"/result/{job}", headers={"Accept": "application/x-ndjson"})
    assert streamed.headers["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in streamed.text.splitlines()] == paged
    assert [row["s3_key"] for row in paged] == keys
    either = client.get(f"/result/{job}", headers={"Accept": "text/html, Application/X-NDJSON ;q=0.9"})
    assert either.text == streamed.text
    paged_answer = client.get(f"/result/{job}", headers={"Accept": "application/x-ndjsonx, x/application/x-ndjson"})
    assert paged_answer.headers["Content-Type"] == "application/json"
    both = client.get(f"/result/{job}?limit=5", headers={"Accept": "application/x-ndjson"})
    assert both.status_code == 400 and both.json()["error"]["field"] == "limit"
    tail = client.get(f"/result/{job}?cursor=1.50", headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line)["index"] for line in tail.text.splitlines()] == list(range(150, 250))


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "limit=", "cursor=x", "cursor=1",
                                   "cursor=1.501", "cursor=1.5.5", "colour=red", "limit=1&limit=2", "limit=%zz", "a=%00"])
def test_a_bad_query_is_400(client, query):
    job = client.job(s3_keys=["test/image.jpg"])
    assert client.get(f"/result/{job}?{query}").status_code == 400


@pytest.mark.parametrize("path", ["/status/", "/status/x", "/status/" + "a" * 26, "/result/" + "a" * 27, "/nope", "/status/a/b",
                                  "/status/%2e%2e", "/submit/", "/STATUS/" + "a" * 26])
def test_unknown_things_are_404(client, path):
    answer = client.get(path)
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("method,path,allow", [("GET", "/submit", "POST"), ("DELETE", "/jobs", "GET"), ("PUT", "/", "GET"),
                                               ("PATCH", "/version", "GET"), ("TRACE", "/healthz", "GET")])
def test_a_wrong_method_is_405_and_names_the_right_ones(client, method, path, allow):
    answer = client.http.request(method, client.url + path, timeout=20)
    assert answer.status_code == 405 and allow in answer.headers["Allow"]


def test_options_and_head_are_answered(client):
    assert client.http.options(client.url + "/submit", timeout=20).status_code == 204
    head = client.http.head(client.url + "/version", timeout=20)
    assert head.status_code == 200 and head.text == ""


def test_cancel_ends_a_job_and_keeps_what_is_classified(client):
    job = client.job(s3_keys=["test/image.jpg"] * 1000)
    answer = client.post(f"/cancel/{job}")
    assert answer.status_code == 200
    done = client.wait(job)
    assert done["status"] == "cancelled"
    progress = done["progress"]
    assert progress["succeeded"] + progress["failed"] + progress["skipped"] == 1000 and progress["skipped"] > 0
    assert client.post(f"/cancel/{job}").status_code == 200
    rows = client.rows(job)
    assert len(rows) == progress["succeeded"]
    time.sleep(0.5)
    assert client.status(job)["progress"] == progress


def test_cancel_of_an_ended_job_is_409(client):
    job = client.job(s3_keys=["test/image.jpg"])
    client.wait(job)
    assert client.post(f"/cancel/{job}").status_code == 409


def test_retry_makes_a_job_of_the_failed_images(client, bucket):
    bucket.remove("late.jpg")
    job = client.job(s3_keys=["test/image.jpg", "late.jpg", "never.jpg"])
    assert client.wait(job)["progress"]["failed"] == 2
    bucket.put("late.jpg", bucket.get("test/image.jpg"))
    child = client.post(f"/retry/{job}")
    assert child.status_code == 202
    done = client.wait(child.json()["job_id"])
    assert done["request"]["retry_of"] == job
    rows = client.rows(child.json()["job_id"])
    assert [(row["s3_key"], "error" in row) for row in rows] == [("late.jpg", False), ("never.jpg", True)]


def test_retry_of_what_cannot_be_retried_is_409(client):
    good = client.job(s3_keys=["test/image.jpg"])
    client.wait(good)
    assert client.post(f"/retry/{good}").status_code == 409


def test_too_many_failures_fail_the_job(own_service):
    client = Client(own_service(CHUNK_IMAGES="2").url)
    job = client.job(s3_keys=["missing"] * 40, max_failures=3)
    done = client.wait(job)
    assert done["status"] == "failed" and "max_failures" in done["reason"]
    progress = done["progress"]
    assert progress["failed"] > 3 and progress["failed"] + progress["skipped"] == 40


def test_a_deadline_ends_a_job(own_service):
    service = own_service(WORKER_ENABLED="0", SWEEP_INTERVAL_MS="100")
    client = Client(service.url)
    job = client.job(s3_keys=["test/image.jpg"] * 3, deadline_seconds=1)
    done = client.wait(job)
    assert done["status"] == "expired" and done["progress"]["skipped"] == 3


def test_jobs_are_listed_newest_first(client):
    mine = []
    for i in range(5):
        mine.append(client.job(s3_keys=["nope"], tags={"n": str(i)}))
        time.sleep(0.002)  # jobs of one millisecond are in the order of their ids, which are random
    for job in mine:
        client.wait(job)
    first = client.get("/jobs?limit=3").json()
    assert [job["job_id"] for job in first["jobs"]] == mine[:1:-1]
    second = client.get(f"/jobs?limit=2&cursor={first['next_cursor']}").json()
    assert [job["job_id"] for job in second["jobs"]] == mine[1::-1]
    assert first["jobs"][0]["request"]["tags"] == {"n": "4"}
    failed = client.get("/jobs?status=completed_with_failures&limit=5").json()["jobs"]
    assert {job["status"] for job in failed} == {"completed_with_failures"}
    assert client.get("/jobs?status=nope").status_code == 422
    assert client.get("/jobs?cursor=nope").status_code == 400


@pytest.mark.parametrize("value,status", [("wait=1", 200), ("wait=50", 200), ("wait=0", 400), ("wait=51", 400), ("wait=x", 400), ("respond-async", 200),
                                          ("respond-async, wait=0", 400), ("respond-async ,\tWAIT = 1", 200), ('wait="51"', 400), ('wait="1"; x=y', 200),
                                          ("wait", 400), ("waits=0", 200), ("wait=1, wait=0", 200)])
def test_prefer_wait_has_bounds(client, value, status):
    job = client.job(s3_keys=["test/image.jpg"])
    assert client.get(f"/status/{job}", headers={"Prefer": value}).status_code == status


@pytest.mark.parametrize("body,status", [("", 200), ("{}", 200), (" {} ", 200), ('{"a":1}', 422), ("[]", 422), ("{", 400)])
def test_cancel_takes_no_body_or_an_empty_object(client, body, status):
    job = client.job(s3_keys=["nope"])
    client.post(f"/cancel/{job}")
    answer = client.post(f"/cancel/{job}", data=body, headers={"Content-Type": "application/json"})
    ended = answer.status_code == 409 and status == 200  # the job was faster
    assert ended or answer.status_code == status, answer.text


def test_waiting_ends_when_its_time_is_over(own_service):
    client = Client(own_service(WORKER_ENABLED="0").url)
    job = client.job(s3_keys=["test/image.jpg"])
    start = time.monotonic()
    answer = client.get(f"/status/{job}", headers={"Prefer": "wait=1"})
    assert answer.json()["status"] == "queued" and 0.9 < time.monotonic() - start < 5
    assert answer.headers["Preference-Applied"] == "wait=1" and "Retry-After" in answer.headers


def test_probes_and_documents_answer(client, is_local):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert re.match(r"\d+\.\d+\.\d+", client.get("/version").json()["version"])
    assert "/submit" in client.get("/").json()["links"]
    assert yaml.safe_load(client.get("/openapi.yaml").text)["openapi"].startswith("3.")
    metrics = client.get("/metrics").text
    own = "classifier_rows_total" if is_local else "classifier_aws_calls_total"  # rows are the worker's
    for name in ("classifier_build_info", "classifier_queue_visible", own, "classifier_http_requests_total"):
        assert name in metrics


def test_every_route_is_in_the_openapi_document(client):
    documented = set(yaml.safe_load(client.get("/openapi.yaml").text)["paths"])
    assert documented == set(client.get("/").json()["links"])


def test_files_that_are_no_images_are_row_errors(client, service):
    folder = service.bucket / "odd"
    folder.mkdir(exist_ok=True)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "huge.jpg").write_bytes(b"\xff\xd8\xff" + b"\0" * (25 * 1024 * 1024 - 2))
    (folder / "image.txt").write_bytes((service.bucket / "test/image.jpg").read_bytes())
    if not (folder / "link.jpg").is_symlink():
        (folder / "link.jpg").symlink_to("/etc/passwd")
        os.mkfifo(folder / "fifo.jpg")
    names = ["empty.jpg", "text.jpg", "huge.jpg", "link.jpg", "fifo.jpg", "image.txt"]
    job = client.job(s3_keys=[f"odd/{name}" for name in names])
    client.wait(job)
    codes = [row["error"]["code"] if "error" in row else "ok" for row in client.rows(job)]
    assert codes == ["EMPTY", "UNSUPPORTED_FORMAT", "TOO_LARGE", "INVALID_KEY", "INVALID_KEY", "ok"]


def test_a_photo_cut_at_every_97th_byte_never_harms_the_service(client, bucket):
    photo = bucket.get("samples/coffee.webp")
    keys = []
    for length in range(0, len(photo), 97):
        bucket.put(f"cut/{length}", photo[:length])
        keys.append(f"cut/{length}")
    job = client.job(s3_keys=keys)
    done = client.wait(job)
    assert done["progress"]["succeeded"] + done["progress"]["failed"] == len(keys)
    assert client.get("/readyz").status_code == 200


@pytest.mark.local
def test_wrong_settings_stop_the_start_and_are_named(tmp_path):
    for name, value, word in [("PORT", "65536", "65535"), ("CHUNK_IMAGES", "0", "CHUNK_IMAGES"), ("PORT", "x", "PORT"),
                              ("MODEL_URI", str(tmp_path), "model.json"), ("BIND_ADDRESS", "nowhere", "BIND_ADDRESS"),
                              ("LOG_LEVEL", "loud", "loud")]:
        environment = {**os.environ, "MODEL_URI": MODEL, "PORT": "0", "DATA_DIR": str(tmp_path / "d"), name: value}
        run = subprocess.run([BINARIES / "classifier-local"], env=environment, capture_output=True, text=True, timeout=60)
        assert run.returncode == 1 and word in run.stderr.splitlines()[-1], (name, run.stderr)


def test_a_data_folder_is_used_by_one_process_only(service):
    environment = {**os.environ, "MODEL_URI": MODEL, "PORT": "0", "DATA_DIR": str(service.folder / "data")}
    run = subprocess.run([BINARIES / "classifier-local"], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "in use" in run.stderr
