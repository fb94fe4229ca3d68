# SPDX-License-Identifier: Apache-2.0
"""Error replies in the shapes of the real services.

Sources. DynamoDB: Developer Guide, "Error handling with DynamoDB" (400 for throttles, __type with a
name space, x-amzn-RequestId, x-amz-crc32); botocore's dynamodb/2012-08-10 model for the members
(message, ThrottlingReasons, CancellationReasons). The name spaces com.amazon.coral.* are those of
what the front end refuses before DynamoDB itself sees it. SQS: API Reference, "Common Errors" and
"AWS JSON protocol" (x-amzn-query-error: code;fault), botocore's sqs/2012-11-05 model for names; 403
for RequestThrottled (botocore's _retry.json) and OverLimit, ExpiredToken and signatures. S3: API
Reference, "Error responses" (XML with Code, Message, RequestId, HostId; SlowDown is 503,
ExpiredToken 400, RequestTimeTooSkewed 403 with the times and the limit of 900,000 ms)."""
import datetime
import json
import secrets
import zlib
from email.utils import format_datetime
from xml.sax.saxutils import escape

from http_messages import Response

DYNAMODB = "com.amazonaws.dynamodb.v20120810#"
SQS = "com.amazonaws.sqs#"
CORAL_SERVICE = "com.amazon.coral.service#"
CORAL_AVAILABILITY = "com.amazon.coral.availability#"
JSON_TYPE = "application/x-amz-json-1.0"
REASONS = {301: "Moved Permanently", 307: "Temporary Redirect", 400: "Bad Request",
           403: "Forbidden", 404: "Not Found", 409: "Conflict", 412: "Precondition Failed",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout"}
# What the code of an error is for clients of the query protocol, which JSON clients read too.
QUERY_CODES = {"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
               "InvalidSignatureException": "SignatureDoesNotMatch",
               "ExpiredTokenException": "ExpiredToken",
               "ThrottlingException": "ThrottlingException"}


def http_date(when=None):
    return format_datetime(when or datetime.datetime.now(datetime.timezone.utc), usegmt=True)


def json_error(service, kind, status, message, **members):
    """kind is a __type with its name space; further members as the model has them."""
    body = json.dumps({"__type": kind, "message": message, **members}).encode()
    if service == "sqs":
        code = kind.rpartition("#")[2]
        fault = "Sender" if status < 500 else "Receiver"
        headers = [("x-amzn-RequestId", _uuid()), ("Content-Type", JSON_TYPE),
                   ("x-amzn-query-error", f"{QUERY_CODES.get(code, code)};{fault}")]
    else:
        headers = [("Server", "Server"), ("Content-Type", JSON_TYPE),
                   ("x-amzn-RequestId", secrets.token_hex(26).upper()),
                   ("x-amz-crc32", str(zlib.crc32(body)))]
    return Response([("Date", http_date()), *headers], body, status, REASONS.get(status, ""))


def xml_error(code, status, message, reason=None, headers=(), **elements):
    identity = {"RequestId": secrets.token_hex(8).upper(), "HostId": secrets.token_urlsafe(56)}
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in
                    {"Code": code, "Message": message, **elements, **identity}.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
    return Response([("x-amz-request-id", identity["RequestId"]),
                     ("x-amz-id-2", identity["HostId"]), *headers,
                     ("Content-Type", "application/xml"), ("Date", http_date()),
                     ("Server", "AmazonS3")], body, status, reason or REASONS.get(status, ""))


def _uuid():
    raw = secrets.token_hex(16)
    return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))


def internal_error(service):
    if service == "s3":
        return xml_error("InternalError", 500,
                         "We encountered an internal error. Please try again.")
    if service == "sqs":
        return json_error(service, CORAL_SERVICE + "InternalFailure", 500,
                          "The request processing has failed because of an unknown error.")
    return json_error(service, DYNAMODB + "InternalServerError", 500,
                      "The request processing has failed because of an unknown error.")


def unavailable(service):
    if service == "s3":
        return xml_error("SlowDown", 503, "Please reduce your request rate.", "Slow Down")
    return json_error(service, CORAL_AVAILABILITY + "ServiceUnavailableException", 503,
                      "Service is temporarily unavailable.")


