# SPDX-License-Identifier: Apache-2.0
"""Each fault that is a reply of its own, or a changed one, is what botocore takes it for."""
import datetime
import json
import secrets
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime

import pytest
from botocore.exceptions import ChecksumError, ClientError
from botocore.parsers import ResponseParserError

import aws_env
import aws_errors
import faults
from generated_objects import GeneratedObjects
from signing import signed
from through import (  # noqa: F401, pylint: disable=unused-import
    KEY, SERVICES, SIZE, Through, any_service, dynamodb, made, s3, sqs)


# Errors.


@pytest.mark.parametrize("fault, expected", [
    (faults.internal_error(), {"s3": (500, "InternalError"), "sqs": (500, "InternalFailure"),
                               "dynamodb": (500, "InternalServerError")}),
    (faults.unavailable(), {"s3": (503, "SlowDown"), "sqs": (503, "ServiceUnavailableException"),
                            "dynamodb": (503, "ServiceUnavailableException")}),
    (faults.throttle(), {"s3": (503, "SlowDown"), "sqs": (403, "RequestThrottled"),
                         "dynamodb": (400, "ProvisionedThroughputExceededException")}),
    (faults.expired_token(), {"s3": (400, "ExpiredToken"), "sqs": (403, "ExpiredToken"),
                              "dynamodb": (400, "ExpiredTokenException")}),
    (faults.access_denied(), {"s3": (403, "AccessDenied"), "sqs": (403, "AccessDeniedException"),
                              "dynamodb": (400, "AccessDeniedException")}),
], ids=lambda value: getattr(value, "__name__", ""))
def test_an_error_has_the_shape_of_its_service(any_service, fault, expected):
    any_service.proxy.add(fault)
    assert any_service.refusal() == expected[any_service.proxy.service]
    assert any_service.proxy.records[0].forwarded == 0


@pytest.mark.parametrize("service, code", [(service, code) for service in SERVICES
                                           for code in aws_errors.THROTTLES[service]])
def test_every_throttling_code_arrives(proxies, made, service, code):
    proxies[service].add(faults.throttle(code))
    assert Through(proxies[service], made).refusal()[1] == code


def test_errors_carry_a_request_id(any_service):
    any_service.proxy.add(faults.internal_error())
    with pytest.raises(ClientError) as caught:
        any_service.call()
    metadata = caught.value.response["ResponseMetadata"]
    assert metadata["RequestId"]
    if any_service.proxy.service == "s3":
        assert metadata["HostId"]


def test_an_error_to_head_has_no_body(s3):
    s3.proxy.add(faults.unavailable(), times=1)
    call = lambda: s3.client().head_object(Bucket=s3.made.image_bucket, Key=KEY)
    assert s3.refusal(call) == (503, "503")
    assert call()["ContentLength"] == SIZE


def test_a_throttle_of_dynamodb_says_why(dynamodb):
    dynamodb.proxy.add(faults.throttle())
    kind = dynamodb.client().exceptions.ProvisionedThroughputExceededException
    with pytest.raises(kind) as caught:
        dynamodb.call()
    assert caught.value.response["ThrottlingReasons"][0]["reason"]


def test_a_bucket_elsewhere_redirects(s3):
    for status, code in ((301, "PermanentRedirect"), (307, "TemporaryRedirect"),
                         (400, "AuthorizationHeaderMalformed")):
        s3.proxy.clear()
        s3.proxy.add(faults.redirect("eu-west-3", status))
        request = urllib.request.Request(f"{s3.proxy.url}/bucket/key", method="GET")
        opener = urllib.request.build_opener(_NoRedirect)
        with pytest.raises(urllib.error.HTTPError) as caught:
            opener.open(request, timeout=20)
        assert caught.value.code == status
        assert caught.value.headers["x-amz-bucket-region"] == "eu-west-3"
        assert caught.value.headers["Location"] == (
            s3.proxy.url + "/bucket/key" if status == 307 else None)
        assert f"<Code>{code}</Code>".encode() in caught.value.read()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *unused):
        return None


