# SPDX-License-Identifier: Apache-2.0
"""An HTTP/1.1 proxy in front of one service, which injects faults where a script says so and
records every request. It runs in a thread of the test; all it listens on is 127.0.0.1.

    with FaultProxy(ministack, "dynamodb") as proxy:
        proxy.add(faults.throttle(), operation="PutItem", nth=3)
        … run the program with AWS_ENDPOINT_URL_DYNAMODB=proxy.url …
        assert proxy.count("PutItem") == 4

A request is matched by its operation's name (X-Amz-Target, or method, path and query for S3), its
method, path, query or body; a rule fires on the n-th match, up to so many times, or by chance. What
chance decides depends on the seed, the rule and the number of the match alone, so a run is
repeatable as far as the order of requests is."""
import asyncio
import collections
import random
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any

import signing
from http_messages import HOP_BY_HOP, MAX_HEAD, ProtocolError, read_request, read_response

LOOPBACK = "127.0.0.1"
WAIT_SECONDS = 300
# method, whether a key is named, an element of the query that is there: operation; first match wins
S3_OPERATIONS = (
    ("POST", False, "delete", "DeleteObjects"), ("POST", True, "uploads", "CreateMultipartUpload"),
    ("POST", True, "uploadId", "CompleteMultipartUpload"),
    ("PUT", True, "partNumber", "UploadPart"),
    ("DELETE", True, "uploadId", "AbortMultipartUpload"), ("GET", True, "uploadId", "ListParts"),
    ("GET", False, "list-type", "ListObjectsV2"), ("GET", False, "location", "GetBucketLocation"),
    ("GET", False, "uploads", "ListMultipartUploads"), ("GET", True, None, "GetObject"),
    ("HEAD", True, None, "HeadObject"), ("PUT", True, None, "PutObject"),
    ("DELETE", True, None, "DeleteObject"), ("GET", False, None, "ListObjects"),
    ("HEAD", False, None, "HeadBucket"), ("PUT", False, None, "CreateBucket"),
    ("DELETE", False, None, "DeleteBucket"))


def operation_of(request, service):
    """The name of a request in the service's API; "?" for none that is known."""
    if service != "s3":
        return request.header("x-amz-target", "?").rpartition(".")[2]
    query = request.query
    has_key = _names_key(request)
    for method, of_key, element, name in S3_OPERATIONS:
        if (method, of_key) == (request.method, has_key) and element in (None, *query):
            if name == "PutObject" and request.header("x-amz-copy-source"):
                return "CopyObject"
            return name
    return "?"


def _names_key(request):
    host = request.header("host", "").partition(":")[0]
    in_host = not re.fullmatch(r"[\d.]+|localhost|s3[.-].*", host)  # virtual-host style
    return request.path[1:] != "" if in_host else request.path[1:].partition("/")[2] != ""


@dataclass
class Rule:
    """One line of the script. fault is a coroutine function of an Exchange; see faults.py."""

    fault: Any
    operation: Any = None  # a name, or several
    method: str | None = None
    path: str | None = None  # a regular expression, for the decoded path
    query: dict | None = None  # these elements with these values; None is any value
    body: bytes | None = None  # is within the body
    when: Any = None  # any further condition, of the request
    nth: Any = None  # the number of a match, from 1, or several
    times: int | None = None  # at most so often
    probability: float = 1.0
    name: str = ""
    serial: int = 0  # set by the proxy
    matched: int = 0
    fired: int = 0

    def __post_init__(self):
        self.name = self.name or self.fault.__name__

    def _fits(self, request, operation):
        if self.operation is not None and operation not in _several(self.operation):
            return False
        if self.method is not None and request.method != self.method:
            return False
        if self.path is not None and not re.search(self.path, request.path):
            return False
        if self.body is not None and self.body not in request.body:
            return False
        for name, value in (self.query or {}).items():
            if name not in request.query or value not in (None, request.query[name]):
                return False
        return self.when is None or self.when(request)

    def matches(self, request, operation):
        fits = self._fits(request, operation)
        self.matched += fits
        return fits

    def wants(self, seed):
        """Whether this match is one of those to be hit."""
        if self.nth is not None and self.matched not in _several(self.nth):
            return False
        if self.times is not None and self.fired >= self.times:
            return False
        return (self.probability >= 1 or
                random.Random(f"{seed}/{self.serial}/{self.matched}").random() < self.probability)


