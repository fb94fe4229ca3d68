# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 messages as the fault proxy passes them on: header lines and paths byte for byte, since
they are signed; bodies whole in memory, with a ceiling."""
import asyncio
import urllib.parse
from dataclasses import dataclass, field

MAX_HEAD = 64 << 10
MAX_BODY = 64 << 20
# RFC 9110 §7.6.1: these belong to one connection and are not passed on.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
              "expect", "content-length"}


class ProtocolError(Exception):
    """The peer does not speak HTTP as we know it, or sends more than the ceiling."""


@dataclass
class Message:
    headers: list = field(default_factory=list)  # (name, value), in order
    body: bytes = b""

    def header(self, name, default=None):
        return next((v for k, v in self.headers if k.lower() == name.lower()), default)

    def set_header(self, name, value):
        self.drop_header(name)
        self.headers.append((name, str(value)))

    def drop_header(self, name):
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]

    def _head(self, first_line, extra):
        kept = [(k, v) for k, v in self.headers if k.lower() not in HOP_BY_HOP]
        lines = [first_line, *(f"{k}: {v}" for k, v in [*kept, *extra])]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass
class Request(Message):
    method: str = "GET"
    target: str = "/"

    @property
    def path(self):
        """Without the query, decoded."""
        return urllib.parse.unquote(self.target.partition("?")[0])

    @property
    def query(self):
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    def encode(self):
        length = [("Content-Length", len(self.body))]
        if not self.body and self.header("content-length") is None:
            length = []
        return self._head(f"{self.method} {self.target} HTTP/1.1", length) + self.body


@dataclass
class Response(Message):
    status: int = 200
    reason: str = ""

    def encode(self, method="GET"):
        """With the length of the body; to HEAD with the length that GET would have."""
        if method == "HEAD":
            length = self.header("content-length")
            return self.head([] if length is None else [("Content-Length", length)])
        if self.status in (204, 304):
            return self.head([])
        return self.head([("Content-Length", len(self.body))]) + self.body

    def head(self, extra):
        return self._head(f"HTTP/1.1 {self.status} {self.reason}", extra)

    def copy(self):
        return Response(list(self.headers), self.body, self.status, self.reason)


async def read_request(reader, writer):
    """The next request of a connection; None when the client closed it before one began."""
    head = await _read_head(reader)
    if head is None:
        return None
    first, headers = head
    parts = first.split(" ")
    if len(parts) != 3:
        raise ProtocolError(f"request line {first!r}")
    request = Request(headers, b"", parts[0], parts[1])
    if request.header("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.body = await _read_body(reader, request, until_close=False)
    return request


async def read_response(reader, method):
    while True:
        head = await _read_head(reader)
        if head is None:
            raise ConnectionResetError("the server closed the connection without a reply")
        first, headers = head
        _, status, reason = (first.split(" ", 2) + ["", ""])[:3]
        response = Response(headers, b"", int(status), reason)
        if response.status >= 200:
            break
    if method != "HEAD" and response.status not in (204, 304):
        response.body = await _read_body(reader, response, until_close=True)
    return response


async def _read_head(reader):
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if not end.partial:
            return None
        raise ConnectionResetError("the connection ended within a head") from end
    except asyncio.LimitOverrunError as big:
        raise ProtocolError(f"a head of over {MAX_HEAD} bytes") from big
    first, *lines = raw[:-4].decode("latin-1").split("\r\n")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ProtocolError(f"header line {line!r}")
        headers.append((name, value.strip()))
    return first, headers


async def _read_body(reader, message, until_close):
    if message.header("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader)
    length = message.header("content-length")
    if length is not None:
        if int(length) > MAX_BODY:
            raise ProtocolError(f"a body of {length} bytes, limit {MAX_BODY}")
        try:
            return await reader.readexactly(int(length))
        except asyncio.IncompleteReadError as end:
            raise ConnectionResetError("the connection ended within a body") from end
    if until_close:
        return await reader.read(MAX_BODY)
    return b""


async def _read_chunks(reader):
    body = bytearray()
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if len(body) + size > MAX_BODY:
            raise ProtocolError(f"a body of over {MAX_BODY} bytes")
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return bytes(body)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
