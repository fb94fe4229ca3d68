# SPDX-License-Identifier: Apache-2.0
"""The fault proxy passes requests on unharmed (the server behind it checks signatures), its rules
fire when they should, and what it does to connections is what botocore, which is nobody's of ours,
takes it for."""
import socket
import subprocess
import threading
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ConnectionClosedError, EndpointConnectionError, HTTPClientError, IncompleteReadError,
    ReadTimeoutError, ResponseStreamingError)

import faults
from emulators import Credentials
from fault_proxy import FaultProxy, operation_of
from http_messages import MAX_HEAD, Request
from server_process import free_port
from signing import signed
from through import (  # noqa: F401, pylint: disable=unused-import
    SIZE, Through, any_service, dynamodb, made, s3, sqs)

QUICK = 0.5  # a client's patience, in seconds, where a fault needs it to give up


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
    where = {"Bucket": s3.made.result_bucket, "Key": "large"}
    assert s3.client().get_object(**where)["Body"].read() == content
    assert s3.client().head_object(**where)["ContentLength"] == len(content)


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


PATH_STYLE = "127.0.0.1:1"
OPERATIONS = [
    ("GET", "/b?list-type=2&prefix=x", "ListObjectsV2"),
    ("GET", "/b/?list-type=2", "ListObjectsV2"),
    ("GET", "/b/k", "GetObject"), ("GET", "/b//", "GetObject"), ("HEAD", "/b/k", "HeadObject"),
    ("HEAD", "/b", "HeadBucket"), ("PUT", "/b", "CreateBucket"),
    ("PUT", "/b/a%2Fb?x-id=PutObject", "PutObject"), ("DELETE", "/b/k", "DeleteObject"),
    ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
    ("POST", "/b/k?uploads", "CreateMultipartUpload"),
    ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload"),
    ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"), ("POST", "/b?delete", "DeleteObjects"),
    ("PATCH", "/b/k", "?"),
]


@pytest.mark.parametrize("method, target, operation", OPERATIONS)
def test_operations_of_s3_are_told_apart(method, target, operation):
    assert operation_of(Request([("Host", PATH_STYLE)], b"", method, target), "s3") == operation


@pytest.mark.parametrize("method, target, operation", [
    ("GET", "/k", "GetObject"), ("GET", "/?list-type=2", "ListObjectsV2"),
    ("PUT", "/", "CreateBucket")])
@pytest.mark.parametrize("host", ["b.localhost:1", "b.s3.us-east-1.amazonaws.com"])
def test_the_bucket_may_be_in_the_host(method, target, operation, host):
    assert operation_of(Request([("Host", host)], b"", method, target), "s3") == operation


def test_a_copy_is_no_put():
    headers = [("Host", PATH_STYLE), ("x-amz-copy-source", "/b/other")]
    assert operation_of(Request(headers, b"", "PUT", "/b/k"), "s3") == "CopyObject"


# When a rule fires.


def test_a_rule_hits_the_nth_request_of_its_operation(dynamodb):
    rule = dynamodb.proxy.add(faults.throttle(), operation="PutItem", nth=3)
    dynamodb.client().get_item(TableName=dynamodb.made.table, Key={"pk": {"S": "x"}})
    assert dynamodb.outcomes(5) == [0, 0, 1, 0, 0]
    assert (rule.matched, rule.fired) == (5, 1)
    assert dynamodb.proxy.faults() == {"throttle": 1}


def test_a_rule_hits_several_numbers(dynamodb):
    dynamodb.proxy.add(faults.throttle(), operation={"PutItem", "GetItem"}, nth=(1, 4))
    assert dynamodb.outcomes(5) == [1, 0, 0, 1, 0]


def test_a_rule_hits_at_most_so_often(dynamodb):
    dynamodb.proxy.add(faults.throttle(), times=2)
    assert dynamodb.outcomes(4) == [1, 1, 0, 0]


def test_a_rule_that_is_removed_hits_no_more(dynamodb):
    rule = dynamodb.proxy.add(faults.throttle())
    other = dynamodb.proxy.add(faults.throttle(), nth=4)
    assert dynamodb.outcomes(2) == [1, 1]
    dynamodb.proxy.remove(rule)
    assert dynamodb.outcomes(3) == [0, 1, 0]
    assert (rule.fired, other.fired) == (2, 1)


def test_chance_is_the_same_for_the_same_seed(ministack, made):
    def run(seed):
        with FaultProxy(ministack, "dynamodb", seed=seed) as proxy:
            proxy.add(faults.throttle(), probability=0.5)
            return Through(proxy, made).outcomes(30)

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
            ("InternalError", lambda: storage.put_object(Bucket=bucket, Key="k", Body=b"1 poison")),
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


def test_a_connection_can_end_after_a_reply(s3):
    """By hand, since a client may or may not notice before it sends its next request."""
    s3.proxy.add(faults.close_after_reply())
    with socket.create_connection(("127.0.0.1", s3.proxy.port), timeout=20) as plain:
        plain.sendall(b"GET /b/k HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        reply = b"".join(iter(lambda: plain.recv(1 << 16), b""))
    assert reply.startswith(b"HTTP/1.1 404 ") and b"connection: close" not in reply.lower()


@pytest.mark.parametrize("after", [0, 1, SIZE - 1])
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


def test_a_server_that_is_not_there_is_a_broken_connection(made):
    class Nowhere:
        url = f"http://127.0.0.1:{free_port()}"

    with FaultProxy(Nowhere, "dynamodb") as proxy:
        with pytest.raises(ConnectionClosedError):
            Through(proxy, made).call()
        assert isinstance(proxy.problems[0], ConnectionRefusedError)


def test_connections_can_be_broken_in_the_middle_of_a_call(sqs):
    timer = threading.Timer(0.2, sqs.proxy.disconnect)
    sqs.proxy.add(faults.black_hole())
    timer.start()
    with pytest.raises(ConnectionClosedError):
        sqs.call()
    timer.join()


def test_the_proxy_speaks_tls(ministack, made, tmp_path):
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", chain], check=True, capture_output=True, timeout=60)
    with FaultProxy(ministack, "dynamodb", certificate=(chain, key)) as proxy:
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
        assert length == SIZE - 5
        assert stream.read(length + 5) == b"x" * SIZE


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
