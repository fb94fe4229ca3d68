#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Simulator of docs/protocol.md: its executable specification, and a search for what breaks it.

    sim.py [--seeds FROM:TO] [--mutant NAME] [--no-sweeper]   counts the schedules that break an invariant
    sim.py --table FROM:TO                                    the same for every mutant, sweeper on and off
    sim.py --record FROM:TO                                   the same as JSON, for caught.json

A seed is one schedule: a few clients, workers, sweepers, a reader; what they ask for; and which calls crash,
fail with an unknown outcome, are repeated, freeze, or meet a clock that jumps. The same seed is the same
schedule anywhere. For a while there are faults, then there is calm, in which every job must end; then time to
live does its work, and what comes late must leave no ghosts.

Without the sweeper no message gets lost, and a client asks until it is answered: then everything must end just
the same, so that the sweeper hides no mistake.

Where to read on: steps.py is the protocol; world.py the table, bucket, queue, processes and faults; checks.py
the invariants; mutants.py the rules that are broken on purpose, one at a time. Add a rule to the protocol with
its mutant: a rule whose mutant nobody notices is not needed, or not tested.

The C code itself runs under such schedules in tests/sim: ledger_sim_test.c puts lib/store/job_store_ledger.c and
the planner over the memory adapters of sim_world.c. What corresponds to what:

    steps.py                             C
    submit, take_key, take_live_child    job_store create (ledger_create.c)
    plan, add, ensure, end_planning      begin_plan, add_segment (ledger_plan.c); the loop is planner.c's
    stop_unplannable                     fail_plan
    work_on_chunk                        get_chunk: step 2; book: steps 3 to 7 (ledger_book.c); worker.c does 1 and 8
    fill, complete, stop, seal           the same names (ledger_end.c)
    sweep                                sweep (ledger_sweep.c)
    read_rows                            rows
    World: get, put, update, outbox      port table.h: get, put, update, query
    put_object, get_object; Listings     port blob_store.h: put (if_absent), get; list
    send, receive, give_back, delete,    port job_queue.h: send, receive, extend by 0, remove,
      queue_state                          depth
    a process; one yield                 an actor; one operation of a port, before which another actor may run
    "fail"                               fails: UPSTREAM, applied or not
    "crash"                              kills: all further operations of the actor do nothing and fail
    "lose", "purge"; "duplicate",        drops; duplicates; delays
      "ignore_delete"; "delay"
    "freeze", HOT                        an actor that is not chosen for a while
    "repeat", "jump", Listings' changes  only here: the AWS client's own retries, clocks, changing listings
