# SPDX-License-Identifier: Apache-2.0
"""POST /uploads and the PUTs it allows: from a file on the client's disk to a label, and every way to
use a URL for something else. The tests about PUT are about local mode's own route."""
import concurrent.futures
import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import re
import time
import urllib.parse

import pytest
import requests

from test_submit import error_of

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "local/samples"
MIB = 1024 * 1024
JPEG = (SAMPLES / "image.jpg").read_bytes()


def ask(client, *files, **members):
    return client.post("/uploads", json={"uploads": list(files), **members})


def file(name="a.jpg", content_type="image/jpeg", size_bytes=len(JPEG)):
    return {"name": name, "content_type": content_type, "size_bytes": size_bytes}


def upload(client, **members):
    answer = ask(client, file(**members))
    assert answer.status_code == 200, answer.text
    (granted,) = answer.json()["uploads"]
    return granted


def put(granted, body=JPEG, url=None, headers=None):
    return requests.put(url or granted["url"], data=body, timeout=60,
                        headers=granted["headers"] if headers is None else headers)


def local_only(granted):
    if "ticket=" not in granted["url"]:
        pytest.skip("the URLs lead to S3")


def test_an_image_is_uploaded_and_classified(client):
    granted = upload(client, name="eine Tasse + 50%.jpg")
    assert granted["method"] == "PUT"
    assert re.fullmatch(r"uploads/default/[a-z2-7]{26}/eine Tasse \+ 50%\.jpg", granted["s3_key"])
    assert granted["headers"] == {"Content-Type": "image/jpeg", "Content-Length": str(len(JPEG)), "If-None-Match": "*"}
    assert put(granted).status_code == 200
    job = client.job(s3_keys=[granted["s3_key"]])
    assert client.wait(job)["status"] == "succeeded"
    assert client.rows(job)[0]["s3_key"] == granted["s3_key"]


def test_what_is_stored_is_what_was_sent_and_survives_a_kill(own_service):
    from conftest import Client
    service = own_service(WORKER_ENABLED="0")
    granted, later = upload(Client(service.url)), upload(Client(service.url), size_bytes=10, content_type="image/png")
    assert put(granted).json() == {"s3_key": granted["s3_key"], "size_bytes": len(JPEG)}
    port = urllib.parse.urlsplit(service.url).port
    service.kill()
    assert (service.bucket / granted["s3_key"]).read_bytes() == JPEG
    service.start(PORT=str(port))  # the key that signs is kept: URLs stay good
    assert put(later, b"0123456789").status_code == 200
    assert (service.bucket / later["s3_key"]).read_bytes() == b"0123456789"
    secret = service.folder / "data/upload.key"
    assert secret.stat().st_size == 32 and secret.stat().st_mode & 0o777 == 0o600
    assert "ticket" not in service.log()


@pytest.mark.parametrize("count,status", [(0, 422), (1, 200), (999, 200), (1000, 200), (1001, 422)])
def test_the_number_of_uploads_has_its_bounds(client, count, status):
    answer = ask(client, *[file(name=f"{i}.jpg") for i in range(count)])
    assert answer.status_code == status, answer.text
    if status != 200:
        error_of(answer, 422, "uploads")
        return
    granted = answer.json()["uploads"]
    assert [g["s3_key"].rsplit("/", 1)[1] for g in granted] == [f"{i}.jpg" for i in range(count)]
    assert len({g["s3_key"] for g in granted}) == count


@pytest.mark.parametrize("size,status", [
    (-1, 422), (0, 422), (1, 200), (25 * MIB - 1, 200), (25 * MIB, 200), (25 * MIB + 1, 422), (1.5, 422), ("1", 422), (None, 422)])
def test_the_size_has_its_bounds(client, size, status):
    answer = ask(client, file(size_bytes=size))
    assert answer.status_code == status, answer.text
    if status != 200:
        error_of(answer, 422, "uploads[0].size_bytes")


