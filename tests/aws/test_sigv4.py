# SPDX-License-Identifier: Apache-2.0
"""Signatures against botocore's, an independent signer, on random requests. DIC_SIGV4_CASES (10,000)
says how many, DIC_SIGV4_SEED which."""
import datetime
import json
import os
import pathlib
import random
import subprocess
import types
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("DIC_BIN_DIR", ROOT / "build/asan/bin")).parent / "tests/sign_requests"
CASES = int(os.environ.get("DIC_SIGV4_CASES", "10000"))
SEED = int(os.environ.get("DIC_SIGV4_SEED", "4"))
SERVICES = ["s3", "sqs", "dynamodb"]  # as in enum dic_aws_service
PIECES = ["a", "b", "Z", "0", "~", "-", ".", "_", " ", "+", "%", "%20", "%2F", "/", "//", "..", ".", "*", "'", "(",
          ")", "!", "&", "=", "?", "#", ";", ":", "@", "\\", '"', "<", ">", "\t", "\n", "\r", "\x7f", "\x01", "é",
          "e\u0301", "ሴ", "😀", "\u202e", "\u200d", "\ufeff", "$", ",", "[", "]", "{", "}", "|", "^", "`"]


def text(rng, most):
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(most)))


def quote(value, safe=""):
    return urllib.parse.quote(value, safe=safe + "-_.~")


def header_value(rng):
    return "".join(rng.choice(["a", "B", "7", " ", "  ", "\t", "/", ";", "=", ",", '"', "%", "~"])
                   for _ in range(rng.randrange(20)))


def random_request(rng):
    service = rng.randrange(len(SERVICES))
    presigned = rng.random() < 0.3
    names = rng.sample(["content-type", "x-amz-target", "Range", "If-Match", "x-amz-meta-a",
                        "X-Amz-Checksum-SHA256", "x-amz-acl", "Cache-Control"], rng.randrange(5))
    host = rng.choice(["", "", "bucket.s3.eu-west-1.amazonaws.com", "my.bucket.example:9000"])
    endpoint = rng.choice(["https://service.eu-west-1.amazonaws.com", "http://127.0.0.1:4566", "https://[::1]:8443"])
    unsigned = int(service == 0 and rng.random() < 0.3)
    return {
        "service": service,
        "endpoint": endpoint,
        "host": host,
        "method": rng.choice(["GET", "PUT", "POST", "HEAD", "DELETE"]),
        "path": "/" + quote(text(rng, 12), "/"),
        "query": "&".join(f"{quote(text(rng, 4) + str(i))}={quote(text(rng, 6))}" if rng.random() < 0.9
                          else quote(text(rng, 3) + str(i)) for i in rng.sample(range(20), rng.randrange(6))),
        "headers": [{"name": name, "value": header_value(rng)} for name in names],
        "body": "" if presigned else text(rng, 40),
        "unsigned": unsigned,
        "key_id": "AKID" + str(rng.randrange(10**12)),
        "secret": "".join(rng.choice("ABCxyz019+/=") for _ in range(rng.randrange(1, 100))),
        "token": "" if rng.random() < 0.5 else "".join(rng.choice("ABCxyz019+/=") for _ in range(rng.randrange(1, 900))),
        "region": rng.choice(["us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1"]),
        "time_ms": rng.randrange(0, 4102444800000),
        "expires_s": rng.randrange(1, 604801) if presigned else 0,
    }


def sign_with_botocore(request, monkeypatch):
    now = datetime.datetime.fromtimestamp(request["time_ms"] // 1000, datetime.timezone.utc)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_args, **_kw: now.replace(tzinfo=None))
    scheme, _, authority = request["endpoint"].partition("://")
    host = request["host"] or authority
    url = f"{scheme}://{host}{request['path']}" + ("?" + request["query"] if request["query"] else "")
    headers = {h["name"]: h["value"] for h in request["headers"]}
    aws_request = botocore.awsrequest.AWSRequest(
        method=request["method"], url=url, headers={**headers, "Host": host}, data=request["body"].encode())
    if request["unsigned"] and scheme == "https":
        aws_request.context["client_config"] = types.SimpleNamespace(s3={"payload_signing_enabled": False})
    credentials = botocore.credentials.Credentials(request["key_id"], request["secret"], request["token"] or None)
    is_s3 = SERVICES[request["service"]] == "s3"
    scope = (SERVICES[request["service"]], request["region"])
    if request["expires_s"]:
        signer = botocore.auth.S3SigV4QueryAuth if is_s3 else botocore.auth.SigV4QueryAuth
        signer(credentials, *scope, expires=request["expires_s"]).add_auth(aws_request)
    else:
        signer = botocore.auth.S3SigV4Auth if is_s3 else botocore.auth.SigV4Auth
        signer(credentials, *scope).add_auth(aws_request)
    return aws_request


def parameters(url):
    return sorted(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True))


def check(request, ours, monkeypatch):
    theirs = sign_with_botocore(request, monkeypatch)
    if request["expires_s"]:
        assert parameters(ours["url"]) == parameters(theirs.url)
        assert ours["url"].partition("?")[0] == theirs.url.partition("?")[0]
        return
    headers = ours["headers"]
    assert headers["authorization"] == theirs.headers["Authorization"]
    assert ours["url"] == theirs.url
    assert headers["host"] == theirs.headers["Host"]
    assert headers["x-amz-date"] == theirs.headers["X-Amz-Date"]
    assert headers.get("x-amz-security-token") == theirs.headers.get("X-Amz-Security-Token")
    if request["service"] == 0:
        assert headers["x-amz-content-sha256"] == theirs.headers["X-Amz-Content-SHA256"]


def signed(requests):
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run([PROGRAM], input=lines.encode(), stdout=subprocess.PIPE, check=True, timeout=300)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("part", range(10))
def test_random_requests_are_signed_as_botocore_signs_them(part, monkeypatch):
    rng = random.Random(SEED * 1000 + part)
    requests = [random_request(rng) for _ in range(CASES // 10)]
    answers = signed(requests)
    assert len(answers) == len(requests) > 0
    for request, ours in zip(requests, answers):
        assert "error" not in ours, (request, ours)
        try:
            check(request, ours, monkeypatch)
        except AssertionError as failure:
            raise AssertionError(json.dumps(request)) from failure


def test_a_request_that_is_not_encoded_is_refused_and_not_signed(monkeypatch):
    rng = random.Random(SEED)
    base = {**random_request(rng), "path": "/a", "query": "", "host": ""}
    bad = [{**base, "path": "a"}, {**base, "path": "/a b"}, {**base, "path": "/a?b"}, {**base, "path": "/ሴ"},
           {**base, "query": "a=b#c"}, {**base, "query": "a=\r\n"}, {**base, "host": "u@h"}, {**base, "host": "h/x"}]
    assert all("error" in answer for answer in signed(bad))
