# SPDX-License-Identifier: Apache-2.0
"""The protocol of docs/protocol.md, step by step and under the same names. `yield` is a remote call.

`w.bug` names a rule that is broken on purpose (mutants.py); where it is asked for is the rule's place.
"""
from collections import Counter, namedtuple

from world import EMPTY, Lost

OPEN = ("ACCEPTED", "PLANNING", "RUNNING")
STOPPING = {"CANCELLING": "CANCELLED", "EXPIRING": "EXPIRED", "FAILING": "FAILED"}
TERMINAL = ("SUCCEEDED", "CANCELLED", "EXPIRED", "FAILED")

LOOK_AGAIN = 60  # ticks from now to `obd`
PATIENCE = 8  # visits without progress after which messages are sent again although the queue is busy,
A_FEW = 2  # of them at a time
RETENTION, LONGER = 100_000, 70_000  # ticks: of jobs and live children; how much longer of the rest

Manifest = namedtuple("Manifest", "chunks resume last total_chunks total_images")
Chunk = namedtuple("Chunk", "first keys")
Header = namedtuple("Header", "ok er labels model")
Shard = namedtuple("Shard", "header rows")
Booked = namedtuple("Booked", "attempt ok er")
Row = namedtuple("Row", "image key label attempt")  # label None: an error row
Request = namedtuple("Request", "kind key hash keys parent mf deadline key_life")

REFUSED = "REFUSED"


class BadSource(Exception):
    """The list of images cannot be read, and trying again would not help."""


def M(job):
    return ("M", job)


def T(job):
    return ("T", job)


def S(job, segment):
    return ("S", job, segment)


def I(key):  # noqa: E743 - the item's name
    return ("I", key)


def R(parent):
    return ("R", parent)


def absent(item):
    return not item


def exists(item):
    return bool(item)


def always(_item):
    return True


def state_in(*states):
    return lambda item: item.get("st") in states


# ---- submit ----

def submit(p, request):
    """The job's id, or REFUSED. Any number of times, by any number of backends."""
    w = p.world
    p.request = request
    job, cut, ours = w.number(), p.chunk_images, True
    child_first = w.bug != "key_before_live_child"
    if request.parent is not None and child_first:
        job = yield from take_live_child(p, request.parent, job)
    if request.key is not None and w.bug != "key_after_job":
        job, cut, ours = yield from take_key(p, request, job)
    if request.parent is not None and not child_first and ours:
        job = yield from take_live_child(p, request.parent, job)
    if job is REFUSED:
        w.reached.add("request refused")
        return REFUSED
    if ours or w.bug != "loser_does_not_help":
        yield from create(p, request, job, cut)
    if request.key is not None and w.bug == "key_after_job":
        job, cut, ours = yield from take_key(p, request, job)
    w.monitor.answered(request, job)  # 202
    return job


def take_key(p, request, job):
    """Returns (the job that the key names, the chunk size it is to be cut with, whether the key was free)."""
    w = p.world
    now = p.now()
    item = {"job": job, "req": request.hash, "cut": p.chunk_images, "exp": now + request.key_life,
            "ttl": now + request.key_life}
    free = always if w.bug == "key_taken_always" else lambda old: not old or old["exp"] <= now
    won, there = yield w.put, I(request.key), item, free
    if not won and there["req"] != request.hash and w.bug != "request_not_compared":
        return REFUSED, 0, False
    if not won:
        w.reached.add("key known")
    return there["job"], there["cut"], won


def take_live_child(p, parent, job):
    """The child that a retry of `parent` names: the live one, or `job`."""
    w = p.world
    ended = yield w.get, M(parent)
    item = {"job": job, "ttl": ended["ttl"]}  # later there is no parent to be retried
    won, there = yield w.put, R(parent), item, absent
    if won:
        return job
    named = there["job"]
    child = yield w.get, M(named)
    if child.get("st") not in TERMINAL:
        return named  # it lives, or its creator died before M
    still = always if w.bug == "live_child_taken_always" else lambda old: old.get("job") == named
    _, there = yield w.put, R(parent), item, still
    return there["job"]


