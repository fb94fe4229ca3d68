# SPDX-License-Identifier: Apache-2.0
"""A bucket's prefix with any number of objects that nobody stores, for the fault proxy:

    objects = GeneratedObjects("big/", 1_000_000, content=jpeg)
    proxy.add(objects.serve, when=objects.concerns)

A million puts would take an hour, and the listing is what a test of scale is about. Listings follow
ListObjectsV2 (API Reference): prefix, start-after, continuation-token, max-keys, encoding-type=url;
keys in byte order. Each object has the same content."""
import hashlib
import re
import urllib.parse
from xml.sax.saxutils import escape

import aws_errors
from http_messages import Response

PAGE = 1000


class GeneratedObjects:
    def __init__(self, prefix, number, content=b"", suffix=".jpg"):
        self.prefix = prefix
        self.number = number
        self.content = content
        self.suffix = suffix
        self.digits = len(str(number))
        self.etag = f'"{hashlib.md5(content).hexdigest()}"'
        self.listed = 0  # keys, over all replies

    def key(self, index):
        return f"{self.prefix}{index:0{self.digits}d}{self.suffix}"

    def concerns(self, request):
        """A listing of the prefix or a read of an object below it (path style)."""
        if "list-type" in request.query:
            return request.query.get("prefix") == self.prefix
        key = request.path.partition("/")[2].partition("/")[2]
        return request.method in ("GET", "HEAD") and self._index(key) is not None

    def _index(self, key):
        found = re.fullmatch(
            rf"{re.escape(self.prefix)}(\d{{{self.digits}}}){re.escape(self.suffix)}", key)
        return int(found[1]) if found and int(found[1]) < self.number else None

    async def serve(self, exchange):
        if "list-type" in exchange.request.query:
            await exchange.reply(self._page(exchange.request))
        else:
            await exchange.reply(self._object(exchange.request))

    def _after(self, key):
        """The index of the first key after this one, which need not be one of ours."""
        low, high = 0, self.number
        while low < high:
            middle = (low + high) // 2
            if self.key(middle).encode() <= key.encode():
                low = middle + 1
            else:
                high = middle
        return low

    def _page(self, request):
        query = request.query
        if "continuation-token" in query:
            first = int(query["continuation-token"].removeprefix("generated-"))
        else:
            first = self._after(query.get("start-after", ""))
        end = min(self.number, first + min(PAGE, int(query.get("max-keys", PAGE))))
        self.listed += end - first
        encode = urllib.parse.quote if query.get("encoding-type") == "url" else escape
        entries = "".join(
            f"<Contents><Key>{encode(self.key(i))}</Key><LastModified>2026-01-01T00:00:00.000Z"
            f"</LastModified><ETag>{escape(self.etag)}</ETag><Size>{len(self.content)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>" for i in range(first, end))
        more = end < self.number
        token = f"<NextContinuationToken>generated-{end}</NextContinuationToken>" if more else ""
        bucket = request.path.split("/")[1]
        body = ('<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult '
                f'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{bucket}</Name>'
                f"<Prefix>{encode(self.prefix)}</Prefix><KeyCount>{end - first}</KeyCount>"
                f"<MaxKeys>{query.get('max-keys', PAGE)}</MaxKeys>"
                f"{'<EncodingType>url</EncodingType>' if 'encoding-type' in query else ''}"
                f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}"
                "</ListBucketResult>")
        return Response([("Content-Type", "application/xml"), ("Date", aws_errors.http_date()),
                         ("Server", "AmazonS3")], body.encode(), 200, "OK")

    def _object(self, request):
        headers = [("ETag", self.etag), ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
                   ("Accept-Ranges", "bytes"), ("Content-Type", "image/jpeg"),
                   ("Date", aws_errors.http_date()), ("Server", "AmazonS3")]
        if request.method == "HEAD":
            headers.append(("Content-Length", str(len(self.content))))
        return Response(headers, self.content, 200, "OK")
