# SPDX-License-Identifier: Apache-2.0
"""What the services meet in bucket, table and queue that should not be so: each becomes a precise
error in the row, the job or the log; never a crash, a loop or a silent drop."""
import collections

import pytest

import faults
from deployment import Deployment, sample_photos
from fault_proxy import FaultProxy

WORKER = {"DECODERS": "1", "LANES": "1", "VISIBILITY_S": "3", "WATCH_MS": "200"}
PHOTO = "test/image.jpg"


@pytest.fixture
def photos(aws):
    aws.put_images(sample_photos())
    return aws


@pytest.fixture
def deployment(photos, ministack, tmp_path):
    """With .proxy in front of S3 and .table in front of DynamoDB."""
    with FaultProxy(ministack, "s3") as proxy, FaultProxy(ministack, "dynamodb") as table, \
            Deployment(photos, tmp_path, variables=photos.via(s3=proxy, dynamodb=table), worker=WORKER,
                       backend={"SWEEP_INTERVAL_MS": "500", "REPAIR_AFTER_MS": "1000"}) as made:
        made.proxy, made.table = proxy, table
        yield made


def of_images(photos):
    return {"path": f"^/{photos.image_bucket}"}


BUCKETS = [  # fault, code of the rows, what the message says
    (faults.access_denied, "ACCESS_DENIED", "AccessDenied"),
    (lambda: faults.s3_error("NoSuchBucket", 404), "FETCH_FAILED", "there is no bucket"),
    (faults.redirect, "FETCH_FAILED", "eu-central-1"),
]


@pytest.mark.parametrize("make,code,word", BUCKETS, ids=["403", "404", "301"])
def test_a_bucket_that_gives_nothing_is_named_in_the_rows(deployment, photos, make, code, word):
    deployment.proxy.add(make(), operation=("GetObject", "HeadObject"), **of_images(photos))
    client = deployment.client
    job = client.job(s3_keys=[PHOTO, "samples/cat.jpg"])
    done = client.wait(job)
    assert done["status"] == "completed_with_failures" and done["progress"]["failed"] == 2
    for row in client.rows(job):
        assert row["error"]["code"] == code, row
        assert word in row["error"]["message"], row


@pytest.mark.parametrize("make,code,word", BUCKETS, ids=["403", "404", "301"])
@pytest.mark.parametrize("source", [{"s3_prefix": "samples/"}, {"manifest_s3_key": "lists/a.jsonl"}], ids=["prefix", "manifest"])
def test_a_bucket_that_cannot_be_listed_or_read_is_the_jobs_reason(deployment, photos, source, make, code, word):
    photos.put_images({"lists/a.jsonl": b'"test/image.jpg"\n'})
    deployment.proxy.add(make(), method="GET", **of_images(photos))
    client = deployment.client
    done = client.wait(client.job(**source))
    assert done["status"] == "failed", done
    assert word in done["reason"], done


def test_a_throttled_bucket_makes_a_job_slow_and_not_wrong(deployment, photos):
    """Two of three GETs are throttled, for as long as the job runs."""
    photo = sample_photos()[PHOTO]
    keys = [f"slow/{number}.jpg" for number in range(40)]
    photos.put_images({key: photo for key in keys})
    seen = collections.Counter()

    def refused_twice(request):
        seen[request.path] += 1
        return seen[request.path] <= 2

    deployment.proxy.add(faults.unavailable(), operation="GetObject", path="/slow/", when=refused_twice)
    client = deployment.client
    job = client.job(s3_keys=keys, top_k=1)
    done = client.wait(job)
    assert done["status"] == "succeeded", done
    assert done["progress"] == {"total": 40, "succeeded": 40, "failed": 0, "skipped": 0, "pending": 0}
    assert [row["s3_key"] for row in client.rows(job)] == keys
    assert deployment.proxy.count("GetObject", fault="unavailable") == 80


def test_a_store_that_is_away_for_a_while_costs_no_rows(deployment, photos):
    away = deployment.proxy.add(faults.internal_error(), operation="GetObject", **of_images(photos))
    client = deployment.client
    job = client.job(s3_keys=[PHOTO] * 3)
    deployment.workers[0].wait_for_log('"event":"chunk_put_off"')
    deployment.proxy.remove(away)
    assert client.wait(job)["progress"] == {"total": 3, "succeeded": 3, "failed": 0, "skipped": 0, "pending": 0}


RESULT_BUCKETS = [(faults.access_denied, "AccessDenied"), (lambda: faults.s3_error("NoSuchBucket", 404), "there is no bucket"),
                  (faults.redirect, "eu-central-1")]


@pytest.mark.parametrize("make,word", RESULT_BUCKETS, ids=["403", "404", "301"])
def test_results_that_cannot_be_written_hold_a_job_up_and_are_told(deployment, photos, make, word):
    refused = deployment.proxy.add(make(), operation="PutObject", path=f"^/{photos.result_bucket}/results/")
    client = deployment.client
    job = client.job(s3_keys=[PHOTO])
    told = deployment.workers[0].wait_for_log('"event":"chunk_not_booked".*').group(0)
    assert f'"job_id":"{job}"' in told and word in told, told
    assert client.status(job)["progress"] == {"total": 1, "succeeded": 0, "failed": 0, "skipped": 0, "pending": 1}
    deployment.proxy.remove(refused)
    assert client.wait(job)["status"] == "succeeded"


