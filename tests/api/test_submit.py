# SPDX-License-Identifier: Apache-2.0
"""From a request to labels, and every bound of the request."""
import csv
import pathlib

import pytest

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "local/samples"


def error_of(answer, status, field=None):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["X-Request-Id"]
    if field is not None:
        assert error["field"] == field, error
    return error


@pytest.mark.model
def test_the_readme_request_gets_its_label(client):
    answer = client.submit(s3_keys=["test/image.jpg"], top_k=5, confidence_threshold=0.5)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["Location"] == f"/status/{job['job_id']}"
    assert job["status"] == "queued" and job["total_images"] == 1
    done = client.wait(job["job_id"])
    assert done["status"] == "succeeded"
    assert done["progress"] == {"total": 1, "succeeded": 1, "failed": 0, "skipped": 0, "pending": 0}
    result = client.get(f"/result/{job['job_id']}").json()
    assert result["model"]["name"] == "efficientnet-lite0"
    assert result["summary"]["classified"] == 1 and result["summary"]["labels"] == [{"label": "espresso", "images": 1}]
    (row,) = result["results"]
    assert row["label"] == "espresso" and row["confidence"] > 0.5
    assert [p["label"] for p in row["predictions"]] == ["espresso"]  # the others are below 0.5


@pytest.mark.model
def test_sample_photos_have_the_labels_that_are_expected(client):
    with open(SAMPLES / "expected.csv", newline="") as file:
        expected = [(row["file"], row["label"]) for row in csv.DictReader(file)]
    keys = ["test/image.jpg" if name == "image.jpg" else f"samples/{name}" for name, _ in expected]
    job = client.job(s3_keys=keys)
    client.wait(job)
    assert [row["label"] for row in client.rows(job)] == [label for _, label in expected]


def test_rows_are_in_input_order_and_one_bad_image_harms_no_other(client, is_local):
    keys = ["test/image.jpg", "missing.jpg", "samples/cat.jpg", "../outside", "a//b", "/abs", "samples", "test/image.jpg"]
    job = client.job(s3_keys=keys, top_k=1)
    assert client.wait(job)["status"] == "completed_with_failures"
    rows = client.rows(job)
    assert [row["s3_key"] for row in rows] == keys
    assert [row["index"] for row in rows] == list(range(len(keys)))
    codes = [row["error"]["code"] if "error" in row else "ok" for row in rows]
    odd = "INVALID_KEY" if is_local else "NOT_FOUND"  # S3 takes any key
    assert codes == ["ok", "NOT_FOUND", "ok", odd, odd, odd, odd, "ok"]


@pytest.mark.parametrize("top_k,count", [(1, 1), (2, 2), (99, 99), (100, 100)])
def test_top_k_within_its_bounds_gives_as_many_predictions(client, top_k, count):
    job = client.job(s3_keys=["test/image.jpg"], top_k=top_k)
    client.wait(job)
    predictions = client.rows(job)[0]["predictions"]
    assert len(predictions) == count
    confidences = [p["confidence"] for p in predictions]
    assert confidences == sorted(confidences, reverse=True)


def test_an_image_that_no_label_fits_well_enough_is_unknown(client):
    job = client.job(s3_keys=["samples/rocket.jpg"], confidence_threshold=1)
    client.wait(job)
    (row,) = client.rows(job)
    assert (row["label"], row["confidence"], row["predictions"]) == ("unknown", None, [])
    assert client.get(f"/result/{job}").json()["summary"]["unknown"] == 1


@pytest.mark.parametrize("members,field", [
    ({"top_k": 0}, "top_k"), ({"top_k": 101}, "top_k"), ({"top_k": 1.5}, "top_k"), ({"top_k": "5"}, "top_k"),
    ({"top_k": True}, "top_k"), ({"top_k": None}, "top_k"),
    ({"confidence_threshold": -1}, "confidence_threshold"), ({"confidence_threshold": 2}, "confidence_threshold"),
    ({"confidence_threshold": 1.0000001}, "confidence_threshold"), ({"confidence_threshold": "0.5"}, "confidence_threshold"),
    ({"s3_keys": []}, "s3_keys"), ({"s3_keys": "a"}, "s3_keys"), ({"s3_keys": [1]}, "s3_keys[0]"),
    ({"s3_keys": ["ok", ""]}, "s3_keys[1]"), ({"s3_keys": ["a" * 1025]}, "s3_keys[0]"),
    ({"s3_keys": ["é" * 513]}, "s3_keys[0]"), ({"s3_keys": ["nul\u0000"]}, "s3_keys[0]"),
    ({"s3_keys": ["x"] * 10001}, "s3_keys"), ({"s3_keys": None}, "s3_keys"),
    ({"s3_prefix": "a"}, "s3_keys"), ({"include": ["*"]}, "include"), ({"exclude": ["*"]}, "exclude"),
    ({"manifest_s3_key": "m"}, "s3_keys"), ({"tags": {"a" * 65: "x"}}, "tags"), ({"tags": {"a": "x" * 513}}, "tags"),
    ({"tags": {str(i): "x" for i in range(17)}}, "tags"), ({"tags": {"a": 1}}, "tags"), ({"tags": []}, "tags"),
    ({"deadline_seconds": 0}, "deadline_seconds"), ({"deadline_seconds": 1209601}, "deadline_seconds"),
    ({"max_failures": -1}, "max_failures"), ({"max_failures": 10000001}, "max_failures"),
    ({"webhook_url": "https://example.com"}, "webhook_url"), ({"colour": "red"}, "colour"),
    ({"job_type": "video"}, "job_type"), ({"job_type": 1}, "job_type"), ({"job_type": None}, "job_type"),
])
def test_a_value_out_of_its_bounds_is_named(client, members, field):
    body = {"job_type": "image_classification", "s3_keys": ["test/image.jpg"], **members}
    error = error_of(client.submit(body), 422, field)
    assert error["code"] == "INVALID" and error["message"]