def create(p, request, job, cut):
    """Creates the job unless it is there, and sees to its first messages."""
    w = p.world
    won, there = False, (yield w.get, M(job))
    if not there:
        if request.kind == "keys" and cut != p.chunk_images:  # while a new version is rolled out
            w.reached.add("another cut")
        cut = p.chunk_images if w.bug == "helper_cuts_its_own_way" else cut
        won, there = yield from create_parts(p, request, job, cut)
    if won or w.bug != "replay_sends_nothing":  # who created it may have died before it had sent all
        try:
            yield from (send_first(p, job, there) if won else send_again(p, job, there))
        except Lost:
            if not w.sweeper_on:  # otherwise the sweeper finds it
                raise


def create_parts(p, request, job, cut):
    """All that belongs to the job, then the job: (created by us, the job that is there)."""
    now = p.now()
    item = {"src": request.kind, "req": request.hash, "mf": request.mf, "par": request.parent,
            "dl": None if request.deadline is None else now + request.deadline,
            "cr": now, "obd": now + LOOK_AGAIN}
    if request.kind == "keys" and len(request.keys) <= cut * p.world.segment_chunks:
        return (yield from create_at_once(p, request, job, item, cut))
    return (yield from create_for_planner(p, request, job, item))


def create_at_once(p, request, job, item, cut):
    """A list that fits one segment needs no planner."""
    w = p.world
    own = make_manifest(request.keys, cut, 0, 0, None, True)
    if w.bug == "job_before_segment":
        made = yield w.put, M(job), {**item, **planned_at_once(own)}, absent
    if w.long_lines:
        own = yield from put_manifest(p, job, 0, own)
    yield w.put, S(job, 0), new_segment(w, own), absent
    if w.bug == "job_before_segment":
        return made
    return (yield w.put, M(job), {**item, **planned_at_once(own)}, absent)


def planned_at_once(manifest):
    return {"st": "RUNNING", "cur": 1, "nseg": 1, "pc": manifest.total_chunks, "pi": manifest.total_images,
            "n": manifest.total_images}


def create_for_planner(p, request, job, item):
    w = p.world
    if request.kind == "keys":
        yield w.put_object, ("keys", job), request.keys
    if w.bug != "tally_after_job":
        yield w.put, T(job), {"full": {}}, absent
    made = yield w.put, M(job), {**item, "st": "ACCEPTED", "cur": 0, "pc": 0, "pi": 0}, absent
    if w.bug == "tally_after_job" and made[0]:
        yield w.put, T(job), {"full": {}}, absent
    return made


def send_first(p, job, there):
    w = p.world
    if there["st"] == "ACCEPTED":
        yield w.send, ("PLAN", job)
    elif there["st"] == "RUNNING" and there["nseg"] == 1:
        segment = yield w.get, S(job, 0)
        if segment:
            yield from send_missing(p, job, 0, segment)


def send_again(p, job, there):
    """The first replay does, and notes it: however often a request is repeated, all is sent twice at most."""
    w = p.world
    if there["st"] == "ACCEPTED" and "snt" not in there:
        if w.bug == "replay_marked_before_sending":
            yield w.update, M(job), state_in("ACCEPTED"), {"snt": 1}
        yield w.send, ("PLAN", job)
        yield w.update, M(job), state_in("ACCEPTED"), {"snt": 1}
    elif there["st"] == "RUNNING" and there["nseg"] == 1:
        segment = yield w.get, S(job, 0)
        if segment and not (w.bug == "replay_sends_only_what_nobody_began" and segment["nd"] > 0):
            yield from send_once(p, job, 0, segment)


def send_once(p, job, s, segment):
    w = p.world
    if segment["st"] != "OPEN" or "snt" in segment:
        return
    if w.bug == "marked_sent_before_sending":
        yield w.update, S(job, s), exists, {"snt": 1}
    yield from send_missing(p, job, s, segment)
    yield w.update, S(job, s), exists, {"snt": 1}


# ---- plan ----

def plan(p, job):
    """Any number of planners. Returns when the message has done its duty and can go."""
    w = p.world
    while True:
        won, m = yield w.update, M(job), state_in("ACCEPTED", "PLANNING"), {"st": "PLANNING"}
        if not won:
            if w.bug != "begin_refused_without_complete":
                yield from complete(p, job)  # who ended planning may have died before it did
            return
        s, before = m["cur"], None
        if s > 0:
            before = yield w.get_object, ("manifest", job, s - 1)
            if w.bug != "no_ensure_at_begin":
                yield from ensure(p, job, s - 1, before)
        has_ended = yield from add_all(p, job, m, s, before)
        if has_ended or w.bug == "overtaken_planner_ends":
            return


