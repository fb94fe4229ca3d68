# SPDX-License-Identifier: Apache-2.0
"""The columns of the table of faults: what is done to a call, and how the table says it."""
import gzip
import json
from dataclasses import dataclass
from typing import Any

import aws_errors
import faults
from http_messages import Response

DAY = 86_400


# Faults that the proxy has not.


@faults.fault
def cut_reply():
    """Done, and half of the answer arrives: of its body, or of its head where that is all."""
    async def apply(exchange):
        response = await exchange.forward()
        whole = response.encode(exchange.request.method)
        body = 0 if exchange.request.method == "HEAD" else len(response.body)
        head = len(whole) - body
        await exchange.send(whole[:head + body // 2 if body else head // 2], response.status)
        exchange.reset()
    return apply


@faults.fault
def garbled_head():
    """Done, and the answer is none of HTTP."""
    async def apply(exchange):
        await exchange.forward()
        await exchange.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n\r\n")
        exchange.close()
    return apply


@faults.fault
def zipped():
    """Done, and the body is compressed, which nobody asked for."""
    async def apply(exchange):
        response = await exchange.forward()
        response.body = gzip.compress(response.body)
        response.set_header("Content-Encoding", "gzip")
        response.drop_header("x-amz-crc32")
        await exchange.reply(response)
    return apply


@faults.fault
def error_in_200():
    """Not done, and a status that says the contrary."""
    async def apply(exchange):
        response = aws_errors.internal_error(exchange.service)
        response.status, response.reason = 200, "OK"
        await exchange.reply(response)
    return apply


@faults.fault
def sent_away(url, status=307):
    """To another host, which would get what was signed for this one."""
    async def apply(exchange):
        await exchange.reply(Response([("Location", url + exchange.request.target)], b"", status,
                                      "Elsewhere"))
    return apply


@faults.fault
def all_unprocessed():
    """Of a BatchGetItem nothing is read."""
    async def apply(exchange):
        asked = json.loads(exchange.request.body)["RequestItems"]
        body = json.dumps({"Responses": {name: [] for name in asked}, "UnprocessedKeys": asked})
        await exchange.reply(Response([("Content-Type", aws_errors.JSON_TYPE)], body.encode(), 200, "OK"))
    return apply


def _malformed(_, call):
    return garbled_head() if call.garbled else faults.malformed()


# S3's throttle is its 503 SlowDown; its other word for it is the transient one.
THROTTLE = {"s3": "ServiceUnavailable", "sqs": "RequestThrottled",
            "dynamodb": "ProvisionedThroughputExceededException"}


@dataclass
class Fault:
    """make: of a bench and a call, the fault; says: of a service, AWS's code in the errors."""

    make: Any
    text: str
    says: Any = None
    impatient: bool = False
    lasts: bool = False  # it cannot pass: the second call is made by the same program
    is_of_credentials: bool = False
    of_body: bool = False
    not_for_big: bool = False
    services: tuple = ("s3", "sqs", "dynamodb")

    def concerns(self, call):
        spared = (self.of_body and call.bodiless) or (self.not_for_big and call.big)
        return call.service in self.services and not spared


def codes(s3, sqs, dynamodb):
    return {"s3": s3, "sqs": sqs, "dynamodb": dynamodb}


FAULTS = {
    "timeout": Fault(
        lambda *_: faults.black_hole(forward=True), impatient=True,
        text="it is done, and no answer comes; the connection stays open"),
    "reset": Fault(
        lambda *_: cut_reply(),
        text="it is done, and the connection is reset in the middle of the answer's body (of its head, "
             "where it has no body)"),
    "500": Fault(
        lambda *_: faults.internal_error(), text="not done; InternalError, InternalFailure, "
        "InternalServerError", says=codes("InternalError", "InternalFailure", "InternalServerError")),
    "503": Fault(
        lambda *_: faults.unavailable(), text="not done; S3's SlowDown, the others' "
        "ServiceUnavailableException", says=codes("SlowDown", *2 * ["ServiceUnavailableException"])),
    "throttle": Fault(
        lambda _, call: faults.throttle(THROTTLE[call.service]),
        text="not done; S3's 503 ServiceUnavailable, SQS's RequestThrottled, DynamoDB's "
             "ProvisionedThroughputExceededException", says=THROTTLE),
    "expired token": Fault(
        lambda *_: faults.expired_token(), is_of_credentials=True,
        text="not done; a container's credentials, for which its endpoint has newer ones / keys of the "
             "environment, for which nobody has",
        says=codes("ExpiredToken", *2 * ["ExpiredTokenException"])),
    "skewed clock": Fault(
        lambda *_: faults.skewed_clock(DAY), lasts=True,
        text="the service's clock is a day ahead, it refuses what is signed by ours / the next call"),
    "malformed": Fault(
        _malformed,
        text="it is done, and the answer is neither JSON nor XML (where it has no such body: no HTTP)"),
}

OTHERS = {
    "empty 200": Fault(lambda *_: faults.empty_200(), text="not done; 200 without a body or a header"),
    "error in 200": Fault(lambda *_: error_in_200(), text="not done; the 500's body under a 200"),
    "HTML 200": Fault(lambda *_: faults.html_page(200), not_for_big=True, text="not done; a portal's page"),
    "HTML 503": Fault(lambda *_: faults.html_page(503), not_for_big=True,
                      text="not done; a load balancer's page"),
    "gzip": Fault(lambda *_: zipped(), of_body=True, not_for_big=True,
                  text="done; the body comes compressed, which nobody asked for"),
    "too long": Fault(lambda *_: faults.wrong_length(10), impatient=True, of_body=True, not_for_big=True,
                      text="done; Content-Length is 10 more than what comes"),
    "too short": Fault(lambda *_: faults.wrong_length(-10), of_body=True, not_for_big=True,
                       text="done; Content-Length is 10 less"),
    "endless": Fault(lambda *_: faults.endless_body(), of_body=True,
                     text="done; a chunked body that does not end"),
    "huge": Fault(lambda *_: faults.huge_body(), of_body=True, not_for_big=True,
                  text="done; a body of 1 TiB is announced and begun"),
    "other host": Fault(lambda bench, _: sent_away(bench.decoy.url), not_for_big=True,
                        text="not done; 307 to another host, which is never asked"),
    "denied": Fault(lambda *_: faults.access_denied(), text="not done; AccessDenied",
                    says=codes("AccessDenied", *2 * ["AccessDeniedException"])),
    "wrong crc32": Fault(lambda *_: faults.wrong_crc32(), services=("dynamodb",),
                         text="done; x-amz-crc32 is not that of the body"),
}
