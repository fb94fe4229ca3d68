# SPDX-License-Identifier: Apache-2.0
"""The fault proxy passes requests on unharmed (the server behind it checks signatures), and each
fault is what botocore, which is nobody's of ours, takes it for."""
import datetime
import json
import secrets
import socket
import threading
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime

import pytest
from botocore.exceptions import (
    ChecksumError, ClientError, ConnectionClosedError, EndpointConnectionError, HTTPClientError,
    IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
from botocore.parsers import ResponseParserError

import aws_env
import aws_errors
import faults
from emulators import Credentials, client
from fault_proxy import FaultProxy, operation_of
from http_messages import MAX_HEAD, Request
from signing import signed

SERVICES = ("s3", "sqs", "dynamodb")
QUICK = 0.5  # a client's patience, in seconds, where a fault needs it to give up


@pytest.fixture(scope="module")
def made(emulators):
    ministack = emulators.get("ministack")
    made = aws_env.create(dict.fromkeys(SERVICES, ministack))
    made.put_images({"photo +1.jpg": b"x" * 100_000})
    return made


class Through:
    """One harmless call of each service, through a proxy, by botocore without retries."""

    CALLS = {
        "s3": ("GetObject", lambda c, made: c.get_object(
            Bucket=made.image_bucket, Key="photo +1.jpg")["Body"].read()),
        "sqs": ("SendMessage", lambda c, made: c.send_message(
            QueueUrl=made.queue_url, MessageBody="x")),
        "dynamodb": ("PutItem", lambda c, made: c.put_item(
            TableName=made.table, Item={"pk": {"S": "x"}})),
    }

    def __init__(self, proxy, made):
        self.proxy = proxy
        self.made = made
        self.operation, self._call = self.CALLS[proxy.service]

    def client(self, credentials=None, **config):
        return client(self.proxy.service, self.proxy.url, credentials or self.made.credentials,
                      **config)

    def call(self, **config):
        return self._call(self.client(**config), self.made)

    def refusal(self, call=None, **config):
        with pytest.raises(ClientError) as caught:
            (call or self.call)(**config)
        answer = caught.value.response
        return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


@pytest.fixture(scope="module")
def proxies(emulators):
    """One of each service: making a client of botocore's costs more than all else here."""
    ministack = emulators.get("ministack")
    with FaultProxy(ministack, "s3") as first, FaultProxy(ministack, "sqs") as second, \
            FaultProxy(ministack, "dynamodb") as third:
        yield {proxy.service: proxy for proxy in (first, second, third)}


@pytest.fixture(autouse=True)
def clean(proxies):
    yield
    for proxy in proxies.values():
        proxy.clear()
        proxy.disconnect()
        proxy.wait_idle()
        proxy.forget()


@pytest.fixture(params=SERVICES)
def any_service(request, proxies, made):
    return Through(proxies[request.param], made)


def through(service):
    @pytest.fixture
    def fixture(proxies, made):
        return Through(proxies[service], made)
    return fixture


s3 = through("s3")
sqs = through("sqs")
dynamodb = through("dynamodb")


# What passes.


def test_a_request_passes_and_is_recorded(any_service):
    any_service.call()
    (record,) = any_service.proxy.records
    assert (record.operation, record.fault, record.forwarded, record.status) == (
        any_service.operation, None, 1, 200)
    assert record.request_bytes > 0 or any_service.operation == "GetObject"
    assert record.response_bytes > 0
    assert any_service.proxy.counts() == {any_service.operation: 1}
    assert any_service.proxy.problems == []


def test_a_wrong_signature_is_still_refused_behind_the_proxy(any_service):
    wrong = Credentials(any_service.made.credentials.access_key, "wrong")
    status, code = any_service.refusal(credentials=wrong)
    assert status in (400, 403) and "Signature" in code


def test_any_key_passes(s3):
    for key in ("a//b", "../x", "a b+%2F~é?&=", "/", "trail/"):
        s3.client().put_object(Bucket=s3.made.result_bucket, Key=key, Body=key.encode())
        body = s3.client().get_object(Bucket=s3.made.result_bucket, Key=key)["Body"]
        assert body.read() == key.encode()


def test_large_bodies_pass_both_ways(s3):
    content = bytes(range(256)) * (20 << 12)
    s3.client().put_object(Bucket=s3.made.result_bucket, Key="large", Body=content)
    assert s3.client().get_object(Bucket=s3.made.result_bucket, Key="large")["Body"].read() == content
    assert s3.client().head_object(Bucket=s3.made.result_bucket,
                                   Key="large")["ContentLength"] == len(content)


def test_connections_are_kept(dynamodb):
    patient = dynamodb.client(max_pool_connections=1)
    for _ in range(5):
        patient.put_item(TableName=dynamodb.made.table, Item={"pk": {"S": "x"}})
    assert dynamodb.proxy.connections_opened <= 1
    assert len({record.connection for record in dynamodb.proxy.records}) == 1


def test_many_clients_at_once_pass(dynamodb):
    shared = dynamodb.client(max_pool_connections=16)

    def work(writer):
        for i in range(10):
            shared.put_item(TableName=dynamodb.made.table, Item={"pk": {"S": f"{writer}/{i}"}})

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dynamodb.proxy.count("PutItem") == 160
    assert all(record.status == 200 for record in dynamodb.proxy.records)


@pytest.mark.parametrize("method, target, headers, operation", [
    ("GET", "/b?list-type=2&prefix=x", {}, "ListObjectsV2"), ("GET", "/b/?list-type=2", {}, "ListObjectsV2"),
    ("GET", "/b/k", {}, "GetObject"), ("HEAD", "/b/k", {}, "HeadObject"), ("HEAD", "/b", {}, "HeadBucket"),
    ("GET", "/b//", {}, "GetObject"), ("PUT", "/b/a%2Fb?x-id=PutObject", {}, "PutObject"),
    ("PUT", "/b/k?partNumber=1&uploadId=u", {}, "UploadPart"), ("POST", "/b/k?uploads", {}, "CreateMultipartUpload"),
    ("POST", "/b/k?uploadId=u", {}, "CompleteMultipartUpload"), ("DELETE", "/b/k?uploadId=u", {}, "AbortMultipartUpload"),
    ("POST", "/b?delete", {}, "DeleteObjects"), ("DELETE", "/b/k", {}, "DeleteObject"),
    ("PUT", "/b/k", {"x-amz-copy-source": "/b/o"}, "CopyObject"), ("PUT", "/b", {}, "CreateBucket"),
    ("GET", "/k", {"Host": "b.localhost:1"}, "GetObject"), ("GET", "/?list-type=2", {"Host": "b.localhost:1"}, "ListObjectsV2"),
    ("PUT", "/k", {"Host": "b.s3.us-east-1.amazonaws.com"}, "PutObject"), ("PATCH", "/b/k", {}, "?"),
])
def test_operations_of_s3_are_told_apart(method, target, headers, operation):
    headers = {"Host": "127.0.0.1:1", **headers}
    assert operation_of(Request(list(headers.items()), b"", method, target), "s3") == operation


# When a rule fires.


def fired(through_proxy, number):
    """1 for each of so many calls that was refused."""
    return [1 if _refused(through_proxy) else 0 for _ in range(number)]


def _refused(through_proxy):
    try:
        through_proxy.call()
    except ClientError:
        return True
    return False


def test_a_rule_hits_the_nth_request_of_its_operation(dynamodb):
    rule = dynamodb.proxy.add(faults.throttle(), operation="PutItem", nth=3)
    dynamodb.client().get_item(TableName=dynamodb.made.table, Key={"pk": {"S": "x"}})
    assert fired(dynamodb, 5) == [0, 0, 1, 0, 0]
    assert (rule.matched, rule.fired) == (5, 1)
    assert dynamodb.proxy.faults() == {"throttle": 1}


def test_a_rule_hits_several_numbers(dynamodb):
    dynamodb.proxy.add(faults.throttle(), operation={"PutItem", "GetItem"}, nth=(1, 4))
    assert fired(dynamodb, 5) == [1, 0, 0, 1, 0]


def test_a_rule_hits_at_most_so_often(dynamodb):
    dynamodb.proxy.add(faults.throttle(), times=2)
    assert fired(dynamodb, 4) == [1, 1, 0, 0]


def test_a_rule_that_is_removed_hits_no_more(dynamodb):
    rule = dynamodb.proxy.add(faults.throttle())
    other = dynamodb.proxy.add(faults.throttle(), nth=4)
    assert fired(dynamodb, 2) == [1, 1]
    dynamodb.proxy.remove(rule)
    assert fired(dynamodb, 3) == [0, 1, 0]
    assert (rule.fired, other.fired) == (2, 1)


def test_chance_is_the_same_for_the_same_seed(ministack, made):
    def run(seed):
        with FaultProxy(ministack, "dynamodb", seed=seed) as proxy:
            proxy.add(faults.throttle(), probability=0.5)
            return fired(Through(proxy, made), 30)

    first = run(7)
    assert first == run(7) and first != run(8)
    assert 5 < sum(first) < 25


def test_a_rule_can_ask_for_path_query_and_body(s3):
    storage, bucket = s3.client(), s3.made.result_bucket
    s3.proxy.add(faults.throttle(), method="PUT", path="/odd [0-9]+$")
    s3.proxy.add(faults.access_denied(), query={"list-type": "2", "prefix": "secret"})
    s3.proxy.add(faults.internal_error(), body=b"poison")
    s3.proxy.add(faults.expired_token(), when=lambda request: request.header("range") is not None)
    storage.put_object(Bucket=bucket, Key="even", Body=b"x")
    storage.list_objects_v2(Bucket=bucket, Prefix="open")
    for code, call in (
            ("SlowDown", lambda: storage.put_object(Bucket=bucket, Key="odd 17", Body=b"x")),
            ("AccessDenied", lambda: storage.list_objects_v2(Bucket=bucket, Prefix="secret")),
            ("InternalError", lambda: storage.put_object(Bucket=bucket, Key="k", Body=b"a poison b")),
            ("ExpiredToken", lambda: storage.get_object(Bucket=bucket, Key="even",
                                                        Range="bytes=0-0"))):
        assert s3.refusal(call)[1] == code


def test_requests_can_be_waited_for(dynamodb):
    timer = threading.Timer(0.05, dynamodb.call)
    timer.start()
    dynamodb.proxy.wait_for("PutItem")
    timer.join()
    dynamodb.proxy.wait_idle()
    assert dynamodb.proxy.records[0].seconds > 0
    dynamodb.proxy.forget()
    assert dynamodb.proxy.count() == 0


# The network.


def test_a_delayed_request_is_served_late(any_service):
    any_service.proxy.add(faults.delay(0.2))
    begun = time.monotonic()
    any_service.call()
    assert time.monotonic() - begun >= 0.2


def test_a_delay_beyond_patience_is_a_timeout_and_nothing_is_done(dynamodb):
    dynamodb.proxy.add(faults.delay(60))
    with pytest.raises(ReadTimeoutError):
        dynamodb.call(read_timeout=QUICK)
    dynamodb.proxy.wait_idle()
    assert dynamodb.proxy.records[0].forwarded == 0


@pytest.mark.parametrize("forward", [False, True])
def test_a_black_hole_is_a_timeout(any_service, forward):
    any_service.proxy.add(faults.black_hole(forward=forward))
    with pytest.raises(ReadTimeoutError):
        any_service.call(read_timeout=QUICK)
    any_service.proxy.wait_idle()
    record = any_service.proxy.records[0]
    assert (record.forwarded, record.status) == (int(forward), None)


def test_a_reset_is_a_broken_connection_and_nothing_is_done(sqs):
    before = sqs.made.queue_depth()
    sqs.proxy.add(faults.reset())
    with pytest.raises(ConnectionClosedError):
        sqs.call()
    assert sqs.made.queue_depth() == before


def test_a_lost_reply_is_a_broken_connection_but_it_was_done(sqs):
    visible, *rest = sqs.made.queue_depth()
    sqs.proxy.add(faults.lose_reply())
    with pytest.raises(ConnectionClosedError):
        sqs.call()
    assert sqs.made.queue_depth() == (visible + 1, *rest)


def test_a_silent_close_is_a_broken_connection(any_service):
    any_service.proxy.add(faults.close_silently())
    with pytest.raises(ConnectionClosedError):
        any_service.call()


def test_a_connection_can_end_after_a_reply(dynamodb):
    dynamodb.proxy.add(faults.close_after_reply(), nth=1)
    for _ in range(3):
        dynamodb.call()
    first, second, third = (record.connection for record in dynamodb.proxy.records)
    assert first != second and second == third


@pytest.mark.parametrize("after", [0, 1, 99_999])
@pytest.mark.parametrize("abrupt", [True, False])
def test_an_object_cut_short_is_noticed(s3, after, abrupt):
    s3.proxy.add(faults.cut_body(after, abrupt))
    with pytest.raises((IncompleteReadError, ResponseStreamingError, ConnectionClosedError)):
        s3.call()


def test_a_reply_cut_short_is_noticed(dynamodb):
    dynamodb.proxy.add(faults.cut_body(1))
    with pytest.raises((IncompleteReadError, ResponseStreamingError, ConnectionClosedError)):
        dynamodb.client().get_item(TableName=dynamodb.made.table, Key={"pk": {"S": "x"}})


def test_a_slow_reply_comes_in_pieces(dynamodb):
    dynamodb.proxy.add(faults.slow_reply(0.01, size=64))
    dynamodb.call()
    dynamodb.proxy.wait_idle()
    assert dynamodb.proxy.records[0].seconds > 0.03


def test_a_request_can_be_done_twice(sqs):
    visible, *rest = sqs.made.queue_depth()
    sqs.proxy.add(faults.forward_twice())
    sqs.call()
    assert sqs.made.queue_depth() == (visible + 2, *rest)
    assert sqs.proxy.records[0].forwarded == 2


def test_a_service_can_be_away_and_come_back(any_service):
    any_service.call()
    any_service.proxy.refuse()
    try:
        _expect_away(any_service)
    finally:
        any_service.proxy.accept()
    any_service.call()


def _expect_away(any_service):
    with pytest.raises((EndpointConnectionError, ConnectionClosedError)):
        any_service.call()
    with pytest.raises(EndpointConnectionError):
        any_service.call()


def test_connections_can_be_broken_in_the_middle_of_a_call(sqs):
    timer = threading.Timer(0.2, sqs.proxy.disconnect)
    sqs.proxy.add(faults.black_hole())
    timer.start()
    with pytest.raises(ConnectionClosedError):
        sqs.call()
    timer.join()


def test_the_proxy_speaks_tls(ministack, made, tmp_path):
    import subprocess
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                    "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                    "-out", chain], check=True, capture_output=True, timeout=60)
    with FaultProxy(ministack, "dynamodb", certificate=(chain, key)) as proxy:
        import boto3
        from botocore.config import Config
        trusting = boto3.session.Session().client(
            "dynamodb", endpoint_url=proxy.url, region_name="us-east-1", verify=str(chain),
            aws_access_key_id=made.credentials.access_key,
            aws_secret_access_key=made.credentials.secret_key,
            config=Config(retries={"total_max_attempts": 1}))
        trusting.put_item(TableName=made.table, Item={"pk": {"S": "x"}})
        assert proxy.count("PutItem") == 1


# HTTP that is wrong.


def test_a_length_that_is_too_long_is_waited_for(dynamodb):
    dynamodb.proxy.add(faults.wrong_length(+10))
    with pytest.raises(ReadTimeoutError):
        dynamodb.call(read_timeout=QUICK)


def test_a_length_that_is_too_short_leaves_a_rest(s3):
    """Who reuses the connection takes the rest of the body for the next reply."""
    s3.proxy.add(faults.wrong_length(-5))
    path = f"/{s3.made.image_bucket}/photo%20%2B1.jpg"
    request = signed("GET", s3.proxy.url + path, "s3", s3.made.credentials)
    head = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{s3.proxy.port}",
            *(f"{name}: {value}" for name, value in request.headers.items())]
    with socket.create_connection(("127.0.0.1", s3.proxy.port), timeout=20) as plain:
        plain.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        stream = plain.makefile("rb")
        length = next(int(line.split()[1]) for line in iter(stream.readline, b"\r\n")
                      if line.lower().startswith(b"content-length:"))
        while stream.readline() != b"\r\n":
            pass
        assert length == 100_000 - 5
        assert stream.read(length + 5) == b"x" * 100_000