def add_all(p, job, m, s, before):
    """From segment s to the end of planning; False when another planner was faster: begin again."""
    while before is None or not before.last:
        try:
            before = yield from add(p, job, m, s, before)
        except BadSource:
            yield from stop_unplannable(p, job, s)
            return False
        if before is None:
            return False
        s += 1
    yield from end_planning(p, job, s, before)
    return True


def stop_unplannable(p, job, s):
    """Only while the job is at this segment: others may have read what we cannot."""
    here = state_in(*OPEN) if p.world.bug == "planner_stops_running_job" else (
        lambda m: m.get("st") == "PLANNING" and m["cur"] == s)
    stopped, _ = yield p.world.update, M(job), here, {"st": "FAILING", "why": "source"}
    return stopped


def add(p, job, m, s, before):
    """Adds segment s after the one whose manifest is `before`. Its manifest, or None when refused."""
    w = p.world
    own = yield from cut_segment(p, job, m, before)
    if w.bug == "segment_before_reservation":
        yield w.put, S(job, s), new_segment(w, own), absent
    manifest = yield from put_manifest(p, job, s, own)
    if w.bug == "planner_ends_by_its_own_cut":
        manifest = manifest._replace(last=own.last)
    here = state_in("PLANNING") if w.bug == "reserved_always" else (
        lambda m: m.get("st") == "PLANNING" and m["cur"] == s)
    won, there = yield w.update, M(job), here, {
        "cur": s + 1, "pc": manifest.total_chunks, "pi": manifest.total_images}
    if not won:
        w.reached.add("segment reserved by another planner")
        if not (there.get("st") == "PLANNING" and there["cur"] == s + 1):
            return None
    yield from ensure(p, job, s, manifest)
    return manifest


def put_manifest(p, job, s, own):
    """Who loses goes on with the winner's: a listing may have changed in between."""
    w = p.world
    key = ("manifest", job, s)
    if w.bug == "manifest_overwritten":
        yield w.put_object, key, own
        return own
    won = yield w.put_object_if_absent, key, own
    if won or w.bug == "loser_keeps_its_cut":
        return own
    winner = yield w.get_object, key
    if winner != own:
        w.reached.add("manifest lost to another cut")
    return winner


def ensure(p, job, s, manifest):
    w = p.world
    if w.bug == "sent_before_segment_exists":
        yield from send_missing(p, job, s, new_segment(w, manifest))
    _, segment = yield w.put, S(job, s), new_segment(w, manifest), absent
    if w.bug == "sent_before_segment_exists" or segment["st"] != "OPEN":
        return
    yield from send_once(p, job, s, segment)
    if is_full(segment) and w.bug != "empty_segment_is_not_filled":
        yield from fill(p, job, s, segment)  # it has no chunk whose worker could


def end_planning(p, job, count, last):
    w = p.world
    planning = always if w.bug == "planning_ends_always" else state_in("PLANNING")
    yield w.update, M(job), planning, {"st": "RUNNING", "nseg": count, "n": last.total_images}
    if w.bug != "end_without_complete":
        yield from complete(p, job)


def send_missing(p, job, s, segment, most=None):
    """The first `most` of them; how many it were."""
    w = p.world
    chunks = range(s * w.segment_chunks, s * w.segment_chunks + segment["n"])
    if w.bug != "sweeper_sends_booked_chunks_again" or most is None:
        chunks = [chunk for chunk in chunks if chunk not in segment["c"]]
    for chunk in chunks[:most]:
        yield w.send, ("CHUNK", job, chunk)
    return len(chunks[:most])


# ---- cutting ----

def make_manifest(keys, cut, chunks_before, images_before, resume, last):
    chunks = tuple(Chunk(images_before + i, tuple(keys[i:i + cut])) for i in range(0, len(keys), cut))
    return Manifest(chunks, resume, last, chunks_before + len(chunks), images_before + len(keys))


