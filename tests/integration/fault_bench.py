# SPDX-License-Identifier: Apache-2.0
"""Runs calls of fault_calls.py under faults: proxies, the program that makes the calls, and what came
of each. A bench is for one thread; several can work on one deployment."""
import json
import os
import pathlib
import subprocess
import tempfile
import threading
from dataclasses import dataclass

import agents
import faults
from fault_calls import Scene
from fault_proxy import FaultProxy

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("DIC_BIN_DIR", ROOT / "build/asan/bin"))
PROGRAM = BINARIES.parent / "tests/adapter_call"
SERVICES = ("s3", "sqs", "dynamodb")
ANSWER_SECONDS = 60  # for real; the program skips all waits
DAY = 86_400
KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


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


class Program:
    """tests/aws/adapter_call.c; it lives as long as its standard input is open."""

    def __init__(self, variables):
        base = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            env={**base, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", **variables})

    def ask(self, **line):
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        self._process.stdin.flush()
        watchdog = threading.Timer(ANSWER_SECONDS, self._process.kill)
        watchdog.start()
        try:
            answer = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        assert answer, f"no answer to {line}; log: {self.log()[-3000:]}"
        return json.loads(answer)

    def log(self):
        self._log.seek(0)
        return self._log.read().decode()

    def end(self):
        self._process.stdin.close()
        assert self._process.wait(ANSWER_SECONDS) == 0, self.log()[-3000:]
        self._log.close()


class Issue:
    """Gives out temporary credentials that the server knows."""

    def __init__(self, server):
        self._server = server
        self.made = []

    def __call__(self):
        self.made.append(self._server.temporary_credentials())
        return self.made[-1]


@dataclass
class Outcome:
    """Of one call."""

    answer: dict
    requests: int  # of the operation
    state: str | None

    @property
    def code(self):
        return self.answer["code"]

    def cell(self):
        return " ".join(filter(None, (self.code, str(self.requests), self.state and f"({self.state})")))


class Bench:
    """Proxies before the servers and a program; the second, that gets its credentials from a
    container's endpoint, only when it is asked for."""

    def __init__(self, made, folder):
        self.made = made
        self.proxies = {name: FaultProxy(made.servers[name], name, credentials=made.credentials)
                        for name in SERVICES}
        for proxy in self.proxies.values():
            proxy.__enter__()
        self.variables = made.via(**self.proxies)
        self._folder = folder
        self._program = self._contained = self.agent = None

    @property
    def program(self):
        if self._program is None:
            self._program = Program(self.variables)
        return self._program

    @property
    def contained(self):
        if self._contained is None:
            self.agent = agents.ContainerCredentials(Issue(self.made.servers["s3"]), self._folder)
            self.agent.__enter__()
            kept = {k: v for k, v in self.variables.items() if k not in KEY_VARIABLES}
            self._contained = Program({**kept, **self.agent.variables})
        return self._contained

    def end(self):
        for program in (self._program, self._contained):
            if program is not None:
                program.end()
        if self.agent is not None:
            self.agent.end()
        for proxy in self.proxies.values():
            proxy.__exit__(None, None, None)

    # one call

    def reset(self):
        for proxy in self.proxies.values():
            proxy.clear()
            proxy.wait_idle()
            proxy.forget()

    def scene(self, call, program):
        """A new one, and the program as if it had just been started."""
        scene = Scene(self.made)
        if call.before:
            call.before(scene)
        opened = program.ask(**scene.open_line())
        assert opened["code"] == "OK", opened
        return scene

    def inject(self, call, fault, **selection):
        proxy = self.proxies[call.service]
        rule = proxy.add(fault, operation=(call.operation, *call.also), **selection)
        for other, operation in call.rules:
            proxy.add(other, operation=operation)
        return rule

    def make(self, call, scene, program, impatient=0):
        """Makes the call and looks at what there is then."""
        proxy = self.proxies[call.service]
        answer = program.ask(**call.line(scene), patience_ms=call.patience_ms,
                             patience_skip=call.skip, patience_count=impatient)
        proxy.wait_idle()
        requests = sum(proxy.count(name) for name in (call.operation, *call.also))
        return Outcome(answer, requests, call.state and call.state(scene, answer))


# The columns of the table.


@dataclass
class Fault:
    make: object  # of a call: the fault
    says: object = None  # of a service: AWS's code in the message of a call that fails
    impatient: bool = False
    run: object = None


def malformed(call):
    return garbled_head() if call.garbled else faults.malformed()


FAULTS = {
    "timeout": Fault(lambda _: faults.black_hole(forward=True), impatient=True),
    "reset": Fault(lambda _: cut_reply()),
    "500": Fault(lambda _: faults.internal_error(), {
        "s3": "InternalError", "sqs": "InternalFailure", "dynamodb": "InternalServerError"}),
    "503": Fault(lambda _: faults.unavailable(), {
        "s3": "SlowDown", "sqs": "ServiceUnavailableException", "dynamodb": "ServiceUnavailableException"}),
    "throttle": Fault(lambda call: faults.throttle(THROTTLE[call.service]), {
        "s3": "ServiceUnavailable", "sqs": "RequestThrottled",
        "dynamodb": "ProvisionedThroughputExceededException"}),
    "expired token": Fault(lambda _: faults.expired_token(), {
        "s3": "ExpiredToken", "sqs": "ExpiredTokenException", "dynamodb": "ExpiredTokenException"}),
    "skewed clock": Fault(lambda _: faults.skewed_clock(DAY)),
    "malformed": Fault(malformed),
}
THROTTLE = {"s3": "ServiceUnavailable", "sqs": None, "dynamodb": None}


def run_cell(bench, call, name):
    """What comes of a call when the fault passes and when it lasts. Of a clock that is wrong: of the
    first call and of the next. Of an expired token: when there are others to be had, and when not."""
    if name == "skewed clock":
        return _run_skewed(bench, call)
    passing = bench.contained if name == "expired token" else bench.program
    return _run(bench, call, FAULTS[name], passing, 1), _run(bench, call, FAULTS[name], bench.program, None)


def _run(bench, call, fault, program, times):
    bench.reset()
    scene = bench.scene(call, program)
    if program is not bench.program:  # credentials, which are asked for once a second
        assert program.ask(call="GetItem", pk="nobody")["code"] == "OK"
        program.ask(call="Pass", ms=2000)
        bench.reset()
    bench.inject(call, fault.make(call), times=times)
    return bench.make(call, scene, program, impatient=(times or 9) if fault.impatient else 0)


def _run_skewed(bench, call):
    bench.reset()
    first = bench.scene(call, bench.program)
    bench.inject(call, FAULTS["skewed clock"].make(call))
    outcome = bench.make(call, first, bench.program)
    for proxy in bench.proxies.values():
        proxy.forget()
    second = Scene(bench.made)
    if call.before:
        call.before(second)
    return outcome, bench.make(call, second, bench.program)
