#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes inputs for the fuzz targets to start from, a folder a target.

    make_seeds.py FOLDER

tests/fuzz/corpus is made of them: make_seeds.py build/fuzz/corpus; run 60; run --merge. Pictures are those of
tests/corpus that are small when they are made from a photo of 16 x 12 pixels.
"""
import hashlib
import json
import pathlib
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "corpus"))
from PIL import Image

import gifs_bmps
import jpegs
import pngs
import webps
from make_corpus import PHOTO

END = b"\xff"  # of a part
MOST = 4096  # bytes of a picture
JOB = "a" * 26


def answer(body, status=200, **headers):
    lines = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    body = body if isinstance(body, bytes) else body.encode()
    return f"{status}\n{lines}\n".encode() + body


def answers(choice, *parts):
    return bytes([choice]) + END.join(parts)


def s3_error(code, more=""):
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>It did not work.</Message>'
            f"{more}<RequestId>4442587FB7D0A2F9</RequestId></Error>")


def listing(*keys, truncated="false", token=""):
    contents = "".join(f"<Contents><Key>{k}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                       f"<ETag>&quot;e&quot;</ETag><Size>{i}</Size></Contents>" for i, k in enumerate(keys))
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>b</Name><Prefix>a</Prefix>{token}<KeyCount>{len(keys)}</KeyCount><EncodingType>url</EncodingType>"
            f"<IsTruncated>{truncated}</IsTruncated>{contents}</ListBucketResult>")


def requests():
    base = {"job_type": "image_classification"}
    yield {**base, "s3_keys": ["a.jpg", "é\u0001b", "c" * 1024]}
    yield {**base, "s3_prefix": "", "include": ["*.jpg", "a?"], "exclude": ["\\*"], "top_k": 100}
    yield {**base, "manifest_s3_key": "m.jsonl", "tags": {"b": "2", "a": ""}, "deadline_seconds": 1209600}
    yield {**base, "s3_keys": ["k"], "max_failures": 0, "confidence_threshold": 0.25, "top_k": 5.0}
    yield {**base, "s3_keys": ["k"], "webhook_url": "https://example.com"}
    yield {**base, "s3_keys": [], "s3_prefix": 7}


def dynamodb():
    item = {"pk": {"S": "a"}, "st": {"S": "OPEN"}, "n": {"N": "-1.50E+3"}, "c": {"M": {"0": {"S": "x,1,2,3"}}}}
    failed = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
    yield answers(0, answer({"Item": item}))
    yield answers(0, answer({}))
    body = json.dumps({"Item": item})
    yield answers(0, answer(body, x_amz_crc32=zlib.crc32(body.encode())))
    yield answers(1, answer({"Responses": {"jobs": [item]},
                             "UnprocessedKeys": {"jobs": {"Keys": [{"pk": {"S": "b"}}]}}}),
                  answer({"Responses": {"jobs": [{"pk": {"S": "b"}}]}, "UnprocessedKeys": {}}))
    yield answers(2, answer({}))
    yield answers(2, answer({"__type": failed, "message": "no", "Item": item}, 400))
    yield answers(2, answer({"__type": failed, "message": "no"}, 400), answer({"Item": item}))
    yield answers(3, answer({"Attributes": item}))
    yield answers(3, answer({"__type": "x#ProvisionedThroughputExceededException"}, 400), answer({"Attributes": item}))
    row = {"pk": {"S": "J#a"}, "obd": {"N": "12"}, "obs": {"N": "3"}}
    yield answers(4, answer({"Items": [row], "LastEvaluatedKey": row, "Count": 1}), answer({"Items": [row] * 2}))
    yield answers(4, answer({"__type": "x#ResourceNotFoundException", "message": "no table"}, 400))
    yield answers(0, answer({"__type": "com.amazon.coral.service#ExpiredTokenException"}, 400), answer({"Item": item}))


def sqs():
    body = '{"v":1}'
    message = {"MessageId": "m", "ReceiptHandle": "r", "Body": body, "MD5OfBody": hashlib.md5(body.encode()).hexdigest(),
               "Attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1700000000000"}}
    md5 = {c: hashlib.md5(c.encode()).hexdigest() for c in "abc"}
    sent = [{"Id": str(i), "MessageId": f"m{i}", "MD5OfMessageBody": md5[c]} for i, c in enumerate("abc")]
    yield answers(0, answer({"Messages": [message, {**message, "MD5OfBody": "0" * 32}]}))
    yield answers(0, answer({}))
    yield answers(1, answer({"Successful": sent, "Failed": []}))
    yield answers(1, answer({"Successful": sent[:2], "Failed": [{"Id": "2", "Code": "InternalError", "SenderFault": False}]}),
                  answer({"Successful": sent[:1]}), answer({"Successful": [{**sent[2], "Id": "0"}]}))
    yield answers(1, answer({"Failed": [{"Id": "1", "Code": "InvalidMessageContents", "SenderFault": True, "Message": "no"}]}))
    yield answers(2, answer({"Attributes": {"ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "1"}}))
    yield answers(3, answer(""))
    yield answers(3, answer({"__type": "com.amazonaws.sqs#ReceiptHandleIsInvalid", "message": "no"}, 400))
    yield answers(4, answer({"__type": "com.amazonaws.sqs#QueueDoesNotExist"}, 400,
                            x_amzn_query_error="AWS.SimpleQueueService.NonExistentQueue;Sender"))
    yield answers(4, answer({"__type": "com.amazonaws.sqs#MessageNotInflight", "message": "expired"}, 400))


def s3():
    tag = {"etag": '"e"'}
    for choice in (0, 1, 2):
        yield answers(choice, answer("hello", 206 if choice else 200, content_length=5, content_range="bytes 5-9/10", **tag))
        yield answers(choice, answer(s3_error("NoSuchKey"), 404))
        yield answers(choice, answer(s3_error("SlowDown"), 503), answer("hello", **tag))
    yield answers(1, answer(s3_error("InvalidRange", "<ActualObjectSize>3</ActualObjectSize>"), 416))
    yield answers(2, answer(s3_error("PreconditionFailed"), 412))
    yield answers(3, answer("", content_length=5, **tag))
    yield answers(3, answer("", 404))
    yield answers(4, answer("", **tag))
    yield answers(5, answer(s3_error("PreconditionFailed"), 412), answer("", content_length=5, x_amz_meta_write_id="x"))
    yield answers(5, answer(s3_error("ConditionalRequestConflict"), 409), answer("", **tag))
    yield answers(4, answer(s3_error("PermanentRedirect", "<Region>us-west-2</Region>"), 301, x_amz_bucket_region="us-west-2"))
    yield answers(6, answer("", 204))
    yield answers(6, answer(s3_error("RequestTimeTooSkewed"), 403, date="Sun, 06 Nov 2023 08:49:37 GMT"), answer("", 204))
    yield answers(6, answer(s3_error("ExpiredToken"), 400), answer("", 204))


def failures():
    for choice, body in ((0x40, s3_error("SlowDown")), (0, s3_error("NoSuchBucket")), (0x80, s3_error("InternalError"))):
        for status in (200, 301, 400, 403, 503):
            yield answers(choice, answer(body, status, x_amz_bucket_region="us-west-2", retry_after="120"))
    for choice in (1, 2):
        yield answers(choice, answer({"__type": "a#ThrottlingException", "message": "slow\ndown"}, 400, x_amz_retry_after="1500"))
        yield answers(choice, answer({"code": "ValidationException:http://x", "Message": "m"}, 400, x_amzn_requestid="r"))
        yield answers(choice, answer("{}", 200, x_amz_crc32="2745614147"))
        yield answers(choice, answer("", 503, retry_after="Sun, 06 Nov 2033 08:49:37 GMT"))
        yield answers(choice, answer("no", 200))
        yield answers(choice, answer("", 400, x_amzn_errortype="UnrecognizedClientException",
                                     x_amzn_query_error="AWS.SimpleQueueService.NonExistentQueue;Sender"))


def credentials():
    reply = {"Code": "Success", "AccessKeyId": "AKID", "SecretAccessKey": "a-secret-of-more-than-twenty",
             "Token": "t" * 100, "Expiration": "2026-01-31T23:59:59Z"}
    yield answers(0, answer(reply))
    yield answers(0, answer("", 503), answer({**reply, "Token": None, "Expiration": "2026-01-31T23:59:59.123Z"}))
    yield answers(0, answer({**reply, "Code": "Failed"}))
    yield answers(0, answer({"SecretAccessKey": "s"}))
    yield answers(0, answer("no", 403))
    yield answers(1, answer("token"), answer("role\n"), answer(reply))
    yield answers(1, answer("token"), answer("", 404))
    yield answers(1, answer("", 403))
    yield answers(1, answer("token"), answer("ro?le"))


def model():
    sums = {name: hashlib.sha256(text).hexdigest() for name, text in (("m.xml", b"model"), ("m.bin", b"weights"))}
    spec = {"name": "m", "version": "2", "task": "image_classification",
            "files": {"model": "m.xml", "weights": "m.bin", "labels": "l.txt"}, "sha256": {**sums, "l.txt": "LABELS"},
            "input": {"name": "in", "layout": "NCHW", "height": 8, "width": 9, "channels": 3, "color": "RGB",
                      "mean": [1, 2.5, 3], "scale": [4, 5, 6]},
            "resize": {"short_side": 10, "interpolation": "bicubic", "crop": "center"},
            "output": {"name": "out", "kind": "logits", "classes": 2}}
    yield json.dumps(spec).encode() + END + b"cat\ndog\n"
    yield json.dumps({**spec, "files": {"model": "m.xml", "labels": "l.txt"}}).encode() + END + "chat\nchié".encode()
    yield json.dumps({**spec, "files": {"model": "../m.xml", "labels": "l.txt"}}).encode() + END + b"cat\n\n"


def manifests():
    yield b'"a/b.jpg"'
    yield b'{"s3_key":"k","id":"7","more":[1]}'
    yield b'{"source-ref":"s3://bucket/a/b c.png","id":"x"}'
    yield '"\u00e9\\u0001\\""'.encode()
    yield b'{"s3_key":"k","source-ref":"s3://b/k"}'
    yield b"7"


def texts():
    yield from (b"18446744073709551615", b"18446744073709551616", b"007", "é€😀".encode(), b"\xed\xa0\x80")
    yield from (b"*.jpg" + END + b"a/b.jpg", b"a?c*\\*" + END + b"abcd*", b"**a**b\\" + END + b"xaxb\\")


def http():
    host = "Host: localhost\n"
    for path in ("/", "/healthz", "/readyz", "/metrics", "/version", "/openapi.yaml", "/jobs?status=running&limit=2&cursor=1-" + JOB,
                 "/status/" + JOB, "/result/" + JOB + "?limit=1&cursor=0.1", "/result/" + JOB, "/%2e%2e", "/status/x", "/submit"):
        yield f"GET {path}\n{host}\n".encode()
    yield f"GET /status/{JOB}\n{host}Prefer: respond-async, wait=\"5\"; x=y\n\n.".encode()
    yield f"GET /result/{JOB}\n{host}Accept: text/html, application/x-ndjson;q=0.5\n\n".encode()
    json_body = "Content-Type: application/json; charset=utf-8\nContent-Length: 9\n"
    for body in requests():
        yield f"POST /submit\n{host}{json_body}Idempotency-Key: k\n\n{json.dumps(body)}".encode()
    yield f"POST /submit?dry_run=true\n{host}{json_body}\n".encode() + json.dumps(next(requests())).encode()
    yield f"POST /submit\n{host}{json_body}Transfer-Encoding: chunked\n\n".encode()
    yield f"POST /cancel/{JOB}\n{host}{json_body}\n{{}}".encode()
    yield f"POST /retry/{JOB}\n{host}\n".encode()
    yield f"POST /uploads\n{host}{json_body}\n".encode() + b'{"uploads":[{"name":"a","content_type":"image/png","size_bytes":3}]}'
    yield f"PUT /uploads/{JOB}?ticket=00\n{host}Content-Type: image/png\nContent-Length: 3\nContent-Encoding: gzip\n\nabc".encode()


def targets():
    """(target, inputs)"""
    yield "submit_request", [json.dumps(r, ensure_ascii=False).encode() for r in requests()]
    yield "upload_request", [json.dumps({"uploads": [{"name": n, "content_type": t, "size_bytes": s}]}).encode()
                             for n, t, s in (("a.jpg", "image/jpeg", 1), ("é b", "image/webp", 26214400),
                                             (".x", "image/png", 5), ("a/b", "image/gif", 0))]
    yield "upload_ticket", [b"00" * 40, b"!5\n9\nimage/png\nuploads/a/b.png", b"!05\n9\n\n", b"!5\n9"]
    yield "http_request", http()
    yield "uri", [b"/status/" + JOB.encode(), b"/result/%61?limit=5&cursor=3.4", b"/submit?dry_run=true", b"/jobs?a=b+c&a=d",
                  b"/%2F%00", b"/uploads/00ff", b"/a%zz?&&x"]
    yield "json_read", [b'{"a":[1,2.5,-0.0,1e3,"\\ud83d\\ude00\\u0000"],"b":{"c":null,"d":true}}', b"9223372036854775807",
                        b"[" * 32 + b"]" * 32, b"[" * 33 + b"]" * 33, b'{"a":1,"a":2}', b'"\xed\xa0\x80"']
    yield "message", [json.dumps({"v": v, "tenant": t, "kind": k, "job": JOB, "chunk": c}).encode()
                      for v, t, k, c in ((1, "default", "chunk", 4294967295), (1, "default", "plan", 0), (2, "default", "seal", 0),
                                         (1, "other", "seal", 0), (1, "default", "seal", -1))]
    yield "xml", [listing("a/1", "a%2F2").encode(), s3_error("A&amp;B").encode(), b"<a>" * 17, b"<!DOCTYPE a><a/>",
                  "<a>é<b>&#233;<![CDATA[<]]></b>x</a>".encode(), "<?xml version='1.0'?><a>é</a>".encode("utf-16")]
    more = listing("a/1", "a/2", truncated="true", token="<NextContinuationToken>t</NextContinuationToken>")
    yield "s3_list", [answer(listing("a", "a+b", "a/%C3%A9")), answer(more) + END + answer(listing("a/3", "a/4")),
                      answer(listing("b")), answer(listing("a/2", "a/1")), answer(listing()), answer(s3_error("NoSuchBucket"), 404),
                      answer(listing(truncated="true", token="<NextContinuationToken>t</NextContinuationToken>")) * 2]
    yield "s3_reply", s3()
    yield "aws_failure", failures()
    yield "http_date", [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Mon, 29 Feb 2024 23:59:60 GMT", b"2026-01-31T23:59:59Z",
                        b"2024-02-29T00:00:00.123Z", b"2026-02-31T23:59:59+00:00"]
    yield "dynamodb_reply", dynamodb()
    yield "dynamodb_number", [b"12", b"-1.50E+3", b"9223372036854775807", b"-9223372036854775808", b"0.1e1", b"1e-2", b"+000.0"]
    yield "sqs_reply", sqs()
    yield "credentials_reply", credentials()
    yield "ini", [b"[default]\naws_access_key_id = a\naws_secret_access_key = b # c\n[profile work]\nregion = eu-west-1\r\n",
                  b"[work]\naws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c\n; x\ns3 =\n  x = y\n", b"[a", b"=b"]
    yield "endpoint", [b"https://sqs.eu-west-1.amazonaws.com", b"http://127.0.0.1:9000/", b"http://[::1]:80", b"ftp://a", b"http://a@b"]
    yield "sigv4", [bytes([0x83]) + END.join((b"/a b//../%20", b"b=2&a=1&a", b"  x   y ", b"z")),
                    bytes([0x02]) + END.join((b"/a/./b/../c%2F", b"X=%C3%A9", b"v", b"")),
                    bytes([0xC1]) + END.join((b"/k+%2B", b"", b"", b""))]
    yield "manifest_line", manifests()
    yield "manifest", [b"\n".join(manifests()), b'"a"\n\n  \r\n"b"\n', b'"a"\n' * 40]
    yield "chunk_lines", [b'\2"a"\n{"k":"b","id":"c"}\n', b'\1"a"\n"b"\n', b"\1{}\n", b"\0"]
    yield "ledger_manifest", [b'{"v":1,"last":true,"resume":"{}","chunks":[[0,100,400],[100,7,30]]}\n"a"\n', b"a,1,2,3", b"0,100,96,400",
                              b"0,4294967297,9223372036854775807,1"]
    yield "ledger_shard", [b'{"v":1,"chunk":0,"succeeded":1,"failed":0,"unknown":0,"model":"{}","labels":[["cat",1],["",2]]}\n{}\n',
                           b'{"labels":[["a",9223372036854775807],["a",1]]}\n', b'{"labels":7}\n', b"{}"]
    yield "resume", [b'{"image":1,"offset":2,"line":3,"chunk":4,"row":5,"etag":"\\"e\\"","after":"k\\u00e9"}', b"", b"{}"]
    yield "model_spec", model()
    yield "text", texts()
    yield "blob_path", [b"a/b/c.jpg", b"../a", b"a/./b", b"a//b", b"link/x", b"link", "é".encode(), b"a" * 255 + b"/" + b"b" * 256, b"a\0"]
    yield "row", [bytes([0]) + b"\0\0\0\x3f" + END.join((b"a.jpg", b"7", b"cat", b"dog")),
                  bytes([3]) + b"\0\0\xc0\x7f" + END.join(("é\n".encode(), b"", b"\x80\"\\", b"\x01"))]
    for name, makers in {"jpeg": (jpegs.corrupt, jpegs.odd), "png": (pngs.corrupt, pngs.odd), "webp": (webps.corrupt, webps.odd),
                         "gif": (gifs_bmps.gif_corrupt, gifs_bmps.gif_odd), "bmp": (gifs_bmps.bmp_corrupt, gifs_bmps.bmp_odd)}.items():
        yield f"image_{name}", small_pictures(makers)
    yield "exif", [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", b"MM\0*\0\0\0\x08\0\1\1\x12\0\4\0\0\0\1\0\0\0\7",
                   b"\xff\xd8\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0\xff\xda"]


def small_pictures(makers):
    photo = Image.open(PHOTO).convert("RGB").resize((16, 12))
    for maker in makers:
        for item in maker(photo):
            data = b"" if item.deep else item.make()
            if 0 < len(data) <= MOST:
                yield data


def main():
    count = 0
    for target, inputs in targets():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for data in inputs:
            (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)
            count += 1
    print(f"{count} inputs in {sys.argv[1]}")


if __name__ == "__main__":
    main()