def new_segment(w, manifest):
    return {"st": "OPEN", "n": len(manifest.chunks), "nd": 0, "ok": 0, "er": 0, "c": {},
            "lines": None if w.long_lines else manifest.chunks}


def is_full(segment):
    return segment["nd"] == segment["n"]


def cut_segment(p, job, item, before):
    """Fills a segment from the job's source, from where the manifest before it says to go on."""
    w = p.world
    size = p.chunk_images * w.segment_chunks
    resume = before.resume if before else None
    if item["src"] == "prefix":
        keys, resume, last = yield from from_prefix(w, item["req"], resume, size)
    elif item["src"] == "retry":
        keys, resume, last = yield from from_failed_rows(p, item["par"], resume, size)
    else:
        at = resume or 0
        keys = yield w.get_object, ("keys", job) if item["src"] == "keys" else ("images", item["req"])
        if keys is None:
            raise BadSource
        resume, last = at + size, at + size >= len(keys)
        keys = keys[at:at + size]
    return make_manifest(keys, p.chunk_images, before.total_chunks if before else 0,
                         before.total_images if before else 0, resume, last)


def from_prefix(w, prefix, after, size):
    """Page by page; the listing may change between pages and between planners."""
    keys, more = [], True
    while more:
        page, more = yield w.listings.page, prefix, after
        for key in page:
            if len(keys) == size:
                return keys, after, False
            keys.append(key)
            after = key
    return keys, after, True


def from_failed_rows(p, parent, resume, size):
    at = resume or 0
    rows = yield from read_rows(p, parent)
    keys = [row.key for row in rows if row.label is None]
    return keys[at:at + size], at + size, at + size >= len(keys)


# ---- work on a chunk ----

def work_on_chunk(p, job, chunk, message, dead=False):
    """Returns when the message has done its duty and can go."""
    w = p.world
    s = chunk // w.segment_chunks
    p.task = ("CHUNK", job)
    m = yield w.get, M(job)
    if m.get("st") not in OPEN:
        yield from not_open(p, job, m)
        return
    if m["dl"] is not None and p.now() >= m["dl"]:
        yield from stop(p, job, "EXPIRING", "deadline")
        yield from complete(p, job)
        return
    segment = yield w.get, S(job, s)
    if not segment:
        return
    if segment["st"] == "CLOSED":
        yield from complete(p, job)
        return
    if chunk not in segment["c"] or w.bug == "worker_does_not_look_first":
        segment = yield from classify_and_book(p, job, chunk, segment, message, dead)
        if segment is None:
            return
    elif w.bug == "booked_chunk_is_not_followed_up":
        return
    elif w.bug == "booked_chunk_is_only_filled":
        if is_full(segment):
            yield from fill(p, job, s, segment)
        return
    yield from after_booking(p, job, s, segment, m)


def not_open(p, job, m):
    """Who stopped the job, or was finalizing it, may have died half way."""
    bug = p.world.bug
    if not ((bug == "stopped_job_is_left_to_the_sweeper" and m.get("st") in STOPPING)
            or (bug == "finalizing_job_is_left_to_the_sweeper" and m.get("st") == "FINALIZING")):
        yield from complete(p, job)


def classify_and_book(p, job, chunk, segment, message, dead):
    """Steps 3 and 4. The segment after the booking, or None when there is nothing to follow up."""
    w = p.world
    s, attempt = chunk // w.segment_chunks, w.number()
    lines = segment["lines"]
    if lines is None:
        manifest = yield w.get_object, ("manifest", job, s)
        lines = manifest.chunks
    shard = yield w.classify, job, chunk, lines[chunk % w.segment_chunks], attempt, dead
    if w.bug != "no_second_look":
        m = yield w.get, M(job)
        if m.get("st") not in OPEN:
            yield from not_open(p, job, m)
            return None
    w.monitor.looked(p, attempt)
    name = chunk if w.bug == "shard_without_attempt" else (chunk, attempt)
    yield w.put_object, ("result", job, name), shard
    if w.bug == "message_deleted_early" and not dead:
        yield w.delete, message
    booked = Booked(attempt, shard.header.ok, shard.header.er)
    won, there = yield w.update, S(job, s), booking_allowed(w, chunk), lambda old: {
        "c": {**old["c"], chunk: booked}, "nd": old["nd"] + 1,
        "ok": old["ok"] + booked.ok, "er": old["er"] + booked.er}
    if not won:
        w.reached.add("booking refused")
        if w.bug == "loser_does_not_follow_up":
            return None
    if not there:
        return None
    if there["st"] == "CLOSED" and there["c"].get(chunk) != booked:
        yield from complete(p, job)
        return None
    return there


