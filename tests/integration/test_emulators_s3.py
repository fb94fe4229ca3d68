# SPDX-License-Identifier: Apache-2.0
"""What the S3 servers do as the real service does. LACKS says what a server does not do: each of
these tests must fail there, so the table stays true."""
import datetime
import http.client
import itertools
import urllib.error
import urllib.parse
import urllib.request
from email.utils import parsedate_to_datetime

import pytest
import races
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import ClientError, PaginationError

from emulators import REGION, Credentials
from signing import signed

LACKS = {
    ("s3proxy", "a_listing_in_pages_is_complete_and_in_byte_order"):
        "its continuation token is URL-encoded, which SDKs send back encoded again",
    ("s3proxy", "completing_a_multipart_upload_of_an_existing_key_can_be_refused"):
        "it ignores If-None-Match when an upload is completed",
    ("s3proxy", "a_bucket_can_be_named_in_the_host"):
        "it takes path style or virtual-host style, not both",
    ("s3proxy", "an_upload_can_be_given_up"):
        "it takes parts of an upload that was given up",
    ("s3proxy", "of_many_racing_writers_of_one_new_key_exactly_one_wins"):
        "it looks first and writes then",
}
KEYS = ["a b", "a+b", "a%b", "a%20b", "a~b", "a//b", "//lead", "trail/", "/", "a?b", "a&b=c", "#h",
        "a/./b", "a/../b", "..", "ümlaut/日本語/😀", "a;b:c,d@e$f!g*h'i(j)k", '"<q>\\',
        "tab\tx", "line\nx", "\x01", "x" * 1024]


@pytest.fixture(autouse=True)
def known_lacks(request, s3_server):
    name = request.node.originalname.removeprefix("test_")
    if (s3_server.name, name) in LACKS:
        by_chance = "racing" in name  # a race can end well
        request.applymarker(pytest.mark.xfail(strict=not by_chance,
                                              reason=LACKS[s3_server.name, name]))


@pytest.fixture
def s3(s3_server):
    return s3_server.client("s3")


@pytest.fixture
def bucket(s3, counter=itertools.count()):
    name = f"bucket-{next(counter)}"
    s3.create_bucket(Bucket=name)
    return name