"""
import argparse
import concurrent.futures
import itertools
import json
import random
import sys
import time

import steps
from checks import Monitor
from mutants import HARMLESS, MUTANTS
from steps import LOOK_AGAIN, Header, Request, Row, Shard
from world import Crashed, Lost, Message, Violation, World

CALM_STEPS = 12_000  # after the faults everything must end within so many steps

# A seed may choose one kind of call before which processes freeze often.
HOT = [(None, None)] * 8 + [
    *(("get", kind) for kind in "MST"), *(("put", kind) for kind in "MMSSSSTIR"),
    *(("update", kind) for kind in "MMSSTR"), ("put_object", "result"), ("put_object", "labels"),
    ("put_object_if_absent", "manifest"), ("get_object", "manifest"), ("get_object", "images"),
    ("send", "CHUNK"), ("classify", None), ("page", None), ("delete", None)]


class Scenario:
    """One seed: what is asked for, who works, and what goes wrong."""

    def __init__(self, seed, bug=None, sweeper=True):
        self.random = r = random.Random(seed)
        self.monitor = Monitor()
        sizes = r.choice(((1,), (2,), (1, 2), (1, 3)))
        self.world = w = World(r, self.monitor, bug, self.rates(sweeper), sizes)
        self.monitor.world = w
        w.sweeper_on = sweeper
        w.segment_chunks = r.randint(1, 3)
        w.long_lines = r.random() < 0.5
        w.visibility = r.choice((60, 150))
        w.always_busy = r.random() < 0.3
        w.hot = r.choice(HOT)
        w.classify = self.classify
        self.poison = set()
        self.poison_rate = r.choice((0, 0, 0.02))
        self.bad_rate = r.choice((0, 0.1, 0.4))
        self.unanswered = 0  # requests still to be answered
        self.fault_steps = r.randint(50, 700)
        self.populate(sweeper)

    def rates(self, sweeper):
        r = self.random
        crash, fail, repeat, freeze, jump = (
            r.choice(c) for c in ((0, .01, .04), (0, .02, .1), (0, .02, .1), (0, .02, .05), (0, .005)))
        return {"crash": crash, "fail": crash + fail, "repeat": crash + fail + repeat,
                "freeze": crash + fail + repeat + freeze, "jump": crash + fail + repeat + freeze + jump,
                "lose": r.choice((0, 0, .05)) if sweeper else 0, "purge": r.choice((0, .01)) if sweeper else 0,
                "duplicate": r.choice((0, .03, .15)), "delay": r.choice((0, .1)),
                "drain": 0.03, "ignore_delete": r.choice((0, .03)), "stale_index": r.choice((0, .1)),
                "listing_changes": r.choice((0, .3))}

    # ---- who is there ----

    def populate(self, sweeper):
        w, r = self.world, self.random
        for _ in range(r.randint(1, 3)):
            w.add(self.worker)
        w.add(self.dead_letter_consumer)
        w.add(self.reader)
        for _ in range(r.randint(1, 2) if sweeper else 0):
            w.add(self.sweeper)
        for number in range(r.randint(1, 2)):
            self.submitters(self.new_request(number))

    def new_request(self, number):
        w, r = self.world, self.random
        kind = r.choice(("keys", "keys", "prefix", "manifest"))
        keys = tuple(range(0, 10 * r.randint(1, 14), 10))
        name = f"request {number}"
        if kind == "prefix":
            keys = keys[:r.randint(0, len(keys))]
            w.listings.add(name, keys)
        if kind == "manifest":
            w.objects["images", name] = keys
        return self.register(Request(
            kind, f"key {r.randint(0, 1)}" if r.random() < 0.7 else None, name, keys, None,
            r.randint(0, 3) if r.random() < 0.3 else None,
            r.randint(20, 800) if r.random() < 0.2 else None,
            r.randint(50, 400) if r.random() < 0.3 else 90_000))

    def register(self, request):
        self.monitor.requests[request.hash] = request
        return request

    def submitters(self, request):
        """The client asks once or, when it got no answer, several times at once; a few are cancelled."""
        w, r = self.world, self.random
        for _ in range(r.randint(1, 3 if request.key else 1)):
            self.unanswered += 1
            w.add(lambda p: self.client(p, request))
        if r.random() < 0.3:
            w.add(lambda p: self.canceller(p, request.hash))
        if request.kind == "manifest" and r.random() < 0.5:
            w.add(lambda p: self.remover(p, request.hash), restarts=False)
        if request.parent is None and r.random() < 0.4:
            w.add(lambda p: self.retrier(p, request.hash))

    # ---- processes ----

    def worker(self, p):
        w = self.world
        while True:
            p.task = None
            message = yield (w.receive,)
            if message is None:
                yield w.random.randint(5, 25)
                continue
            if w.chance("drain"):
                yield w.give_back, message
                continue
            try:
                kind, job, *rest = message.body
                p.task = kind
                if kind == "PLAN":
                    yield from steps.plan(p, job)
                elif kind == "SEAL":
                    yield from steps.complete(p, job)
                else:
                    yield from steps.work_on_chunk(p, job, *rest, message)
                yield w.delete, message
            except Lost:
                pass  # the message comes back

    def dead_letter_consumer(self, p):
        w = self.world
        while True:
            try:
                message = yield (w.receive_dead,)
                if message is not None:
                    yield from steps.dead_letter(p, message)
            except Lost:
                pass
            yield w.random.randint(10, 40)

    def sweeper(self, p):
        w = self.world
        while True:
            try:
                for job, due in (yield w.outbox, p.now()):
                    yield from steps.sweep(p, job, due)
            except Lost:
                pass
            yield w.random.randint(20, 40)

    def reader(self, p):
        w = self.world
        while True:
            jobs = list(self.monitor.answers)
            if jobs:
                job = w.random.choice(jobs)
                try:
                    rows = yield from steps.read_rows(p, job)
                    self.monitor.rows_read(job, rows)
                except Lost:
                    pass
            yield w.random.randint(20, 60)

    def client(self, p, request):
        """Asks until it is answered, and perhaps once more."""
        w = self.world
        yield w.random.randint(0, 120)
        for _ in range(w.random.choice((1, 1, 2))):
            while True:
                p.chunk_images = w.random.choice(w.chunk_settings)  # any backend may answer
                try:
                    yield from steps.submit(p, request)
                    break
                except Lost:
                    yield w.random.randint(1, 30)
            yield w.random.randint(0, 300)
        self.unanswered -= 1

    def canceller(self, p, request_hash):
        w = self.world
        yield w.random.randint(0, 300)
        for job, hashed in list(self.monitor.answers.items()):
            while hashed == request_hash:
                try:
                    yield from steps.cancel(p, job)
                    break
                except Lost:
                    yield w.random.randint(1, 30)

    def remover(self, _p, request_hash):
        """The client's manifest vanishes, at any time or when the job seems to have been planned."""
        yield self.random.randint(50, 300)
        if self.random.random() < 0.7:
            while not any(item.get("req") == request_hash and "n" in item for item in self.world.items.values()):
                yield 10
        self.world.objects.pop(("images", request_hash), None)

    def retrier(self, p, request_hash):
        """Asks for the failed images of a job that has ended, several times at once."""
        w, r = self.world, self.random
        for _ in range(40):
            yield r.randint(20, 60)
            for job, hashed in list(self.monitor.answers.items()):
                if hashed == request_hash and w.get(steps.M(job)).get("st") in steps.TERMINAL:
                    for number in range(r.randint(1, 3)):
                        key = f"key {r.randint(2, 3)}" if r.random() < 0.6 else None
                        self.submitters(self.register(Request(
                            "retry", key, f"retry {number} of {job}", (), job, None, None, 90_000)))
                    return

    # ---- the model ----

    def classify(self, job, chunk, lines, attempt, dead):
        """The rows of one attempt. Attempts differ on purpose, so that mixing two of them shows."""
        r = self.random
        if self.poison_rate and not dead:
            if (job, chunk) not in self.poison and r.random() < self.poison_rate:
                self.poison.add((job, chunk))
            if (job, chunk) in self.poison:
                raise Crashed
        rows = []
        for i, key in enumerate(lines.keys):
            label = None if dead or r.random() < self.bad_rate else f"label {(int(key) + attempt) % 3}"
            rows.append(Row(lines.first + i, key, label, attempt))
        labels = steps.Counter(row.label for row in rows if row.label is not None)
        return Shard(Header(sum(labels.values()), len(rows) - sum(labels.values()), labels, "model"), tuple(rows))

    # ---- running ----

    def run(self):
        """Faults for a while, then calm until everything has ended. Raises Violation."""
        w = self.world
        while w.steps < self.fault_steps:
            w.step()
        w.calm()
        limit = w.steps + CALM_STEPS
        while not self.is_over():
            for _ in range(20):
                w.step()
            if w.steps > limit:
                break
        self.monitor.finish()
        if not self.monitor.unfinished():
            self.long_after()

    def long_after(self):
        """Everything has expired. Late messages and who was frozen meanwhile must leave no ghosts."""
        w = self.world
        jobs = list(self.monitor.ended)
        for process in w.processes:
            if process.task == "PLAN":  # a planner that sleeps for weeks is given up
                process.crash()
        w.items = {key: item for key, item in w.items.items() if "ttl" not in item}
        for job in jobs:
            for body in (("PLAN", job), ("CHUNK", job, 0), ("SEAL", job)):
                w.send(body)
            w.dead_letters.append(Message(w.number(), ("CHUNK", job, 1), 0))
            w.add(lambda p, job=job: steps.cancel(p, job), restarts=False)
            if w.sweeper_on:
                w.add(lambda p, job=job: steps.sweep(p, job, LOOK_AGAIN), restarts=False)
        end = w.now + 500
        while w.now < end:
            w.step()
        self.monitor.nothing_is_left()

    def is_over(self):
        w = self.world
        return self.unanswered <= 0 and not w.queue and not w.dead_letters and not self.monitor.unfinished()