def booking_allowed(w, chunk):
    if w.bug == "booked_twice":
        return state_in("OPEN")
    if w.bug == "booked_when_closed":
        return lambda s: bool(s) and chunk not in s["c"]
    return lambda s: s.get("st") == "OPEN" and chunk not in s["c"]


def after_booking(p, job, s, segment, m):
    """Steps 5 to 7; m is the job as it was seen last."""
    w = p.world
    if "sa" not in m:
        yield w.update, M(job), lambda old: old.get("st") in OPEN and "sa" not in old, {
            "sa": p.now(), "model": "model"}
    if m["mf"] is not None and segment["er"] > m["mf"]:
        m = yield from stop(p, job, "FAILING", "failures")
        if not (w.bug == "refused_move_is_left_to_others" and m.get("st") != "FAILING"):
            yield from complete(p, job)
        return
    if is_full(segment):
        yield from fill(p, job, s, segment)


def shard_of(w, job, chunk, booked):
    return w.get_object, ("result", job, chunk if w.bug == "shard_without_attempt" else (chunk, booked.attempt))


def add_labels(p, job, segment, labels):
    w = p.world
    for chunk, booked in segment["c"].items():
        shard = yield shard_of(w, job, chunk, booked)
        labels.update(shard.header.labels)


def fill(p, job, s, segment):
    """A full segment never changes again, so whoever comes here writes the same."""
    w = p.world
    if w.bug != "tally_before_labels":
        yield from fill_labels(p, job, s, segment)
    tally = (lambda old: {"k": old.get("k", 0) + 1}) if w.bug == "tally_is_a_counter" else (
        lambda old: {"full": {**old.get("full", EMPTY), s: segment["er"]}})
    yield w.update, T(job), always if w.bug == "tally_makes_ghosts" else exists, tally
    yield from complete(p, job)
    if w.bug == "tally_before_labels":
        yield from fill_labels(p, job, s, segment)


def fill_labels(p, job, s, segment):
    labels = Counter()
    yield from add_labels(p, job, segment, labels)
    yield p.world.put_object, ("labels", job, s), labels


# ---- complete ----

def complete(p, job):
    """Moves the job on, whatever its state; anybody may at any time."""
    w = p.world
    read = w.get_stale if w.bug == "stale_reads" else w.get
    m = yield read, M(job)
    if m.get("st") == "RUNNING" or (m.get("st") == "PLANNING" and m["mf"] is not None):
        are_full, failed = yield from full_segments(p, job, m, read)
        if m["mf"] is not None and failed > m["mf"] and w.bug != "complete_forgives_failures":
            m = yield from stop(p, job, "FAILING", "failures")
        elif are_full:
            _, m = yield w.update, M(job), state_in("RUNNING"), {"st": "FINALIZING"}
            if w.bug == "refused_move_is_left_to_others" and m.get("st") != "FINALIZING":
                return
    if m.get("st") == "FINALIZING":
        yield from finalize(p, job, m)
    elif m.get("st") in STOPPING:
        yield from seal(p, job, m)


def full_segments(p, job, m, read):
    """Are all segments full, and how many images failed in those that are?"""
    w = p.world
    if m.get("nseg") == 1:
        segment = yield w.get, S(job, 0)
        return bool(segment) and is_full(segment), segment.get("er", 0)
    tally = yield read, T(job)
    if w.bug == "tally_is_a_counter":
        return tally.get("k", 0) >= m.get("nseg", w.number()), 0
    full = tally.get("full", EMPTY)
    return len(full) == m.get("nseg"), sum(full.values())