@pytest.mark.parametrize("make,word", RESULT_BUCKETS, ids=["403", "404", "301"])
def test_a_submit_whose_manifest_cannot_be_written_is_refused_and_the_log_says_why(deployment, photos, make, word):
    refused = deployment.proxy.add(make(), operation="PutObject", path=f"^/{photos.result_bucket}/manifests/")
    client = deployment.client
    again = {"Idempotency-Key": "manifest"}
    many = {"s3_keys": [PHOTO] * 300, "top_k": 1}
    answer = client.submit(headers=again, **many)
    assert answer.status_code in (500, 502, 503), answer.text
    request_id = answer.json()["error"]["request_id"]
    told = deployment.backends[0].wait_for_log(f'.*"{request_id}".*').group(0)
    assert word in told, told
    deployment.proxy.remove(refused)
    job = client.submit(headers=again, **many).json()["job_id"]
    assert client.wait(job)["progress"]["succeeded"] == 300


TABLES = [(faults.access_denied, "AccessDenied"),
          (lambda: faults.json_error("com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"), "ResourceNotFound")]


@pytest.mark.parametrize("make,word", TABLES, ids=["denied", "missing"])
def test_a_table_that_gives_nothing_is_an_error_of_ours_and_drops_no_work(deployment, photos, make, word):
    (worker,), client = deployment.workers, deployment.client
    worker.freeze()
    job = client.job(s3_keys=[PHOTO])
    refused = deployment.table.add(make())
    answer = client.get(f"/status/{job}")
    assert answer.status_code >= 500, answer.text
    request_id = answer.json()["error"]["request_id"]
    assert word in deployment.backends[0].wait_for_log(f'.*"{request_id}".*').group(0)
    worker.thaw()
    told = worker.wait_for_log('"event":"chunk_not_loaded".*').group(0)
    assert f'"job_id":"{job}"' in told and word in told, told
    assert sum(photos.queue_depth()) == 1
    deployment.table.remove(refused)
    assert client.wait(job)["status"] == "succeeded"


# Objects that change or vanish while a job runs.


def meanwhile(act, cut_first=False):
    """Once act has been done the server answers; with cut_first, only the try after a cut reply sees what it did."""
    async def apply(exchange):
        if cut_first:
            await faults.cut_body(after=10)(exchange)
        act()
        if not cut_first:
            await exchange.relay()
    return apply


WHEN = pytest.mark.parametrize("cut_first", [False, True], ids=["before its GET", "between two tries"])


@WHEN
def test_an_object_that_vanishes_after_it_was_listed_is_a_row(deployment, photos, cut_first):
    photo = sample_photos()[PHOTO]
    photos.put_images({f"set/{number}.jpg": photo for number in range(3)})
    deployment.proxy.add(meanwhile(lambda: photos.s3.delete_object(Bucket=photos.image_bucket, Key="set/1.jpg"), cut_first),
                         operation="GetObject", path="/set/1.jpg$", times=1)
    client = deployment.client
    job = client.job(s3_prefix="set/")
    done = client.wait(job)
    assert done["status"] == "completed_with_failures"
    assert done["progress"] == {"total": 3, "succeeded": 2, "failed": 1, "skipped": 0, "pending": 0}
    rows = client.rows(job)
    assert [row["s3_key"] for row in rows] == ["set/0.jpg", "set/1.jpg", "set/2.jpg"]
    assert [row.get("error", {}).get("code") for row in rows] == [None, "NOT_FOUND", None]
    assert "there is no object with this key" in rows[1]["error"]["message"], rows[1]


@WHEN
@pytest.mark.parametrize("after,code", [(sample_photos()["samples/cat.jpg"], None), (b"no picture", "UNSUPPORTED_FORMAT"), (b"", "EMPTY")],
                         ids=["another picture", "no picture", "empty"])
def test_an_object_that_changes_gives_the_row_of_one_of_its_contents(deployment, photos, cut_first, after, code):
    photos.put_images({"a.jpg": sample_photos()[PHOTO], "as-it-is.jpg": after})
    deployment.proxy.add(meanwhile(lambda: photos.put_images({"a.jpg": after}), cut_first),
                         operation="GetObject", path="/a.jpg$", times=1)
    client = deployment.client
    job = client.job(s3_keys=["a.jpg", PHOTO, "as-it-is.jpg"])
    client.wait(job)
    changed, before, now = ({name: value for name, value in row.items() if name not in ("index", "s3_key")}
                            for row in client.rows(job))
    assert changed == now != before
    assert changed.get("error", {}).get("code") == code, changed


