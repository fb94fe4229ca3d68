# SPDX-License-Identifier: Apache-2.0
"""Faults for the fault proxy: each function makes one, a coroutine function of an Exchange. Their
names are what the records say."""
import datetime
import functools
import json
import random
import zlib

import aws_errors
from http_messages import Response

TOLERATED_SKEW = {"s3": datetime.timedelta(minutes=15)}
OTHER_SKEW = datetime.timedelta(minutes=5)
REMEMBERED_MESSAGES = 1000
ENDLESS_BYTES = 256 << 20  # a client that has taken so much has no ceiling


def fault(make):
    """Names what make() returns after make, with its arguments."""
    @functools.wraps(make)
    def named(*arguments, **options):
        made = make(*arguments, **options)
        shown = [*map(repr, arguments), *(f"{k}={v!r}" for k, v in options.items())]
        made.__name__ = make.__name__ + (f"({', '.join(shown)})" if shown else "")
        return made
    return named


# The network.


@fault
def delay(seconds):
    async def apply(exchange):
        await exchange.sleep(seconds)
        await exchange.relay()
    return apply


@fault
def slow_reply(seconds, size=16):
    """So many bytes at a time, with pauses: alive, but of no use."""
    async def apply(exchange):
        raw = (await exchange.forward()).encode(exchange.request.method)
        for start in range(0, len(raw), size):
            await exchange.send(raw[start:start + size], 200)
            await exchange.sleep(seconds)
    return apply


@fault
def black_hole(forward=False):
    """No reply ever; with forward the server did what was asked."""
    async def apply(exchange):
        if forward:
            await exchange.forward()
        await exchange.wait_for_client_to_leave()
    return apply


@fault
def reset():
    """Before the server saw the request."""
    async def apply(exchange):
        exchange.reset()
    return apply


@fault
def lose_reply():
    """The server did what was asked; the client sees its connection reset."""
    async def apply(exchange):
        await exchange.forward()
        exchange.reset()
    return apply


@fault
def close_silently():
    """As a server that ends an idle connection just when the request comes."""
    async def apply(exchange):
        exchange.close()
    return apply


@fault
def close_after_reply():
    """A good reply, after which the connection is dead without a word of it."""
    async def apply(exchange):
        await exchange.relay()
        exchange.close()
    return apply


@fault
def cut_body(after=0, abrupt=True):
    """The head, so many bytes of the body, then the end."""
    async def apply(exchange):
        response = await exchange.forward()
        whole = response.encode()
        head = len(whole) - len(response.body)
        await exchange.send(whole[:head + after], response.status)
        if abrupt:
            exchange.reset()
        else:
            exchange.close()
    return apply


@fault
def forward_twice():
    """As a middlebox that repeats: the server does it twice, the client sees the second reply."""
    async def apply(exchange):
        await exchange.forward()
        await exchange.relay()
    return apply


# HTTP that is wrong.


@fault
def wrong_length(by):
    """Content-Length is off: too long, and the client waits; too short, and the rest is taken for
    the next reply."""
    async def apply(exchange):
        response = await exchange.forward()
        length = max(0, len(response.body) + by)
        await exchange.send(response.head([("Content-Length", length)]) + response.body,
                            response.status)
    return apply