def refusal(call, *arguments, **named):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def fetch(url, method="GET", body=None, headers=None):
    """(status, body) of a request that is not signed any further."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_wrong_secret_is_refused(s3_server, s3, bucket):
    wrong = Credentials(s3_server.credentials.access_key, "wrong")
    client = s3_server.client("s3", wrong)
    expected = (403, "SignatureDoesNotMatch")
    assert refusal(client.list_objects_v2, Bucket=bucket) == expected
    assert refusal(client.put_object, Bucket=bucket, Key="k", Body=b"x") == expected
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_an_unknown_access_key_is_refused(s3_server, bucket):
    client = s3_server.client("s3", Credentials("AKIAUNKNOWN", "x"))
    assert refusal(client.list_objects_v2, Bucket=bucket) == (403, "InvalidAccessKeyId")


def test_an_unsigned_request_is_refused(s3_server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    status, body = fetch(f"{s3_server.url}/{bucket}/k")
    assert status == 403 and b"<Code>AccessDenied</Code>" in body, body


def test_a_request_of_another_hour_is_refused(s3_server, bucket):
    an_hour_ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    request = signed("GET", f"{s3_server.url}/{bucket}?list-type=2", "s3", s3_server.credentials,
                     an_hour_ago)
    status, body = fetch(request.url, headers=dict(request.headers))
    assert status == 403 and b"<Code>RequestTimeTooSkewed</Code>" in body


def test_the_date_of_a_reply_is_that_of_now(s3, bucket):
    headers = s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    age = datetime.datetime.now(datetime.timezone.utc) - parsedate_to_datetime(headers["date"])
    assert abs(age) < datetime.timedelta(minutes=1)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key)[:24])
def test_any_key_goes_round_the_trip(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_a_listing_in_pages_is_complete_and_in_byte_order(s3, bucket):
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket,
                                                         PaginationConfig={"PageSize": 3})
    try:
        listed = [entry["Key"] for page in pages for entry in page["Contents"]]
    except PaginationError as repeated:
        pytest.fail(str(repeated))
    assert listed == sorted(KEYS, key=str.encode)


def test_a_listing_starts_after_a_key_and_within_a_prefix(s3, bucket):
    for key in ("p/1", "p/2 +", "p/3", "q/1", "p//4"):
        s3.put_object(Bucket=bucket, Key=key)
    after = s3.list_objects_v2(Bucket=bucket, Prefix="p/", StartAfter="p/1")
    assert [entry["Key"] for entry in after["Contents"]] == ["p/2 +", "p/3"]
    one = s3.list_objects_v2(Bucket=bucket, Prefix="p/", StartAfter="p/1", MaxKeys=1)
    assert one["IsTruncated"] and one["KeyCount"] == 1
    double = s3.list_objects_v2(Bucket=bucket, Prefix="p//")
    assert [entry["Key"] for entry in double["Contents"]] == ["p//4"]


def test_a_put_of_an_existing_key_can_be_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"first", IfNoneMatch="*")
    assert refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"second",
                   IfNoneMatch="*") == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"


def test_of_many_racing_writers_of_one_new_key_exactly_one_wins(s3_server, bucket):
    client = s3_server.client("s3", max_pool_connections=races.WRITERS)

    def write(number, writer):
        try:
            client.put_object(Bucket=bucket, Key=str(number), Body=b"%d" % writer, IfNoneMatch="*")
        except ClientError as lost:
            # 409 ConditionalRequestConflict is the real service's word for a race
            assert lost.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412)
            return False
        return True

    assert races.winners_per_round(write) == [1] * races.ROUNDS


def test_a_range_can_be_pinned_to_one_version(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")["ETag"]
    part = s3.get_object(Bucket=bucket, Key="k", Range="bytes=2-4", IfMatch=etag)
    assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    s3.put_object(Bucket=bucket, Key="k", Body=b"changed")
    assert refusal(s3.get_object, Bucket=bucket, Key="k", Range="bytes=2-4",
                   IfMatch=etag) == (412, "PreconditionFailed")


def test_a_range_beyond_the_end_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    assert refusal(s3.get_object, Bucket=bucket, Key="k",
                   Range="bytes=10-11") == (416, "InvalidRange")


def test_what_is_missing_is_named(s3, bucket):
    assert refusal(s3.get_object, Bucket=bucket, Key="none") == (404, "NoSuchKey")
    assert refusal(s3.get_object, Bucket="no-such", Key="none") == (404, "NoSuchBucket")
    assert refusal(s3.head_object, Bucket=bucket, Key="none") == (404, "404")


def test_an_upload_in_parts_becomes_one_object(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k +")["UploadId"]
    sizes = [5 << 20, 5 << 20, 1]  # parts but the last are 5 MiB at least
    parts = [{"PartNumber": n, "ETag": s3.upload_part(
        Bucket=bucket, Key="k +", UploadId=upload, PartNumber=n, Body=b"x" * size)["ETag"]}
        for n, size in enumerate(sizes, 1)]
    s3.complete_multipart_upload(Bucket=bucket, Key="k +", UploadId=upload,
                                 MultipartUpload={"Parts": parts})
    assert s3.head_object(Bucket=bucket, Key="k +")["ContentLength"] == sum(sizes)


def test_completing_a_multipart_upload_of_an_existing_key_can_be_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"second")
    assert refusal(s3.complete_multipart_upload, Bucket=bucket, Key="k", UploadId=upload,
                   IfNoneMatch="*", MultipartUpload={"Parts": [
                       {"PartNumber": 1, "ETag": part["ETag"]}]}) == (412, "PreconditionFailed")


def test_an_upload_can_be_given_up(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    assert refusal(s3.upload_part, Bucket=bucket, Key="k", UploadId=upload, PartNumber=1,
                   Body=b"x") == (404, "NoSuchUpload")


def test_a_presigned_put_binds_key_type_and_length(s3, bucket):
    url = s3.generate_presigned_url("put_object", ExpiresIn=60, Params={
        "Bucket": bucket, "Key": "a +/é", "ContentType": "image/png", "ContentLength": 3})
    png = {"Content-Type": "image/png"}
    assert fetch(url, "PUT", b"four", png)[0] == 403
    assert fetch(url, "PUT", b"abc", {"Content-Type": "text/plain"})[0] == 403
    assert fetch(url.replace("/a%20", "/b%20"), "PUT", b"abc", png)[0] == 403
    assert fetch(url, "PUT", b"abc", png)[0] == 200
    assert s3.get_object(Bucket=bucket, Key="a +/é")["Body"].read() == b"abc"


def test_a_presigned_url_ends(s3_server, bucket):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=100)
    request = AWSRequest("GET", f"{s3_server.url}/{bucket}/k")
    signer = S3SigV4QueryAuth(BotoCredentials(*s3_server.credentials), "s3", REGION, expires=10)
    request.context["timestamp"] = past.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)  # pylint: disable=protected-access
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(  # pylint: disable=protected-access
        request, signer.signature(text, request))
    status, body = fetch(request.url)
    assert status == 403 and b"<Code>AccessDenied</Code>" in body


def test_a_bucket_can_be_named_in_the_host(s3_server, s3, bucket):
    """Virtual-host style, as AWS prefers it; signed for a host that no resolver needs to know."""
    key = "a b/+"
    s3.put_object(Bucket=bucket, Key=key, Body=b"content")
    host = f"{bucket}.localhost:{s3_server.port}"
    request = signed("GET", f"http://{host}/{urllib.parse.quote(key)}", "s3",
                     s3_server.credentials)
    connection = http.client.HTTPConnection("127.0.0.1", s3_server.port, timeout=20)
    connection.request("GET", urllib.parse.quote("/" + key),
                       headers={"Host": host, **dict(request.headers)})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"content")
    connection.close()
