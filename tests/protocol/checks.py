# SPDX-License-Identifier: Apache-2.0
"""The invariants of docs/protocol.md. They are checked where they could break: at every write of an item,
at every row read, at every answer, and at the end. They know what a job is, and nothing of how the steps
go about it."""
from collections import Counter
from itertools import pairwise

from steps import OPEN, STOPPING, TERMINAL, M, R, S
from world import EMPTY, Violation

MOVES = {None: ("ACCEPTED", "RUNNING"), "ACCEPTED": ("PLANNING",), "PLANNING": ("RUNNING",),
         "RUNNING": ("FINALIZING",), "FINALIZING": ("SUCCEEDED",)}
FROZEN = ("st", "ok", "er", "sk", "n", "nseg", "en")  # of an ended job


def ensure(holds, rule, *what):
    if not holds:
        raise Violation(f"{rule}: {' '.join(map(str, what))}")


class Monitor:
    def __init__(self):
        self.world = None
        self.requests = {}  # hash → Request
        self.answers = {}  # job → hash of the request that was answered 202
        self.named = {}  # idempotency key → [(job, request hash)], one for each time it was free
        self.ended = Counter()  # job → how often it ended
        self.stopped_at = {}  # job → step
        self.looks = {}  # attempt → step at which its worker had seen the job open
        self.prefix = {}  # job → the longest finished prefix that a reader has seen

    # ---- writes ----

    def written(self, key, old, new):
        kind = key[0]
        if kind == "M":
            self.job_written(key[1], old, new)
        elif kind == "S":
            self.segment_written(key[1], old, new)
        elif kind == "I":
            self.key_written(key[1], old, new)
        elif kind == "R" and old:
            self.world.reached.add("live child replaced")

    def job_written(self, job, old, new):
        before, after = old.get("st"), new.get("st")
        if before in TERMINAL:
            ensure(all(old.get(name) == new.get(name) for name in FROZEN), "I2 an ended job changed", job, old, new)
            ensure("obd" not in new, "I2 an ended job is in the outbox", job)
        elif before != after:
            allowed = MOVES.get(before, ()) + (tuple(STOPPING) if before in OPEN else ())
            if before in STOPPING:
                allowed = (STOPPING[before],)
            ensure(after in allowed, "I2 no such move", job, before, after)
            if before is None:
                self.job_created(job, new)
            if after == "EXPIRING":
                ensure(self.world.now + 150 >= new["dl"], "I1 expired before its deadline", job, new)
            if after in STOPPING:
                self.stopped_at[job] = self.world.steps
            if after in TERMINAL:
                self.job_ended(job, new)

    def job_created(self, job, new):
        request = self.world.current.request
        if request.key is not None:
            ensure((job, request.hash) in self.named.get(request.key, ()),
                   "I7 a job was created that its key does not name", job, request.key)
        if request.parent is not None:
            ensure(self.world.get(R(request.parent)).get("job") == job, "I7 not the live child", job)
            others = [key[1] for key, item in self.world.items.items() if key[0] == "M" and key[1] != job
                      and item.get("par") == request.parent and item["st"] not in TERMINAL]
            ensure(not others, "I7 two live children", job, others)

    def job_ended(self, job, new):
        self.world.reached.update((new["st"], new["src"], f"{min(new['cur'], 2)} segments"))
        self.ended[job] += 1
        ensure(self.ended[job] == 1, "I6 a job ended again", job)
        ensure("obd" not in new and "ttl" in new, "I2 an ended job must leave the outbox and get a ttl", job)
        segments = self.segments(job)
        ok, er = (sum(b[i] for s in segments for b in s["c"].values()) for i in (1, 2))
        ensure((new["ok"], new["er"]) == (ok, er), "I1 totals are not the ledger's", job, new, ok, er)
        if new["st"] == "SUCCEEDED":
            ensure(ok + er == new["n"] and new["sk"] == 0, "I1 images are missing", job, new)
            ensure(new["mf"] is None or er <= new["mf"], "I1 succeeded with too many failures", job, new)
        else:
            ensure(new["sk"] >= 0 and ok + er + new["sk"] == new.get("n", new["pi"]), "I1 skipped", job, new)
        if new["st"] == "FAILED":
            bad_source = new["why"] == "source" and "n" not in new
            self.world.reached.add(f"failed: {new['why']}")
            ensure(bad_source or (new["mf"] is not None and er > new["mf"]), "I1 failed for no reason", job, new)
        ensure(ok + er == 0 or "sa" in new, "I1 an ended job with rows has no start", job, new)

    def segments(self, job):
        return [item for key, item in self.world.items.items() if key[0] == "S" and key[1] == job]

    def segment_written(self, job, old, new):
        booked_before, booked = old.get("c", EMPTY), new.get("c", EMPTY)
        if booked is booked_before or booked == booked_before:
            return
        ensure(all(booked.get(c) == b for c, b in booked_before.items()), "I4 a booked chunk changed", job, old, new)
        ensure(old.get("st") != "CLOSED", "I5 booked in a closed segment", job)
        ensure(self.world.get(M(job)).get("st") not in TERMINAL, "I5 booked after the end", job)
        for chunk in booked.keys() - booked_before.keys():
            looked = self.looks[booked[chunk].attempt]
            ensure(looked < self.stopped_at.get(job, looked + 1), "I5 a booking began after the stop", job, chunk)

    def key_written(self, key, old, new):
        taken_at = new["exp"] - self.world.current.request.key_life
        ensure(not old or old["exp"] <= taken_at, "I7 a valid key was taken", key, old, new)
        if old:
            self.world.reached.add("key free again")
        self.named.setdefault(key, []).append((new["job"], new["req"]))

    # ---- what clients and workers see ----

    def looked(self, process, attempt):
        """The worker of this attempt goes on to book; its last call showed it the job open."""
        self.looks[attempt] = process.called_at

    def answered(self, request, job):
        there = self.world.get(M(job))
        ensure(there, "I3 a job that was answered does not exist", job)
        if request.key is not None:
            ensure((job, request.hash) in self.named.get(request.key, ()), "I7 not the key's job", job, request.key)
        ensure(request.parent is not None or there["req"] == request.hash, "I7 another request's job", job)
        self.answers[job] = request.hash

    def row_read(self, job, chunk, booked, shard):
        ensure(shard is not None, "I4 a booked chunk has no rows", job, chunk)
        ensure(all(row.attempt == booked.attempt for row in shard.rows), "I4 rows of another attempt", job, chunk)

    def rows_read(self, job, rows):
        known = self.prefix.get(job, ())
        short, long = sorted((known, rows), key=len)
        ensure(list(long[:len(short)]) == list(short), "I4 a finished prefix changed", job, known, rows)
        self.prefix[job] = long

    # ---- at the end ----

    def unfinished(self):
        """Without the sweeper a job whose client gave up before it was answered may wait for ever."""
        return [key[1] for key, item in self.world.items.items() if key[0] == "M" and item["st"] not in TERMINAL
                and (self.world.sweeper_on or key[1] in self.answers)]

    def finish(self):
        for job in self.unfinished():
            ensure(False, "I3 a job has not ended", job, self.world.get(M(job)))
        for key, item in self.world.items.items():
            if key[0] == "M" and item["st"] in TERMINAL:
                self.job_finished(key[1], item)

    def job_finished(self, job, m):
        for key, item in self.world.items.items():
            if key[0] in "ST" and key[1] == job:
                ensure(item.get("ttl", 0) > m["ttl"], "ttl: an item outlives its job for ever", key, item)
        if m["st"] != "SUCCEEDED":
            return
        rows, labels = [], Counter()
        for s in range(m["nseg"]):
            segment = self.world.get(S(job, s))
            for chunk in sorted(segment["c"]):
                booked = segment["c"][chunk]
                shard = self.world.get_object(("result", job, (chunk, booked.attempt))) or \
                    self.world.get_object(("result", job, chunk))
                self.row_read(job, chunk, booked, shard)
                rows += shard.rows
                labels += shard.header.labels
        ensure([row.image for row in rows] == list(range(m["n"])), "I1 rows", job, rows)
        ensure(self.world.get_object(("labels", job, "all")) == labels, "I1 labels", job, labels)
        self.check_keys(job, m, [row.key for row in rows])

    def check_keys(self, job, m, keys):
        request = self.requests[m["req"]]
        if m["src"] == "prefix":
            ensure(all(a < b for a, b in pairwise(keys)), "I8 not one cut of the listing", job, keys)
            ensure(self.world.listings.shown[request.hash].issuperset(keys), "I8 a key that was never there", job)
        if m["src"] in ("keys", "manifest"):
            ensure(keys == list(request.keys), "I8 not the images that were asked for", job, keys)
        planned = [self.world.get_object(("manifest", job, s)) for s in range(m["nseg"])]
        if None not in planned:
            listed = [key for manifest in planned for chunk in manifest.chunks for key in chunk.keys]
            ensure(keys == listed, "I8 not the winners' cut", job, keys, listed)

    def nothing_is_left(self):
        """Time to live has done its work, and late messages have come: only what has a ttl may have come back."""
        left = [key for key, item in self.world.items.items() if key[1] in self.ended and "ttl" not in item]
        ensure(not left, "ttl: ghosts", left)