def test_botocore_follows_the_redirect_to_the_region(s3):
    """It signs again for the region it was told, at the same endpoint, as that is ours."""
    bucket = f"elsewhere-{secrets.token_hex(4)}"  # botocore remembers where a bucket is
    s3.client().create_bucket(Bucket=bucket)
    s3.proxy.add(faults.redirect("eu-west-3"), operation="ListObjectsV2", nth=1)
    seen = []
    s3.proxy.add(faults.s3_error("Seen", 400), when=lambda request: seen.append(
        request.header("authorization")) is None, operation="ListObjectsV2")
    assert s3.refusal(lambda: s3.client().list_objects_v2(Bucket=bucket)) == (400, "Seen")
    assert "/us-east-1/s3/" in seen[0] and "/eu-west-3/s3/" in seen[-1]


def test_a_failure_within_a_200_is_an_error(s3):
    s3.proxy.add(faults.error_in_200(), operation="CopyObject")
    call = lambda: s3.client().copy_object(Bucket=s3.made.result_bucket, Key="copy",
                                           CopySource={"Bucket": s3.made.image_bucket,
                                                       "Key": KEY})
    assert s3.refusal(call)[1] == "InternalError"


def test_conditional_writes_can_conflict(s3):
    s3.proxy.add(faults.conditional_conflict(), operation="PutObject")
    call = lambda: s3.client().put_object(Bucket=s3.made.result_bucket, Key="k", IfNoneMatch="*")
    assert s3.refusal(call) == (409, "ConditionalRequestConflict")


def test_any_error_can_be_had(s3, sqs):
    s3.proxy.add(faults.s3_error("NoSuchBucket", 404))
    assert s3.refusal() == (404, "NoSuchBucket")
    sqs.proxy.add(faults.json_error("com.amazonaws.sqs#QueueDoesNotExist"))
    assert sqs.refusal() == (400, "AWS.SimpleQueueService.NonExistentQueue")
    with pytest.raises(sqs.client().exceptions.QueueDoesNotExist):
        sqs.call()


def test_a_transaction_can_conflict(dynamodb):
    dynamodb.proxy.add(faults.transaction_conflict())
    actions = [{"Put": {"TableName": dynamodb.made.table, "Item": {"pk": {"S": name}}}}
               for name in ("a", "b")]
    with pytest.raises(dynamodb.client().exceptions.TransactionCanceledException) as caught:
        dynamodb.client().transact_write_items(TransactItems=actions)
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["TransactionConflict", "None"]


@pytest.mark.parametrize("hours", [-6, 6])
def test_a_request_of_another_time_is_refused_with_the_time(any_service, hours):
    any_service.proxy.add(faults.skewed_clock(hours * 3600))
    with pytest.raises(ClientError) as caught:
        any_service.call()
    answer = caught.value.response
    assert answer["Error"]["Code"] == {
        "s3": "RequestTimeTooSkewed", "sqs": "SignatureDoesNotMatch",
        "dynamodb": "InvalidSignatureException"}[any_service.proxy.service]
    date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    offset = date - datetime.datetime.now(datetime.timezone.utc)
    assert abs(offset - datetime.timedelta(hours=hours)) < datetime.timedelta(minutes=1)


def test_a_request_of_the_servers_time_is_served(any_service):
    """As of a client that has learned the difference; the proxy signs again for the real server."""
    any_service.proxy.add(faults.skewed_clock(6 * 3600))
    method, path, headers, body = {
        "s3": ("GET", f"/{any_service.made.image_bucket}?list-type=2", {}, b""),
        "sqs": ("POST", "/", {"X-Amz-Target": "AmazonSQS.ListQueues"}, b"{}"),
        "dynamodb": ("POST", "/", {"X-Amz-Target": "DynamoDB_20120810.ListTables"}, b"{}"),
    }[any_service.proxy.service]
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)
    request = signed(method, any_service.proxy.url + path, any_service.proxy.service,
                     any_service.made.credentials, later, headers, body)
    plain = urllib.request.Request(request.url, data=body or None, method=method,
                                   headers=dict(request.headers))
    with urllib.request.urlopen(plain, timeout=20) as answer:
        date = parsedate_to_datetime(answer.headers["Date"])
    assert abs(date - later) < datetime.timedelta(minutes=1)
    assert any_service.proxy.records[0].forwarded == 1