@pytest.mark.parametrize("name,status", [
    ("", 422), ("a", 200), ("n" * 254, 200), ("n" * 255, 200), ("n" * 256, 422), ("é" * 127, 200), ("é" * 128, 422),
    (".", 422), ("..", 422), ("../../etc/passwd", 422), (".hidden", 422), ("a/b.jpg", 422), ("/abs.jpg", 422),
    ("a\\..\\b.jpg", 200), ("a\0b.jpg", 422), ("a\nb.jpg", 422), ("a\x7fb.jpg", 422), ("%2e%2e%2f", 200), ("a..b", 200),
    ("~?#&=;:@ +%.jpg", 200), ("\U0001f600.jpg", 200), (5, 422), (None, 422), ([], 422)])
def test_a_name_is_one_part_of_a_key(client, name, status):
    answer = ask(client, file(name=name))
    assert answer.status_code == status, answer.text
    if status != 200:
        error_of(answer, 422, "uploads[0].name")
    else:
        (granted,) = answer.json()["uploads"]
        assert granted["s3_key"].endswith("/" + name)
        assert put(granted).status_code == 200, "and it can be stored"


@pytest.mark.parametrize("kind,status", [
    ("image/jpeg", 200), ("image/png", 200), ("image/webp", 200), ("image/gif", 200), ("image/bmp", 200),
    ("image/svg+xml", 422), ("text/html", 422), ("IMAGE/JPEG", 422), ("image/jpeg; x=1", 422), ("", 422), (1, 422)])
def test_a_content_type_is_one_that_is_classified(client, kind, status):
    answer = ask(client, file(content_type=kind))
    assert answer.status_code == status, answer.text
    if status != 200:
        error_of(answer, 422, "uploads[0].content_type")


@pytest.mark.parametrize("body,field", [
    ({}, "uploads"), ({"uploads": {}}, "uploads"), ({"uploads": None}, "uploads"), ({"uploads": [], "more": 1}, "uploads"),
    ({"uploads": [1]}, "uploads[0]"), ({"uploads": [[]]}, "uploads[0]"), ({"uploads": [{}]}, "uploads[0].name"),
    ({"uploads": [{"name": "a"}]}, "uploads[0].content_type"),
    ({"uploads": [{"name": "a", "content_type": "image/png"}]}, "uploads[0].size_bytes"),
    ({"uploads": [file(), {**file(), "acl": "public-read"}]}, "uploads")])
def test_a_body_of_another_shape_names_what_is_wrong(client, body, field):
    error_of(client.post("/uploads", json=body), 422, field)


def test_a_body_that_is_no_json_is_malformed(client):
    for body in (b"", b"{", b"[1]\n2", b'{"uploads":[],"uploads":[]}'):
        error_of(client.post("/uploads", data=body, headers={"Content-Type": "application/json"}), 400)
    error_of(client.post("/uploads?expires=9", json={"uploads": [file()]}), 400, "query")


def test_a_body_of_another_length_is_refused(client):
    granted = upload(client, size_bytes=10)
    local_only(granted)
    kind = {"Content-Type": "image/jpeg"}
    for body in (b"", b"123456789", b"12345678901"):
        error_of(put(granted, body, headers=kind), 422, "Content-Length")
    error_of(put(granted, iter([b"12345", b"67890"]), headers=kind), 411, "Content-Length")
    assert put(granted, b"1234567890", headers=kind).status_code == 200


def test_a_length_over_the_limit_is_refused_before_the_body_comes(client):
    granted = upload(client)
    local_only(granted)
    url = urllib.parse.urlsplit(granted["url"])
    for length, status in ((25 * MIB, 422), (25 * MIB + 1, 413), (2**63, 413), (2**64, 413)):
        connection = http.client.HTTPConnection(url.netloc, timeout=20)
        connection.putrequest("PUT", f"{url.path}?{url.query}")
        connection.putheader("Content-Type", "image/jpeg")
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        assert connection.getresponse().status == status, length
        connection.close()


def test_the_largest_upload_is_stored(client):
    for size in (25 * MIB - 1, 25 * MIB):
        granted = upload(client, size_bytes=size)
        body = os.urandom(MIB) * 25
        assert put(granted, body[:size]).status_code == 200