def _several(value):
    return (value,) if isinstance(value, (str, int)) else value


@dataclass
class Record:
    """One request and what became of it."""

    operation: str
    method: str
    target: str
    request_bytes: int  # of the body
    fault: str | None = None  # the rule's name, if one fired
    forwarded: int = 0  # times the server saw it
    status: int | None = None  # as sent to the client; None if no reply was begun
    response_bytes: int = 0
    connection: int = 0
    seconds: float | None = None  # None until it has ended


class Exchange:
    """A request in the hands of a fault."""

    def __init__(self, proxy, connection, request, record):
        self.proxy = proxy
        self.connection = connection
        self.request = request
        self.record = record

    @property
    def service(self):
        return self.proxy.service

    async def forward(self, request=None, resign=False):
        """The server's reply. A changed request must be signed anew if the server checks that."""
        request = request or self.request
        if resign:
            self.proxy.sign(request)
        self.record.forwarded += 1
        return await self.connection.ask_server(request)

    async def relay(self):
        await self.reply(await self.forward())

    async def reply(self, response):
        self.record.status = response.status
        self.record.response_bytes = len(response.body)
        await self.connection.send(response.encode(self.request.method))

    async def send(self, raw, status=None):
        """Bytes that are no proper reply."""
        self.record.status = self.record.status or status
        await self.connection.send(raw)

    def reset(self):
        self.connection.reset()

    def close(self):
        self.connection.close()

    async def sleep(self, seconds):
        """Or until the client or the proxy gives up."""
        try:
            await asyncio.wait_for(self.connection.client_gone(), seconds)
        except asyncio.TimeoutError:
            return
        raise ConnectionResetError("the client is gone")

    async def wait_for_client_to_leave(self):
        await self.connection.client_gone()


class _Connection:
    """From one client, with one to the server that lasts as long."""

    def __init__(self, proxy, number, reader, writer):
        self.proxy = proxy
        self.number = number
        self.reader = reader
        self.writer = writer
        self.server = None

    async def run(self):
        try:
            while not self.writer.is_closing():
                request = await read_request(self.reader, self.writer)
                if request is None:
                    break
                await self._serve(request)
        except (OSError, asyncio.IncompleteReadError, ProtocolError, ValueError) as problem:
            self.proxy.note_problem(problem)
        finally:
            self.close()
            if self.server is not None:
                self.server[1].close()

    async def _serve(self, request):
        record, fault = self.proxy.take(request, self.number)
        begun = time.monotonic()
        exchange = Exchange(self.proxy, self, request, record)
        try:
            await (fault(exchange) if fault else exchange.relay())
        finally:
            self.proxy.finish(record, time.monotonic() - begun)

    async def ask_server(self, request):
        if self.server is not None and self.server[0].at_eof():
            self.server[1].close()
            self.server = None
        if self.server is None:
            self.server = await asyncio.open_connection(*self.proxy.upstream, limit=MAX_HEAD)
        reader, writer = self.server
        writer.write(request.encode())
        await writer.drain()
        response = await read_response(reader, request.method)
        if response.header("connection", "").lower() == "close":
            writer.close()
            self.server = None
        return response

    async def send(self, raw):
        self.writer.write(raw)
        await self.writer.drain()

    async def client_gone(self):
        while await self.reader.read(1 << 16):
            pass

    def reset(self):
        """RST instead of FIN: SO_LINGER with a time of zero, socket(7)."""
        link = self.writer.get_extra_info("socket")
        if link is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self):
        self.writer.close()