# Replies that are changed.


@pytest.fixture
def item_call(made, dynamodb):
    made.dynamodb.put_item(TableName=made.table, Item={"pk": {"S": "there"}, "x": {"S": "y"}})
    return lambda **config: dynamodb.client(**config).get_item(TableName=made.table,
                                                               Key={"pk": {"S": "there"}})


@pytest.mark.parametrize("fault", [faults.truncated(), faults.malformed(), faults.html_page(200)],
                         ids=lambda fault: fault.__name__)
def test_json_can_be_broken(dynamodb, item_call, fault):
    """botocore takes such a body for an empty reply; ours must not."""
    assert item_call()["Item"]["x"] == {"S": "y"}
    dynamodb.proxy.add(fault)
    seen = []
    note = lambda http_response, **_: seen.append(http_response.content)
    dynamodb.client().meta.events.register("after-call.dynamodb.GetItem", note)
    assert "Item" not in item_call()
    dynamodb.client().meta.events.unregister("after-call.dynamodb.GetItem", note)
    with pytest.raises(ValueError):
        json.loads(seen[0])


def test_text_can_be_broken(dynamodb, item_call):
    dynamodb.proxy.add(faults.invalid_utf8())
    with pytest.raises(UnicodeDecodeError):
        item_call()


@pytest.mark.parametrize("fault", [faults.truncated(), faults.malformed(), faults.invalid_utf8(),
                                   faults.replaced(b"<html>", "text/html")],
                         ids=lambda fault: fault.__name__)
def test_xml_can_be_broken(s3, fault):
    """botocore takes what it cannot parse for a failure of the server."""
    s3.proxy.add(fault)
    call = lambda: s3.client().list_objects_v2(Bucket=s3.made.image_bucket)
    assert s3.refusal(call)[0] == 500
    assert s3.proxy.records[0].status == 200


def test_an_html_page_is_an_error_without_a_code(any_service):
    any_service.proxy.add(faults.html_page(502))
    with pytest.raises((ClientError, ResponseParserError)):
        any_service.call()


def test_an_empty_200_has_nothing_in_it(dynamodb, item_call):
    dynamodb.proxy.add(faults.empty_200())
    assert "Item" not in item_call()


def test_a_wrong_checksum_is_noticed(dynamodb, item_call):
    dynamodb.proxy.add(faults.wrong_crc32())
    with pytest.raises(ChecksumError):
        item_call(retries={"mode": "legacy", "total_max_attempts": 1})


def test_a_damaged_object_is_noticed_by_its_checksum(s3):
    s3.client().put_object(Bucket=s3.made.result_bucket, Key="checked", Body=b"content",
                           ChecksumAlgorithm="SHA256")
    s3.proxy.add(faults.flipped_bit(3), operation="GetObject")
    with pytest.raises(Exception, match="checksum"):
        s3.client().get_object(Bucket=s3.made.result_bucket, Key="checked",
                               ChecksumMode="ENABLED")["Body"].read()


# A prefix of objects that nobody stores.


def test_any_number_of_objects_can_be_listed_and_read(s3):
    objects = GeneratedObjects("big +/", 12_345, content=b"photo")
    s3.proxy.add(objects.serve, when=objects.concerns)
    storage, bucket = s3.client(), s3.made.image_bucket
    pages = list(storage.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="big +/"))
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    assert len(pages) == 13 and len(set(keys)) == 12_345 == objects.listed
    assert keys == sorted(keys) and keys[0] == "big +/00000.jpg" and keys[-1] == "big +/12344.jpg"
    assert storage.get_object(Bucket=bucket, Key=keys[-1])["Body"].read() == b"photo"
    assert storage.head_object(Bucket=bucket, Key=keys[0])["ContentLength"] == 5
    assert s3.refusal(lambda: storage.get_object(Bucket=bucket, Key="big +/12345.jpg")) == (
        404, "NoSuchKey")  # of the server behind


@pytest.mark.parametrize("after, first", [("big/00010.jpg", 11), ("big/00010", 10), ("a", 0),
                                          ("big/12344.jpg", None), ("c", None)])