def run(seed, bug=None, sweeper=True):
    """The violation of one seed, or None."""
    try:
        Scenario(seed, bug, sweeper).run()
    except Violation as violation:
        return str(violation)
    except (LookupError, TypeError, AttributeError) as error:
        if bug is None:
            raise
        return f"error: a step met what it cannot handle: {error!r}"  # as good: the C code would answer INTERNAL
    return None


def count(seeds, bug, sweeper):
    """The seeds that break an invariant, with what each breaks."""
    return {seed: broken for seed in seeds if (broken := run(seed, bug, sweeper)) is not None}


def row_of(name, sentence, seeds):
    found = [count(seeds, name, sweeper) for sweeper in (True, False)]
    kinds = sorted({broken.split()[0].rstrip(":") for caught in found for broken in caught.values()})
    return f"| `{name}`: {sentence} | {len(found[0])} | {len(found[1])} | {' '.join(kinds)} |"


def table(seeds):
    print(f"Mutants: schedules of {len(seeds)} that break an invariant\n")
    print("| rule broken | sweeper on | off | noticed as |\n|---|---|---|---|")
    rules = {**MUTANTS, **HARMLESS}
    with concurrent.futures.ProcessPoolExecutor() as pool:
        for line in pool.map(row_of, rules.keys(), rules.values(), itertools.repeat(seeds)):
            print(line, flush=True)