def finalize(p, job, m):
    """All segments are frozen, so all finishers compute the same."""
    w = p.world
    labels = Counter()
    segments = []
    ttl = p.now() + RETENTION
    for s in in_any_order(w, m["nseg"]):
        there, segment = yield w.update, S(job, s), exists, {"ttl": ttl + LONGER}
        if not there:
            return  # the job ended long ago
        segments.append(segment)
        if m["nseg"] == 1 and w.bug != "labels_of_one_segment_are_expected":
            yield from add_labels(p, job, segment, labels)  # FILL may not have been here yet
        else:
            labels.update((yield w.get_object, ("labels", job, s)) or {})
    if w.bug != "ttl_after_end":
        yield w.update, T(job), exists, {"ttl": ttl + LONGER}
    yield w.put_object, ("labels", job, "all"), labels
    last = always if w.bug == "ended_always" else state_in("FINALIZING")
    yield w.update, M(job), last, lambda old: ending(p, old, "SUCCEEDED", segments, ttl)
    if w.bug == "ttl_after_end":
        yield w.update, T(job), exists, {"ttl": ttl + LONGER}


def in_any_order(w, count):
    """Of segments: several are closed at once, and none waits for another."""
    return w.random.sample(range(count), max(count, 0))


def ending(p, m, state, segments, ttl):
    """The last change of a job."""
    ok, er = sum(s["ok"] for s in segments), sum(s["er"] for s in segments)
    images = m.get("n", m["pi"])
    change = {"st": state, "ok": ok, "er": er, "sk": images - ok - er, "en": p.now(), "ttl": ttl, "obd": None}
    if ok + er > 0 and "sa" not in m:  # the worker that booked first died before step 5
        change.update(sa=p.now(), model="model")
    return change


# ---- stop ----

def stop(p, job, state, why):
    w = p.world
    states = (*OPEN, "FINALIZING") if w.bug == "finalizing_job_is_stopped" else OPEN
    _, m = yield w.update, M(job), state_in(*states), {"st": state, "why": why}
    return m


def seal(p, job, m):
    w = p.world
    ttl = p.now() + RETENTION
    segments = []
    below = m["cur"] - 1 if w.bug == "reserved_segment_is_not_sealed" else m["cur"]
    for s in in_any_order(w, below):
        if w.bug == "sealed_sums_too_early":
            early = yield w.get, S(job, s)
        closed = yield from close_segment(p, job, s, {"st": "CLOSED", "ttl": ttl + LONGER})
        segments.append((early or closed) if w.bug == "sealed_sums_too_early" else closed)
    yield w.update, T(job), exists, {"ttl": ttl + LONGER}
    last = always if w.bug == "sealed_always" else state_in(m["st"])
    yield w.update, M(job), last, lambda old: ending(p, old, STOPPING[m["st"]], segments, ttl)


def close_segment(p, job, s, change):
    """Closes it, or puts a closed one so that a planner that has reserved it cannot create it."""
    w = p.world
    tombstone = {"n": 0, "nd": 0, "ok": 0, "er": 0, "c": {}, "lines": (), **change}
    while True:
        won, segment = yield w.update, S(job, s), exists, change
        if won or w.bug == "sealed_without_tombstone":
            return segment or tombstone
        won, segment = yield w.put, S(job, s), tombstone, absent
        if won:
            w.reached.add("tombstone")
        if won or w.bug == "tombstone_is_tried_once":
            return segment


def cancel(p, job):
    """A request; repeated by the client until it is answered."""
    w = p.world
    yield from stop(p, job, "CANCELLING", "request")
    if w.random.random() < 0.5:
        yield from complete(p, job)
    else:
        yield w.send, ("SEAL", job)


# ---- sweeper, dead letters ----

def sweep(p, job, due):
    w = p.world
    claim = always if w.bug == "sweeper_claims_always" else lambda m: m.get("obd") == due
    won, m = yield w.update, M(job), claim, {"obd": p.now() + LOOK_AGAIN}
    if not won:
        return
    state = m.get("st")
    if state in OPEN and m["dl"] is not None and p.now() >= m["dl"]:
        yield from stop(p, job, "EXPIRING", "deadline")
        yield from complete(p, job)
    elif state in ("ACCEPTED", "PLANNING"):
        if w.bug != "sweeper_does_not_plan":
            yield from sweep_unplanned(p, job, m)
    else:
        if state == "RUNNING":
            yield from sweep_running(p, job, m)
        if w.bug != "sweeper_does_not_complete":
            yield from complete(p, job)