def test_a_generated_listing_starts_after_any_key(s3, after, first):
    objects = GeneratedObjects("big/", 12_345)
    s3.proxy.add(objects.serve, when=objects.concerns)
    page = s3.client().list_objects_v2(Bucket=s3.made.image_bucket, Prefix="big/", StartAfter=after,
                                       MaxKeys=2)
    found = [entry["Key"] for entry in page.get("Contents", [])]
    assert found == ([] if first is None else [objects.key(first), objects.key(first + 1)])


# Batches and messages.


def entries(number):
    return [{"Id": str(i), "MessageBody": f"body {i}"} for i in range(number)]


@pytest.mark.parametrize("performed", [False, True])
@pytest.mark.parametrize("failing", [1, 10])
def test_entries_of_a_batch_can_fail(sqs, failing, performed):
    visible, *rest = sqs.made.queue_depth()
    sqs.proxy.add(faults.fail_entries(failing, "InternalError", performed))
    answer = sqs.client().send_message_batch(QueueUrl=sqs.made.queue_url, Entries=entries(10))
    assert [entry["Id"] for entry in answer["Failed"]] == [str(i) for i in range(failing)]
    assert {entry["Code"] for entry in answer["Failed"]} == {"InternalError"}
    assert len(answer.get("Successful", [])) == 10 - failing
    done = 10 if performed else 10 - failing
    assert sqs.made.queue_depth() == (visible + done, *rest)


def test_items_of_a_batch_can_be_handed_back(dynamodb):
    table, batch = dynamodb.made.table, dynamodb.client()
    dynamodb.proxy.add(faults.leave_unprocessed(4))
    puts = [{"PutRequest": {"Item": {"pk": {"S": f"batch{i}"}}}} for i in range(10)]
    left = batch.batch_write_item(RequestItems={table: puts})["UnprocessedItems"][table]
    assert left == puts[6:]
    keys = [{"pk": {"S": f"batch{i}"}} for i in range(6)]
    found = batch.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    assert len(found["Responses"][table]) == 2
    assert found["UnprocessedKeys"][table] == {"Keys": keys[2:], "ConsistentRead": True}
    dynamodb.proxy.clear()
    assert {f"batch{i}" for i in range(6)} <= set(dynamodb.made.items())


@pytest.fixture
def own_queue(ministack, proxies):
    return Through(proxies["sqs"], aws_env.create(dict.fromkeys(SERVICES, ministack)))


def receive(queue, most=10):
    return [message["Body"] for message in queue.client().receive_message(
        QueueUrl=queue.made.queue_url, MaxNumberOfMessages=most).get("Messages", [])]


def test_messages_can_come_twice(own_queue):
    own_queue.client().send_message_batch(QueueUrl=own_queue.made.queue_url, Entries=entries(10))
    own_queue.proxy.add(faults.duplicate_messages(0.5, seed=3), operation="ReceiveMessage")
    got = [body for _ in range(20) for body in receive(own_queue, most=3)]
    assert set(got) == {f"body {i}" for i in range(10)}
    assert len(got) == 10 + own_queue.proxy.duplicates and own_queue.proxy.duplicates > 0


def test_messages_can_come_late_and_in_another_order(own_queue):
    own_queue.client().send_message_batch(QueueUrl=own_queue.made.queue_url, Entries=entries(10))
    own_queue.proxy.add(faults.late_messages(receives=3, seed=1), operation="ReceiveMessage")
    rounds = [receive(own_queue) for _ in range(5)]
    assert rounds[:3] == [[], [], []]
    assert sorted(rounds[3]) == [f"body {i}" for i in range(10)] != rounds[3]
    assert rounds[4] == []


def test_what_is_recorded_adds_up(own_queue):
    own_queue.proxy.add(faults.throttle(), probability=0.3)
    outcomes = own_queue.outcomes(40)
    assert own_queue.proxy.count("SendMessage") == 40
    assert own_queue.proxy.faults() == {"throttle": sum(outcomes)}
    assert own_queue.made.queue_depth()[0] == 40 - sum(outcomes)
    assert json.dumps([record.__dict__ for record in own_queue.proxy.records])