@pytest.mark.parametrize("fault", [faults.endless_body(), faults.huge_body(), faults.huge_head()],
                         ids=["endless body", "huge body", "huge head"])
def test_a_reply_without_end_is_sent_until_the_client_leaves(s3, fault):
    """Read by hand: botocore would take all of it into memory."""
    s3.proxy.add(fault)
    place = ("127.0.0.1", s3.proxy.port)
    with socket.create_connection(place, timeout=20) as plain:
        plain.sendall(b"GET /b/k HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        taken = 0
        while taken < 8 << 20:
            taken += len(plain.recv(1 << 20))
    s3.proxy.wait_idle()


def test_what_is_not_http_is_noticed(any_service):
    any_service.proxy.add(faults.not_http())
    with pytest.raises((HTTPClientError, ConnectionClosedError)):
        any_service.call()


def test_a_client_that_speaks_no_http_is_left(dynamodb):
    for raw in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"x" * (MAX_HEAD + 4),
                b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", dynamodb.proxy.port), timeout=20) as plain:
            plain.sendall(raw)
            try:
                assert plain.recv(1000) == b""
            except ConnectionResetError:
                pass
    dynamodb.call()
    assert dynamodb.proxy.count() == 1


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
    call = lambda: s3.client().head_object(Bucket=s3.made.image_bucket, Key="photo +1.jpg")
    assert s3.refusal(call) == (503, "503")
    assert call()["ContentLength"] == 100_000


def test_a_throttle_of_dynamodb_says_why(dynamodb):
    dynamodb.proxy.add(faults.throttle())
    with pytest.raises(dynamodb.client().exceptions.ProvisionedThroughputExceededException) as caught:
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
                                                       "Key": "photo +1.jpg"})
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
    assert answer["Error"]["Code"] == {"s3": "RequestTimeTooSkewed", "sqs": "SignatureDoesNotMatch",
                                       "dynamodb": "InvalidSignatureException"}[any_service.proxy.service]
    date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    offset = date - datetime.datetime.now(datetime.timezone.utc)
    assert abs(offset - datetime.timedelta(hours=hours)) < datetime.timedelta(minutes=1)


def test_a_request_of_the_servers_time_is_served(any_service):
    """As of a client that has learned the difference; the proxy signs it again for the real server."""
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
    outcomes = fired(own_queue, 40)
    assert own_queue.proxy.count("SendMessage") == 40
    assert own_queue.proxy.faults() == {"throttle": sum(outcomes)}
    assert own_queue.made.queue_depth()[0] == 40 - sum(outcomes)
    assert json.dumps([record.__dict__ for record in own_queue.proxy.records])