class FaultProxy:
    """server: an Emulator, or anything with url; credentials: to sign what faults change."""

    def __init__(self, server, service, seed=0, credentials=None, certificate=None):
        place = urllib.parse.urlsplit(server.url)
        self.upstream = (place.hostname, place.port)
        self.service = service
        self.seed = seed
        self.credentials = credentials or getattr(server, "credentials", None)
        self.certificate = certificate  # (chain file, key file): speaks TLS to the client
        self.records = []
        self.duplicates = 0  # messages that faults delivered again
        self.problems = []  # what ended a connection before its time; for a look when a test fails
        self._rules = []
        self._added = 0
        self._changed = threading.Condition()
        self._connections = {}
        self._opened = 0
        self._loop = asyncio.new_event_loop()
        self._listener = None
        self.port = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy",
                                        daemon=True)

    # life

    def __enter__(self):
        self._thread.start()
        self.accept()
        return self

    def __exit__(self, *unused):
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    @property
    def url(self):
        return f"{'https' if self.certificate else 'http'}://{LOOPBACK}:{self.port}"

    def refuse(self):
        """As a host without the service: connections break, new ones are refused."""
        self._call(self._end())

    def accept(self):
        """Listens (again, on the same port)."""
        self._call(self._listen())

    def disconnect(self):
        """Breaks the connections that are open."""
        self._call(self._drop())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT_SECONDS)

    async def _listen(self):
        context = None
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
        self._listener = await asyncio.start_server(self._accepted, LOOPBACK, self.port or 0,
                                                    limit=MAX_HEAD, ssl=context, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _accepted(self, reader, writer):
        self._opened += 1
        connection = _Connection(self, self._opened, reader, writer)
        task = asyncio.current_task()
        self._connections[task] = connection
        try:
            await connection.run()
        except asyncio.CancelledError:
            pass  # the proxy ends
        finally:
            del self._connections[task]

    async def _end(self):
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._drop()

    async def _drop(self):
        for task, connection in list(self._connections.items()):
            connection.reset()
            task.cancel()
        if self._connections:
            await asyncio.wait(list(self._connections), timeout=WAIT_SECONDS)

    # script

    def add(self, fault, **selection):
        """A Rule; of several that fire at once the first added wins. Rules count their matches from
        when they are added."""
        rule = Rule(fault, **selection)
        with self._changed:
            self._added += 1
            rule.serial = self._added
            self._rules.append(rule)
        return rule

    def remove(self, rule):
        with self._changed:
            self._rules.remove(rule)

    def clear(self):
        with self._changed:
            self._rules.clear()

    def take(self, request, connection):
        operation = operation_of(request, self.service)
        record = Record(operation, request.method, request.target, len(request.body),
                        connection=connection)
        with self._changed:
            matching = [rule for rule in self._rules if rule.matches(request, operation)]
            chosen = next((rule for rule in matching if rule.wants(self.seed)), None)
            if chosen is not None:
                chosen.fired += 1
                record.fault = chosen.name
            self.records.append(record)
            self._changed.notify_all()
        return record, chosen and chosen.fault

    def sign(self, request):
        """Signs a changed request as its client would have."""
        assert self.credentials is not None, "a changed request needs credentials to be signed"
        old = HOP_BY_HOP | {"host", "authorization", "x-amz-date", "x-amz-security-token",
                            "x-amz-content-sha256"}
        host = request.header("host")
        again = signing.signed(request.method, f"http://{host}{request.target}", self.service,
                               self.credentials, body=request.body, headers={
                                   k: v for k, v in request.headers if k.lower() not in old})
        request.headers = [("Host", host), *again.headers.items()]

    # record

    def finish(self, record, seconds):
        with self._changed:
            record.seconds = seconds
            self._changed.notify_all()

    def note_problem(self, problem):
        with self._changed:
            self.problems.append(problem)

    def note_duplicates(self, number):
        with self._changed:
            self.duplicates += number

    def count(self, operation=None, fault=None):
        """Requests received so far: of an operation, and with this fault."""
        with self._changed:
            return self._count(operation, fault)

    def _count(self, operation, fault):
        return sum(1 for record in self.records
                   if operation in (None, record.operation) and fault in (None, record.fault))

    def counts(self):
        with self._changed:
            return collections.Counter(record.operation for record in self.records)

    def faults(self):
        """How often each fault was injected."""
        with self._changed:
            return collections.Counter(record.fault for record in self.records if record.fault)

    @property
    def connections_opened(self):
        return self._opened

    def forget(self):
        """Starts counting anew."""
        with self._changed:
            self.records.clear()
            self.problems.clear()
            self.duplicates = self._opened = 0

    def wait_idle(self, seconds=WAIT_SECONDS):
        """Until every request received has ended, so that its record is complete."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: all(record.seconds is not None for record in self.records), seconds)

    def wait_for(self, operation=None, count=1, fault=None, seconds=WAIT_SECONDS):
        """Until so many such requests have been received."""
        with self._changed:
            reached = self._changed.wait_for(
                lambda: self._count(operation, fault) >= count, seconds)
            assert reached, (f"{self._count(operation, fault)} of {count} requests "
                             f"{operation or ''} after {seconds} s; seen: {self.records[-20:]}")