@pytest.mark.parametrize("body", [{}, {"job_type": "image_classification"}])
def test_missing_members_are_named(client, body):
    assert error_of(client.submit(body), 422)["field"] in ("job_type", "s3_keys")


@pytest.mark.parametrize("members", [
    {"s3_keys": ["a" * 1024]}, {"s3_keys": ["é" * 512]}, {"s3_keys": ["nope"] * 10000}, {"tags": {"a" * 64: "x" * 512}},
    {"tags": {str(i): "" for i in range(16)}}, {"deadline_seconds": 1209600}, {"max_failures": 10000000},
    {"confidence_threshold": 0}, {"confidence_threshold": 1},
])
def test_a_value_at_its_bound_is_accepted(client, members):
    client.job(**{"s3_keys": ["test/image.jpg"], **members})


@pytest.mark.parametrize("text", [
    "", "{", "[1,]", "nul", '{"a":1}x', '{"job_type":"image_classification","job_type":"x"}', "\ufeff{}", "{'a':1}",
    '{"a":NaN}', '{"a":1e400}', "[" * 33 + "]" * 33, "[" * 100000, '{"a":"\ud800"}'.encode("utf-8", "surrogatepass"),
    b'{"a":"\xff"}', '{"a":01}', "// comment\n{}",
])
def test_malformed_json_is_400(client, text):
    body = text if isinstance(text, bytes) else text.encode()
    error = error_of(client.post("/submit", data=body, headers={"Content-Type": "application/json"}), 400)
    assert error["code"] == "MALFORMED"


@pytest.mark.parametrize("text", ["[]", "1", '"x"', "null", "[" * 32 + "]" * 32])
def test_json_that_is_no_object_is_422(client, text):
    error_of(client.post("/submit", data=text, headers={"Content-Type": "application/json"}), 422)


@pytest.mark.parametrize("content_type,status", [
    ("application/json", 202), ("application/json; charset=utf-8", 202), ("Application/JSON", 202), ("text/plain", 415),
    ("application/json; charset=utf-16", 415), ("application/jsonx", 415), ("", 415),
])
def test_content_type_must_be_json(client, content_type, status):
    body = b'{"job_type":"image_classification","s3_keys":["nope"]}'
    assert client.post("/submit", data=body, headers={"Content-Type": content_type}).status_code == status


def test_the_same_idempotency_key_gives_the_same_job(client):
    headers = {"Idempotency-Key": "order 66"}
    first = client.submit(s3_keys=["test/image.jpg"], headers=headers)
    second = client.submit({"s3_keys": ["test/image.jpg"], "job_type": "image_classification"}, headers=headers)
    assert first.json()["job_id"] == second.json()["job_id"]
    assert "Idempotent-Replay" not in first.headers and second.headers["Idempotent-Replay"] == "true"
    error_of(client.submit(s3_keys=["other.jpg"], headers=headers), 422, "Idempotency-Key")


@pytest.mark.parametrize("key,status", [("k", 202), ("k" * 255, 202), ("k" * 256, 400), ("caf\u00e9", 400)])
def test_idempotency_keys_have_bounds(client, key, status):
    answer = client.submit(s3_keys=["nope"], headers={"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == status, answer.text


def test_a_dry_run_counts_and_queues_nothing(client):
    before = len(client.get("/jobs?limit=1000").json()["jobs"])
    answer = client.submit(s3_keys=["test/image.jpg", "nope.jpg"], query="?dry_run=true")
    assert answer.status_code == 200
    assert answer.json()["total_images"] == 2 and answer.json()["missing"] == 1
    assert answer.json()["estimated_bytes"] > 10000
    prefix = client.submit(s3_prefix="samples/", include=["*.jpg"], query="?dry_run=true").json()
    assert prefix["total_images"] == 2 and prefix["is_estimate"] is False
    assert len(client.get("/jobs?limit=1000").json()["jobs"]) == before
    manifest = client.submit(manifest_s3_key="test/image.jpg", query="?dry_run=true").json()
    for unknown in ("total_images", "estimated_bytes", "estimated_cost_usd", "estimated_seconds"):
        assert manifest[unknown] is None
    error_of(client.submit(manifest_s3_key="nope.jsonl", query="?dry_run=true"), 422, "manifest_s3_key")
    error_of(client.submit(s3_keys=["a"], query="?dry_run=true", headers={"Idempotency-Key": "a" * 256}), 400, "Idempotency-Key")
    error_of(client.submit(s3_keys=["a"], query="?dry_run=maybe"), 400, "dry_run")
    error_of(client.submit(s3_keys=["a"], query="?colour=red"), 400)


def test_more_keys_than_a_segment_holds_are_planned_by_the_worker(client):
    job = client.job(s3_keys=[f"missing/{i}.jpg" for i in range(7001)])
    done = client.wait(job)
    assert done["progress"]["failed"] == 7001
    rows = client.rows(job)
    assert [row["s3_key"] for row in rows] == [f"missing/{i}.jpg" for i in range(7001)]