def test_a_body_of_another_type_is_refused(client):
    granted = upload(client)
    local_only(granted)
    for kind in ("image/png", "image/jpeg;charset=utf-8", "application/json", ""):
        error_of(put(granted, headers={"Content-Type": kind}), 415, "Content-Type")
    error_of(put(granted, headers={**granted["headers"], "Content-Encoding": "gzip"}), 415, "Content-Encoding")
    assert put(granted).status_code == 200


def test_a_url_is_good_for_one_object(client):
    granted = upload(client, size_bytes=5)
    assert put(granted, b"first").status_code == 200
    assert put(granted, b"other").status_code == 412


def test_of_many_puts_at_one_time_one_is_stored(client):
    granted = upload(client, size_bytes=8)
    bodies = [b"%08d" % i for i in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(lambda body: put(granted, body).status_code, bodies))
    assert codes.count(200) == 1 and set(codes) <= {200, 409, 412}, codes  # 409 is S3's word for a race


def test_a_changed_url_stores_nothing(client):
    granted, other = upload(client), upload(client)
    local_only(granted)
    url, ticket = granted["url"].split("?ticket=")
    other_url, other_ticket = other["url"].split("?ticket=")
    flipped = [ticket[:i] + format(int(ticket[i], 16) ^ 1, "x") + ticket[i + 1:] for i in range(0, len(ticket), 7)]
    cut = [ticket[:i] for i in range(0, len(ticket), 9)]
    wrong = [f"{url}?ticket={t}" for t in flipped + cut + [ticket + "00", ticket.upper(), ticket + "0", "zz" * 60, other_ticket]]
    for changed in wrong + [f"{other_url}?ticket={ticket}", url, url + "?ticket="]:
        error_of(put(granted, url=changed), 403)
    error_of(put(granted, url=f"{url}?ticket={ticket}&x=1"), 400)
    error_of(put(granted, url=f"{url}?ticket={ticket}&ticket={ticket}"), 400)
    error_of(put(granted, url=f"{url}/..?ticket={ticket}"), 404)
    assert put(granted).status_code == 200 and put(other).status_code == 200


def signed_url(service, key, expires_s, size=len(JPEG)):
    """What the server would sign, made here with its secret: the form of tickets is pinned by it."""
    said = f"{size}\n{int((time.time() + expires_s) * 1000)}\nimage/jpeg\n{key}".encode()
    secret = (service.folder / "data/upload.key").read_bytes()
    mac = hmac.new(secret, b"dic-upload-1\n" + said, hashlib.sha256).hexdigest()
    return f"{service.url}/uploads/{key.split('/')[2]}?ticket={mac}{said.hex()}"


def test_a_url_ends_with_its_time(service, client):
    headers = {"Content-Type": "image/jpeg"}
    for expires_s, status in ((-1, 403), (-10**6, 403), (60, 200)):
        url = signed_url(service, f"uploads/default/{'a' * 26}/{expires_s}", expires_s)
        assert requests.put(url, data=JPEG, headers=headers, timeout=20).status_code == status, expires_s
    error = error_of(requests.put(signed_url(service, f"uploads/default/{'a' * 26}/x", -1), data=JPEG, headers=headers), 403)
    assert "was good until 20" in error["message"]


def test_an_hour_is_what_a_url_gets(client):
    before = datetime.datetime.now(datetime.timezone.utc)
    expires = datetime.datetime.fromisoformat(upload(client)["expires_at"].replace("Z", "+00:00"))
    after = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    assert before + hour - datetime.timedelta(milliseconds=1) <= expires <= after + hour


def test_a_host_header_that_is_no_host_gives_a_path(client):
    for host, start in (("example.org:99", "http://example.org:99/uploads/"), ('x"><script>', "/uploads/"), ("a@b", "/uploads/")):
        answer = client.post("/uploads", json={"uploads": [file()]}, headers={"Host": host})
        (granted,) = answer.json()["uploads"]
        local_only(granted)
        assert granted["url"].startswith(start)


def test_other_methods_are_refused(client):
    granted = upload(client)
    local_only(granted)
    for method in ("GET", "POST", "DELETE"):
        answer = requests.request(method, granted["url"], timeout=20)
        error_of(answer, 405)
        assert "PUT" in answer.headers["Allow"]