def note_done(p, job, m, done):
    """Visits in a row that found no more done than the one before."""
    idle = m.get("pv", 0) + 1 if done in (0, m.get("pg", 0)) else 0
    yield p.world.update, M(job), lambda old: "obd" in old, {"pg": done, "pv": idle}
    return idle


def is_power_of_two(number):
    return number > 0 and number & (number - 1) == 0


def sweep_unplanned(p, job, m):
    """One message, so at once, and then ever more seldom, whatever is in the queue."""
    w = p.world
    idle = yield from note_done(p, job, m, m["cur"])
    queue = yield (w.queue_state,)
    if queue == "empty" and idle or is_power_of_two(idle) and w.bug != "sweeper_plans_on_an_empty_queue_only":
        yield w.send, ("PLAN", job)


def may_send(w, idle, queue):
    """How many messages: None is all. Those that wait their turn would be doubled."""
    if queue == "empty" and idle:
        return None
    if not is_power_of_two(idle):
        return 0
    if queue == "working":
        return None
    return A_FEW if idle >= PATIENCE and w.bug != "sweeper_waits_for_an_idle_queue" else 0


def sweep_running(p, job, m):
    w = p.world
    segments = []
    for s in range(m["nseg"]):
        segment = yield w.get, S(job, s)
        if not segment:
            return
        segments.append(segment)
    if m["mf"] is not None and sum(s["er"] for s in segments) > m["mf"]:
        yield from stop(p, job, "FAILING", "failures")
        yield from complete(p, job)
        return
    booked = sum(s["nd"] for s in segments)
    idle = yield from note_done(p, job, m, booked)
    all_full = all(map(is_full, segments))
    if idle == 0 and not all_full:
        return
    w.reached.add("job without progress")
    tally = (yield w.get, T(job)) if m["nseg"] > 1 else EMPTY
    queue = yield (w.queue_state,)
    left = may_send(w, idle, queue)
    for s, segment in enumerate(segments):
        if is_full(segment):
            if m["nseg"] > 1 and s not in tally.get("full", EMPTY) and w.bug != "sweeper_does_not_fill":
                yield from fill(p, job, s, segment)
        elif left != 0 and w.bug != "sweeper_does_not_send_again":
            sent = yield from send_missing(p, job, s, segment, left)
            left = left and left - sent
            if left is not None:
                w.reached.add("a few of many sent again")


def give_up_plan(p, job):
    """A job that was tried so often and is still not planned fails; but not one that gets on."""
    w = p.world
    won, m = yield w.update, M(job), state_in("ACCEPTED", "PLANNING"), {"st": "PLANNING"}
    if won and not (yield from stop_unplannable(p, job, m["cur"])):
        w.reached.add("a dead PLAN of a job that gets on")
        if w.bug != "plan_that_gets_on_is_dropped":
            yield w.send, ("PLAN", job)  # who got on may have had this very message, and be dead
    yield from complete(p, job)


def dead_letter(p, message):
    w = p.world
    kind, job = message.body[:2]
    if w.bug == "dead_letter_deleted_first":
        yield w.delete_dead, message
    if kind == "CHUNK":
        yield from work_on_chunk(p, job, message.body[2], message, dead=True)
        yield w.put_object, ("dlq", message.number), message.body
        w.reached.add("dead letter")
    elif kind == "PLAN":
        if w.bug != "dead_plan_is_dropped":
            yield from give_up_plan(p, job)
    elif kind == "SEAL":
        if w.bug != "dead_plan_is_dropped":
            yield from complete(p, job)
    else:
        return  # not understood: it stays
    yield w.delete_dead, message


# ---- read ----

def read_rows(p, job):
    """The finished rows from the first chunk on, without a gap, as the ledger names them."""
    w = p.world
    rows = []
    m = yield w.get, M(job)
    for s in range(m.get("cur", 0)):
        segment = yield w.get, S(job, s)
        if not segment:
            break
        for chunk in range(s * w.segment_chunks, s * w.segment_chunks + segment["n"]):
            booked = segment["c"].get(chunk)
            if booked is None:
                return rows
            shard = yield shard_of(w, job, chunk, booked)
            w.monitor.row_read(job, chunk, booked, shard)
            rows.extend(shard.rows)
        if segment["n"] < w.segment_chunks:
            break
    return rows
