# SPDX-License-Identifier: Apache-2.0
"""The I/O threads: requests of many connections at one moment, and the limit of connections."""
import fcntl
import pathlib
import resource
import select
import signal
import socket
import struct
import termios
import time

import pytest

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def connect(service):
    return socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), timeout=20)


def answers(sockets, seconds):
    """How many of them get an answer before the time is up."""
    poll, waiting = select.poll(), {sock.fileno(): sock for sock in sockets}
    for number in waiting:
        poll.register(number, select.POLLIN)
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        for number, _ in poll.poll(200):
            assert waiting.pop(number).recv(65536).startswith(b"HTTP/1.1 200")
            poll.unregister(number)
    return len(sockets) - len(waiting)


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def is_stopped(process):
    return pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def has_arrived(sock):
    """Everything sent has been acknowledged by the other side's system."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0] == 0


@pytest.mark.parametrize("count", [127, 128, 129, 256])
def test_requests_that_come_together_are_answered_together(own_service, count):
    """128 events are what libmicrohttpd takes from epoll at once: see docs/adr/0010."""
    service = own_service(IO_THREADS="1", WORKER_ENABLED="0")
    sockets = [connect(service) for _ in range(count)]
    try:
        for sock in sockets:
            sock.sendall(REQUEST)
        assert answers(sockets, 20) == count
        service.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: is_stopped(service.process))
        for sock in sockets:
            sock.sendall(REQUEST)
        wait_until(lambda: all(map(has_arrived, sockets)))
        service.process.send_signal(signal.SIGCONT)
        assert answers(sockets, 10) == count
    finally:
        service.process.send_signal(signal.SIGCONT)
        for sock in sockets:
            sock.close()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_connections_beyond_the_limit_wait_until_one_closes(own_service, threads):
    service = own_service(IO_THREADS=threads, MAX_CONNECTIONS="5", WORKER_ENABLED="0")
    sockets = []
    for _ in range(5):
        sockets.append(connect(service))
        sockets[-1].sendall(REQUEST)
        assert answers(sockets[-1:], 20) == 1
    with connect(service) as waiting:
        waiting.sendall(REQUEST)
        assert answers([waiting], 0.5) == 0
        sockets.pop().close()
        assert answers([waiting], 20) == 1
    for sock in sockets:
        sock.close()


def test_a_low_soft_limit_of_descriptors_is_raised(own_service):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    try:
        service = own_service(WORKER_ENABLED="0")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    sockets = [connect(service) for _ in range(400)]
    for sock in sockets:
        sock.sendall(REQUEST)
    assert answers(sockets, 20) == 400
    for sock in sockets:
        sock.close()
    assert "connections_limited" not in service.log_path.read_text()