LONG = b'{"s3_key":"test/image.jpg","pad":"' + b"x" * 8000 + b'"}\n'
CHANGES = [  # what happens to the manifest after its first piece has been read, and the job's reason
    (lambda aws: aws.put_images({"lists/a.jsonl": LONG * 150}), "the manifest changed while the job was being planned"),
    (lambda aws: aws.s3.delete_object(Bucket=aws.image_bucket, Key="lists/a.jsonl"), "there is no object with this key"),
]


@pytest.mark.parametrize("change,reason", CHANGES, ids=["changes", "vanishes"])
def test_a_manifest_that_changes_while_it_is_read_fails_its_job(deployment, photos, change, reason):
    photos.put_images({"lists/a.jsonl": LONG * 200})  # more than is read at once
    deployment.proxy.add(meanwhile(lambda: change(photos)), operation="GetObject", path="/lists/a.jsonl$", nth=2)
    client = deployment.client
    done = client.wait(client.job(manifest_s3_key="lists/a.jsonl", top_k=1))
    assert done["status"] == "failed" and reason in done["reason"], done
    assert done["progress"]["pending"] == 0, done


def test_every_object_written_twice_is_written_once(deployment, photos):
    """The second of two conditional writes is refused: who made both takes the first for another's."""
    deployment.proxy.add(faults.forward_twice(), operation="PutObject", path=f"^/{photos.result_bucket}/")
    client = deployment.client
    listed = client.job(s3_prefix="samples/")
    named = client.job(s3_keys=[PHOTO] * 250, top_k=1)
    assert client.wait(listed)["status"] == "succeeded"
    assert client.wait(named)["progress"]["succeeded"] == 250
    assert deployment.proxy.count("PutObject", fault=faults.forward_twice().__name__) > 3


def change_item(photos, pk, expression, **more):
    photos.dynamodb.update_item(TableName=photos.table, Key={"pk": {"S": pk}}, UpdateExpression=expression, **more)


DAMAGE = [  # item, change, and how it is mended
    ("S#default#{}#0", "REMOVE x", "x"), ("S#default#{}#0", "REMOVE n", "n"), ("M#default#{}", "REMOVE st", "st"),
    ("M#default#{}", "REMOVE tk", "tk"),
]


@pytest.mark.parametrize("pk,change,attribute", DAMAGE, ids=[f"{pk[0]} {change}" for pk, change, _ in DAMAGE])
def test_an_item_that_lacks_an_attribute_harms_its_own_job_only(deployment, photos, pk, change, attribute):
    worker = deployment.workers[0]
    client = deployment.client
    worker.freeze()
    job = client.job(s3_keys=[PHOTO] * 2)
    pk = pk.format(job)
    good = photos.items()[pk][attribute]
    change_item(photos, pk, change)
    worker.thaw()
    other = client.job(s3_keys=[PHOTO])
    assert client.wait(other)["status"] == "succeeded"
    answer = client.get(f"/status/{job}")
    assert answer.status_code in (200, 500), answer.text
    assert worker.is_running and deployment.backends[0].is_running
    change_item(photos, pk, "SET #a = :v", ExpressionAttributeNames={"#a": attribute}, ExpressionAttributeValues={":v": good})
    done = client.wait(job)
    assert done["progress"]["total"] == 2 and done["status"] in ("succeeded", "completed_with_failures"), done
    assert [row["index"] for row in client.rows(job)] == [0, 1]


def test_a_shard_that_is_gone_is_an_error_of_the_result_and_of_nothing_else(deployment, photos):
    client = deployment.client
    job = client.job(s3_keys=[PHOTO])
    client.wait(job)
    (shard,) = [key for key in photos.keys(photos.result_bucket) if key.startswith(f"results/default/{job}/")]
    body = photos.s3.get_object(Bucket=photos.result_bucket, Key=shard)["Body"].read()
    photos.s3.delete_object(Bucket=photos.result_bucket, Key=shard)
    answer = client.get(f"/result/{job}")
    assert answer.status_code >= 500 and answer.json()["error"]["request_id"], answer.text
    assert client.get(f"/status/{job}").status_code == 200
    photos.s3.put_object(Bucket=photos.result_bucket, Key=shard, Body=body)
    assert len(client.rows(job)) == 1


def test_a_manifest_that_is_gone_is_told_and_its_chunk_not_dropped(deployment, photos):
    client = deployment.client
    deployment.workers[0].freeze()
    job = client.job(s3_keys=[PHOTO] * 3000, top_k=1)  # more lines than an item holds
    (name,) = [key for key in photos.keys(photos.result_bucket) if key.startswith(f"manifests/default/{job}/")]
    body = photos.s3.get_object(Bucket=photos.result_bucket, Key=name)["Body"].read()
    photos.s3.delete_object(Bucket=photos.result_bucket, Key=name)
    deployment.workers[0].thaw()
    told = deployment.workers[0].wait_for_log('"event":"chunk_not_loaded".*')
    assert name in told.group(0), told.group(0)
    photos.s3.put_object(Bucket=photos.result_bucket, Key=name, Body=body)
    assert client.wait(job)["progress"]["succeeded"] == 3000