@fault
def endless_body():
    """Chunk after chunk, until the client has enough."""
    async def apply(exchange):
        response = await exchange.forward()
        await exchange.send(response.head([("Transfer-Encoding", "chunked")]), response.status)
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(ENDLESS_BYTES // 0x10000):
            await exchange.send(chunk)
        exchange.close()
    return apply


@fault
def huge_body(claimed=1 << 40):
    """Says that a terabyte follows, and begins to send it."""
    async def apply(exchange):
        response = await exchange.forward()
        await exchange.send(response.head([("Content-Length", claimed)]), response.status)
        for _ in range(ENDLESS_BYTES // 0x10000):
            await exchange.send(b" " * 0x10000)
        exchange.close()
    return apply


@fault
def huge_head():
    """A header line that does not end."""
    async def apply(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nx-filler: ", 200)
        for _ in range(ENDLESS_BYTES // 0x10000):
            await exchange.send(b"x" * 0x10000)
        exchange.close()
    return apply


@fault
def not_http(raw=b"SSH-2.0-OpenSSH_9.2\r\n"):
    async def apply(exchange):
        await exchange.send(raw)
        exchange.close()
    return apply


# Replies that are errors; the shapes are in aws_errors.py.


def _answer(make):
    async def apply(exchange):
        await exchange.reply(make(exchange))
    return apply


@fault
def internal_error():
    return _answer(lambda exchange: aws_errors.internal_error(exchange.service))


@fault
def unavailable():
    """503; SlowDown for S3."""
    return _answer(lambda exchange: aws_errors.unavailable(exchange.service))


@fault
def throttle(code=None):
    """The usual code of the service, or another of aws_errors.THROTTLES."""
    return _answer(lambda exchange: aws_errors.throttled(exchange.service, code))


@fault
def expired_token():
    return _answer(lambda exchange: aws_errors.expired_token(exchange.service))


@fault
def access_denied():
    return _answer(lambda exchange: aws_errors.access_denied(exchange.service))


@fault
def html_page(status=503):
    return _answer(lambda exchange: aws_errors.html_page(status))


@fault
def redirect(region="eu-central-1", status=301):
    return _answer(lambda exchange: aws_errors.other_region(
        exchange.request, region, status, exchange.proxy.url))


@fault
def conditional_conflict():
    """S3: two conditional writes at once; neither is done."""
    return _answer(lambda exchange: aws_errors.xml_error(
        "ConditionalRequestConflict", 409,
        "The conditional request cannot succeed due to a conflicting operation against this "
        "resource."))


@fault
def s3_error(code, status, message="A test's error."):
    return _answer(lambda exchange: aws_errors.xml_error(code, status, message))


@fault
def json_error(kind, status=400, message="A test's error.", **members):
    """kind with its name space: com.amazonaws.sqs#QueueDoesNotExist."""
    return _answer(lambda exchange: aws_errors.json_error(exchange.service, kind, status, message,
                                                          **members))


@fault
def transaction_conflict():
    def make(exchange):
        actions = json.loads(exchange.request.body)["TransactItems"]
        return aws_errors.transaction_conflict(len(actions))
    return _answer(make)


@fault
def error_in_200():
    """S3 has begun its reply to CompleteMultipartUpload or CopyObject when it fails."""
    def make(exchange):
        response = aws_errors.internal_error("s3")
        response.status, response.reason = 200, "OK"
        return response
    return _answer(make)


@fault
def empty_200():
    return _answer(lambda exchange: Response([("Date", aws_errors.http_date())], b"", 200, "OK"))


@fault
def skewed_clock(seconds):
    """The server's clock is so much ahead (or, negative, behind): requests signed by another time
    are refused with its Date; those signed by its time are served."""
    async def apply(exchange):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        request = exchange.request
        signed_at = request.header("x-amz-date") or request.query.get("X-Amz-Date", "")
        when = datetime.datetime.strptime(signed_at + "+0000", "%Y%m%dT%H%M%SZ%z")
        if abs(when - now) > TOLERATED_SKEW.get(exchange.service, OTHER_SKEW):
            await exchange.reply(aws_errors.wrong_time(exchange.service, signed_at, now))
            return
        response = await exchange.forward(resign=True)
        response.set_header("Date", aws_errors.http_date(now))
        await exchange.reply(response)
    return apply


# Replies that are changed on the way.


def _change(change):
    async def apply(exchange):
        response = await exchange.forward()
        change(response)
        await exchange.reply(response)
    return apply


@fault
def truncated(keep=0.5):
    """Half of the body, and a length that agrees: well-formed HTTP, broken JSON or XML."""
    def change(response):
        response.body = response.body[:int(len(response.body) * keep)]
        response.drop_header("x-amz-crc32")
    return _change(change)


@fault
def malformed():
    """Neither JSON nor XML."""
    return replaced(b'{"unclosed": ["<a><b></a>')


@fault
def invalid_utf8():
    """JSON and XML but for one byte."""
    def change(response):
        at = response.body.rfind(b'"') if response.body[:1] == b"{" else response.body.rfind(b"</")
        response.body = response.body[:at] + b"\xff" + response.body[at:]
        response.drop_header("x-amz-crc32")
    return _change(change)


@fault
def replaced(body, content_type=None):
    """Any other body, under the headers of a good reply."""
    def change(response):
        response.body = body
        response.drop_header("x-amz-crc32")
        if content_type:
            response.set_header("Content-Type", content_type)
    return _change(change)


@fault
def wrong_crc32():
    def change(response):
        response.set_header("x-amz-crc32", zlib.crc32(response.body) ^ 1)
    return _change(change)


@fault
def flipped_bit(at=0):
    """Damage that no checksum of TCP found."""
    def change(response):
        if response.body:
            at_byte = at % len(response.body)
            response.body = (response.body[:at_byte] + bytes([response.body[at_byte] ^ 1]) +
                             response.body[at_byte + 1:])
    return _change(change)


def _set_json(response, value):
    response.body = json.dumps(value).encode()
    if response.header("x-amz-crc32") is not None:
        response.set_header("x-amz-crc32", zlib.crc32(response.body))


# Batches of which a part fails.


@fault
def fail_entries(number=1, code="InternalError", performed=False):
    """The first entries of an SQS batch are reported as failed. They were not done, or, performed,
    they were: a failure of the reply alone."""
    async def apply(exchange):
        asked = json.loads(exchange.request.body)
        failed = asked["Entries"][:number]
        if not performed:
            asked["Entries"] = asked["Entries"][number:]
            exchange.request.body = json.dumps(asked).encode()
        if asked["Entries"]:
            response = await exchange.forward(resign=not performed)
        else:
            response = Response([("Content-Type", aws_errors.JSON_TYPE),
                                 ("Date", aws_errors.http_date())], b"{}", 200, "OK")
        answer = json.loads(response.body)
        names = {entry["Id"] for entry in failed}
        answer["Successful"] = [entry for entry in answer.get("Successful") or []
                                if entry["Id"] not in names]
        answer["Failed"] = (answer.get("Failed") or []) + [
            {"Id": entry["Id"], "SenderFault": False, "Code": code, "Message": "A test's failure."}
            for entry in failed]
        _set_json(response, answer)
        await exchange.reply(response)
    return apply


@fault
def leave_unprocessed(number=1):
    """So many of a DynamoDB batch are not done but handed back, as when a table is throttled; one
    is always done, or the service would refuse the whole."""
    async def apply(exchange):
        asked = json.loads(exchange.request.body)
        name, (table, work) = exchange.record.operation, next(iter(asked["RequestItems"].items()))
        listed = work if name == "BatchWriteItem" else work["Keys"]
        cut = max(1, len(listed) - number)
        left = listed[cut:]
        del listed[cut:]
        exchange.request.body = json.dumps(asked).encode()
        response = await exchange.forward(resign=True)
        answer = json.loads(response.body)
        if left and name == "BatchWriteItem":
            answer.setdefault("UnprocessedItems", {}).setdefault(table, []).extend(left)
        elif left:
            rest = answer.setdefault("UnprocessedKeys", {}).setdefault(table, {**work, "Keys": []})
            rest["Keys"].extend(left)
        _set_json(response, answer)
        await exchange.reply(response)
    return apply


# Messages that come twice, late and in another order; for ReceiveMessage.


@fault
def duplicate_messages(probability=0.3, seed=0):
    """Now and then the reply is of messages delivered before, as they were then."""
    chance = random.Random(seed)
    seen = []

    async def apply(exchange):
        most = json.loads(exchange.request.body).get("MaxNumberOfMessages", 1)
        again = bool(seen) and chance.random() < probability
        if again:
            messages = chance.sample(seen, min(most, len(seen)))
            await exchange.reply(_messages(messages))
            exchange.proxy.note_duplicates(len(messages))
            return
        response = await exchange.forward()
        if response.status == 200:
            seen.extend(json.loads(response.body).get("Messages") or [])
            del seen[:-REMEMBERED_MESSAGES]
        await exchange.reply(response)
    return apply


@fault
def late_messages(receives=2, seed=0):
    """Messages are held back for so many receives, and then come in any order."""
    chance = random.Random(seed)
    held = []  # (due, message)
    count = 0

    async def apply(exchange):
        nonlocal count
        count += 1
        most = json.loads(exchange.request.body).get("MaxNumberOfMessages", 1)
        response = await exchange.forward()
        if response.status != 200:
            await exchange.reply(response)
            return
        held.extend((count + receives, message)
                    for message in json.loads(response.body).get("Messages") or [])
        due = [entry for entry in held if entry[0] <= count]
        chance.shuffle(due)
        for entry in due[:most]:
            held.remove(entry)
        await exchange.reply(_messages([message for _, message in due[:most]]))
    return apply


def _messages(messages):
    body = json.dumps({"Messages": messages} if messages else {}).encode()
    return Response([("Content-Type", aws_errors.JSON_TYPE), ("Date", aws_errors.http_date())],
                    body, 200, "OK")