def first_to_notice(name, seeds, wanted):
    caught = {}
    for mode in ("on", "off"):
        noticing = (seed for seed in seeds if run(seed, name, mode == "on") is not None)
        caught[mode] = list(itertools.islice(noticing, wanted))
    return f"  {json.dumps(name)}: {json.dumps(caught)}"


def record(seeds, wanted=3):
    """The first seeds that notice each mutant."""
    with concurrent.futures.ProcessPoolExecutor() as pool:
        lines = pool.map(first_to_notice, MUTANTS, itertools.repeat(seeds), itertools.repeat(wanted))
        print("{\n" + ",\n".join(lines) + "\n}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="0:1000")
    parser.add_argument("--mutant", choices=[*MUTANTS, *HARMLESS])
    parser.add_argument("--no-sweeper", action="store_true")
    parser.add_argument("--table")
    parser.add_argument("--record")
    options = parser.parse_args()
    seeds = range(*map(int, (options.table or options.record or options.seeds).split(":")))
    if options.table:
        table(seeds)
    elif options.record:
        record(seeds)
    else:
        started = time.process_time()
        broken = count(seeds, options.mutant, not options.no_sweeper)
        for seed, what in list(broken.items())[:20]:
            print(f"seed {seed}: {what}")
        print(f"{len(broken)} of {len(seeds)} schedules break an invariant; "
              f"{len(seeds) / (time.process_time() - started):.0f} a second")
        sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