# The codes that mean: slower. The first of each service is the usual one.
THROTTLES = {
    "s3": {"SlowDown": lambda: unavailable("s3"),
           "ServiceUnavailable": lambda: xml_error(
               "ServiceUnavailable", 503, "Service is unable to handle request.")},
    "sqs": {"RequestThrottled": lambda: json_error(
                "sqs", SQS + "RequestThrottled", 403, "Request is throttled."),
            "OverLimit": lambda: json_error(
                "sqs", SQS + "OverLimit", 403, "Too many messages have been received without being "
                "deleted. Please delete your received messages or let them timeout."),
            "KmsThrottled": lambda: json_error("sqs", SQS + "KmsThrottled", 400, "Rate exceeded"),
            "ThrottlingException": lambda: json_error(
                "sqs", CORAL_AVAILABILITY + "ThrottlingException", 400, "Rate exceeded")},
    "dynamodb": {
        "ProvisionedThroughputExceededException": lambda: json_error(
            "dynamodb", DYNAMODB + "ProvisionedThroughputExceededException", 400,
            "The level of configured provisioned throughput for the table was exceeded. Consider "
            "increasing your provisioning level with the UpdateTable API.",
            ThrottlingReasons=[{"reason": "TableWriteKeyRangeThroughputExceeded",
                                "resource": "arn:aws:dynamodb:us-east-1:000000000000:table/t"}]),
        "ThrottlingException": lambda: json_error(
            "dynamodb", CORAL_AVAILABILITY + "ThrottlingException", 400,
            "Rate of requests exceeds the allowed throughput."),
        "RequestLimitExceeded": lambda: json_error(
            "dynamodb", DYNAMODB + "RequestLimitExceeded", 400,
            "Throughput exceeds the current throughput limit for your account.")},
}


def throttled(service, code=None):
    kinds = THROTTLES[service]
    return kinds[code or next(iter(kinds))]()


def _refused(service):
    """The status of what is not let in."""
    return 403 if service == "sqs" else 400


def expired_token(service):
    if service == "s3":
        return xml_error("ExpiredToken", 400, "The provided token has expired.")
    return json_error(service, CORAL_SERVICE + "ExpiredTokenException", _refused(service),
                      "The security token included in the request is expired")


def access_denied(service):
    if service == "s3":
        return xml_error("AccessDenied", 403, "Access Denied")
    return json_error(service, CORAL_SERVICE + "AccessDeniedException", _refused(service),
                      "User is not authorized to perform this action")


def wrong_time(service, signed_at, server_time):
    """signed_at: the X-Amz-Date of the request."""
    if service == "s3":
        refused = xml_error(
            "RequestTimeTooSkewed", 403,
            "The difference between the request time and the current time is too large.",
            RequestTime=signed_at, ServerTime=server_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            MaxAllowedSkewMilliseconds=900000)
    else:
        early = signed_at < server_time.strftime("%Y%m%dT%H%M%SZ")
        edge = server_time + datetime.timedelta(minutes=-5 if early else 5)
        stamp = "%Y%m%dT%H%M%SZ"
        message = ("Signature expired: {} is now earlier than {} ({} - 5 min.)" if early else
                   "Signature not yet current: {} is still later than {} ({} + 5 min.)").format(
                       signed_at, edge.strftime(stamp), server_time.strftime(stamp))
        refused = json_error(service, CORAL_SERVICE + "InvalidSignatureException",
                             _refused(service), message)
    refused.set_header("Date", http_date(server_time))
    return refused


def other_region(request, region, status, url):
    """The bucket is elsewhere: 301 for good, 307 while its name spreads, 400 as to the signature.
    The place is url, not the real bucket.s3.region.amazonaws.com: tests stay on this machine."""
    bucket = request.path.split("/")[1]
    endpoint = url.partition("//")[2]
    known = [("x-amz-bucket-region", region)]
    if status == 400:
        return xml_error("AuthorizationHeaderMalformed", 400,
                         "The authorization header is malformed; the region is wrong; "
                         f"expecting '{region}'", headers=known, Region=region)
    permanent = status == 301
    if not permanent:
        known.append(("Location", url + request.target))
    return xml_error(
        "PermanentRedirect" if permanent else "TemporaryRedirect", status,
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint." if permanent else
        "Please re-send this request to the specified temporary endpoint. Continue to use the "
        "original request endpoint for future requests.",
        headers=known, Endpoint=endpoint, Bucket=bucket)


def html_page(status):
    """As a load balancer or a captive portal answers, in place of the service."""
    reason = REASONS.get(status, "OK")
    body = (f"<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>"
            f"{status} {reason}</h1></center>\r\n</body>\r\n</html>\r\n").encode()
    return Response([("Date", http_date()), ("Content-Type", "text/html"),
                     ("Server", "awselb/2.0")], body, status, reason)


def transaction_conflict(actions):
    reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
    reasons += [{"Code": "None"}] * (actions - 1)
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = "Transaction cancelled, please refer cancellation reasons for specific reasons "
    return json_error("dynamodb", DYNAMODB + "TransactionCanceledException", 400,
                      message + f"[{codes}]", CancellationReasons=reasons)
