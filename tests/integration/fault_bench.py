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
from fault_calls import Scene
from fault_proxy import FaultProxy

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("DIC_BIN_DIR", ROOT / "build/asan/bin"))
PROGRAM = BINARIES.parent / "tests/adapter_call"
SERVICES = ("s3", "sqs", "dynamodb")
IDLE_SECONDS = 15
ANSWER_SECONDS = 60  # for real; the program skips all waits
KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


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
        self.decoy = FaultProxy(made.servers["s3"], "s3")  # nobody has business there
        self.decoy.__enter__()
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
            self._contained = Program({**self.without_keys(), **self.agent.variables})
        return self._contained

    def without_keys(self):
        return {k: v for k, v in self.variables.items() if k not in KEY_VARIABLES}

    def end(self):
        for program in (self._program, self._contained):
            if program is not None:
                program.end()
        if self.agent is not None:
            self.agent.end()
        for proxy in self.proxies.values():
            proxy.__exit__(None, None, None)
        self.decoy.__exit__(None, None, None)

    # one call

    def reset(self):
        for proxy in self.proxies.values():
            proxy.clear()
            proxy.wait_idle(IDLE_SECONDS)
            proxy.forget()

    def scene(self, call, program, goes_on=0):
        """A new one, and the program as if it had just been started; or as it went on."""
        scene = Scene(self.made)
        if call.before:
            call.before(scene)
        opened = program.ask(**scene.open_line(), goes_on=goes_on)
        assert opened["code"] == "OK", opened
        return scene

    def inject(self, call, fault, **selection):
        proxy = self.proxies[call.service]
        rule = proxy.add(_before(call.server, fault), name=fault.__name__,
                         operation=(call.operation, *call.also), **selection)
        if call.server:
            proxy.add(_before(call.server, pass_on), operation=call.operation)
        for other, operation in call.rules:
            proxy.add(other, operation=operation)
        return rule

    def count(self, call):
        return sum(self.proxies[call.service].count(name) for name in (call.operation, *call.also))

    def make(self, call, scene, program, impatient=0):
        """Makes the call and looks at what there is then."""
        proxy = self.proxies[call.service]
        answer = program.ask(**call.line(scene), patience_ms=call.patience_ms,
                             patience_skip=call.skip, patience_count=impatient)
        proxy.wait_idle(IDLE_SECONDS)
        return Outcome(answer, self.count(call), call.state and call.state(scene, answer))


async def pass_on(exchange):
    await exchange.relay()


def _before(server, fault):
    """The fault, before a server that answers as server(response) says."""
    async def apply(exchange):
        plain = exchange.forward

        async def forward(request=None, resign=False):
            return server(await plain(request, resign))
        exchange.forward = forward
        await fault(exchange)
    return apply if server else fault


def run_cell(bench, call, fault):
    """What comes of a call when the fault passes and when it lasts. Of a clock that is wrong: of the
    first call and of the next. Of an expired token: when there are others to be had, and when not."""
    if fault.lasts:
        return _run_both(bench, call, fault)
    passing = bench.contained if fault.is_of_credentials else bench.program
    return (_run(bench, call, fault, passing, 1), _run(bench, call, fault, bench.program, None))


def _run(bench, call, fault, program, times):
    bench.reset()
    scene = bench.scene(call, program)
    if program is not bench.program:  # credentials, which are asked for once a second
        assert program.ask(call="GetItem", pk="nobody")["code"] == "OK"
        program.ask(call="Pass", ms=2000)
        bench.reset()
    bench.inject(call, fault.make(bench, call), times=times)
    return bench.make(call, scene, program, impatient=(times or 9) if fault.impatient else 0)


def _run_both(bench, call, fault):
    bench.reset()
    first = bench.scene(call, bench.program)
    bench.inject(call, fault.make(bench, call))
    outcome = bench.make(call, first, bench.program)
    for proxy in bench.proxies.values():
        proxy.forget()
    return outcome, bench.make(call, bench.scene(call, bench.program, goes_on=1), bench.program)
