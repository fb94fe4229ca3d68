# SPDX-License-Identifier: Apache-2.0
"""Request smuggling cases of a published collection (http-desync-guardian), when DIC_DESYNC_DIR has
it; test_http.py has cases of our own that always run. Behind each request lies a second one: of a
request whose framing two readers could understand differently it must never be answered."""
import os
import pathlib

import pytest
import yaml

from test_http import exchange, request, status_of

FOLDER = os.environ.get("DIC_DESYNC_DIR")
FRAMING = {"BadContentLength", "BadTransferEncoding", "MultipleContentLength", "MultipleTransferEncodingChunked",
           "BothTeClPresent", "DuplicateContentLength"}
SECOND = request(line=b"GET /version HTTP/1.1")


def cases():
    for path in sorted(pathlib.Path(FOLDER).glob("*.yaml")) if FOLDER else []:
        for number, case in enumerate(yaml.safe_load(path.read_text()) or []):
            yield pytest.param(case, id=f"{path.stem}-{number}")


def raw(case):
    headers = [(header["name"], header["value"]) for header in case.get("headers") or []]
    if not any(str(name).strip().lower() == "host" for name, _ in headers):
        headers.insert(0, ("Host", "x"))
    uri = case["uri"]
    if uri == "/foo/bar":  # to routes that exist, so that a refusal is one of the framing
        uri = "/submit" if case["method"] == "POST" else "/healthz"
    lines = [f"{case['method']} {uri} {case['version']}"]
    lines += [f"{name}: {'' if value is None else value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("case", cases())
def test_published_cases(client, strict_framing, case):
    expected = case["expected"]
    received = exchange(client, raw(case) + b"0\r\n\r\n" + SECOND, half_close=True)
    status = status_of(received)
    if expected["reason"] in FRAMING:
        assert status in (None, 400, 413), (case, received[:300])
        assert b'"version"' not in received, (case, received[:600])
    elif expected["tier"] == "Severe" and strict_framing:
        assert status in (None, 400, 405), (case, received[:300])
        assert b"HTTP/1.1 2" not in received, (case, received[:600])
    elif b"\0" in raw(case):  # libmicrohttpd 0.9.75 ends a value at it; the framing is not touched
        assert b'"version"' not in received, (case, received[:600])
    elif expected["tier"] == "Severe":
        assert status in (None, 400, 404, 405, 413, 505), (case, received[:300])
    else:
        assert status is None or 200 <= status < 500 or status in (501, 505), (case, received[:300])


def test_the_service_still_answers(client):
    assert client.get("/healthz").status_code == 200
