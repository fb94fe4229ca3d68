# SPDX-License-Identifier: Apache-2.0
"""The simulated surroundings: a table with conditional writes, a bucket, a queue that delivers at least
once, processes that crash and freeze, and a clock for each of them. Everything random comes from one
seeded generator, so a seed is a schedule.

A process is a generator. What it yields is one remote call, `(function, arguments…)`, or a number: sleep
for so many ticks. Between two yields nothing else runs, so every call is atomic and everything may happen
between two calls. Items are replaced and never changed in place, so a reader keeps what it has read.
"""

EMPTY = {}


class Lost(Exception):
    """The caller sees an error. Whether the call took effect is not known."""


class Crashed(Exception):
    """The process that made this call is dead."""


class Violation(Exception):
    """An invariant does not hold."""


class Process:
    """One process of one machine: it has a clock of its own, and starts again when it has crashed."""

    __slots__ = ("again", "called_at", "chunk_images", "error", "finished", "main", "reply", "request", "restarts",
                 "run", "skew", "task", "thawed", "wake", "world")

    def __init__(self, world, main, restarts=True):
        self.world, self.main, self.restarts = world, main, restarts
        self.finished = False
        self.called_at = 0  # the step of its last call
        self.skew = 0
        self.chunk_images = world.random.choice(world.chunk_settings)
        self.start()

    def start(self):
        self.run = self.main(self)
        self.reply = self.error = self.again = None
        self.thawed = False
        self.task = self.request = None  # for the checks: what it is doing
        self.wake = self.world.now

    def crash(self):
        self.run.close()
        if self.restarts:
            self.start()
            self.wake = self.world.now + self.world.random.randint(1, 40)
        else:
            self.finished = True

    def now(self):
        return self.world.now + self.skew


class Message:
    __slots__ = ("body", "number", "received", "visible_at")

    def __init__(self, number, body, visible_at):
        self.number, self.body, self.visible_at, self.received = number, body, visible_at, 0


class Listings:
    """Prefixes of the image bucket, whose objects come and go while somebody lists them."""

    PAGE_KEYS = 3

    def __init__(self, world):
        self.world = world
        self.keys = {}  # prefix → sorted keys
        self.shown = {}  # prefix → every key that a listing has shown

    def add(self, prefix, keys):
        self.keys[prefix] = sorted(keys)
        self.shown[prefix] = set()

    def page(self, prefix, after):
        """(keys that are greater than `after`, whether there are more)."""
        keys, random = self.keys[prefix], self.world.random
        if self.world.chance("listing_changes"):
            if keys and random.random() < 0.5:
                keys.remove(random.choice(keys))
            else:
                keys.append(random.randint(0, 99) + random.random())
                keys.sort()
        found = [key for key in keys if after is None or key > after]
        self.shown[prefix].update(found[:self.PAGE_KEYS])
        return found[:self.PAGE_KEYS], len(found) > self.PAGE_KEYS


class World:
    def __init__(self, random, monitor, bug, faults, chunk_settings):
        self.random, self.monitor, self.bug = random, monitor, bug
        self.faults = faults  # the rates below; None once the world is calm
        self.chunk_settings = chunk_settings
        self.hot = (None, None)  # (function's name, kind of key or None): before such a call processes freeze often
        self.now = 0
        self.steps = 0
        self.reached = set()  # what has happened, for the test that everything does
        self.current = None  # the process whose call is being made
        self.processes = []
        self.items = {}
        self.before = {}  # the version of an item before the last write, for reads that are not consistent
        self.objects = {}
        self.listings = Listings(self)
        self.queue, self.dead_letters = [], []
        self.numbers = 0
        self.visibility = 120
        self.max_receives = 5
        self.always_busy = False  # other jobs' messages are visible at any time

    def number(self):
        self.numbers += 1
        return self.numbers

    def chance(self, name):
        happens = self.faults is not None and self.random.random() < self.faults[name]
        if happens:
            self.reached.add(name)
        return happens

    # ---- table: each function is atomic for its item ----

    def get(self, key):
        return self.items.get(key, EMPTY)

    def get_stale(self, key):
        return self.random.choice((self.items.get(key, EMPTY), self.before.get(key, EMPTY)))

    def put(self, key, item, condition):
        """Replaces the whole item. Returns (applied, the new item or the one that was there)."""
        old = self.items.get(key, EMPTY)
        if not condition(old):
            return False, old
        self._write(key, old, item)
        return True, item

    def update(self, key, condition, change):
        """Sets attributes; None removes one. Makes an item where none is, if the condition allows that."""
        old = self.items.get(key, EMPTY)
        if not condition(old):
            return False, old
        new = dict(old)
        for name, value in (change(old) if callable(change) else change).items():
            if value is None:
                new.pop(name, None)
            else:
                new[name] = value
        self._write(key, old, new)
        return True, new

    def _write(self, key, old, new):
        self.before[key] = old
        self.items[key] = new
        self.monitor.written(key, old, new)

    def outbox(self, until):
        """The index of what is due. Eventually consistent: an old entry may show, a new one be missing."""
        found = []
        for key, item in list(self.items.items()):
            if key[0] == "M":
                due = item.get("obd")
                if self.chance("stale_index"):
                    due = self.before.get(key, EMPTY).get("obd")
                if due is not None and due <= until:
                    found.append((key[1], due))
        return found

    # ---- bucket ----

    def put_object(self, key, value):
        self.objects[key] = value

    def put_object_if_absent(self, key, value):
        if key in self.objects:
            return False
        self.objects[key] = value
        return True

    def get_object(self, key):
        return self.objects.get(key)

    # ---- queue ----

    def send(self, body):
        copies = 0 if self.chance("lose") else 2 if self.chance("duplicate") else 1
        for _ in range(copies):
            delay = self.random.randint(1, 200) if self.chance("delay") else 0
            self.queue.append(Message(self.number(), body, self.now + delay))

    def receive(self):
        if not self.queue:
            return None
        if self.chance("purge"):
            self.queue.remove(self.random.choice(self.queue))
        again = self.chance("duplicate")
        ready = [m for m in self.queue if again or m.visible_at <= self.now]
        if not ready:
            return None
        message = self.random.choice(ready)
        message.received += 1
        if message.received > self.max_receives:
            self.queue.remove(message)
            self.dead_letters.append(message)
            return None
        message.visible_at = self.now + self.visibility
        return message

    def give_back(self, message):
        message.visible_at = self.now

    def delete(self, message):
        if message in self.queue and not self.chance("ignore_delete"):
            self.queue.remove(message)

    def queue_state(self):
        """empty: nothing is in it. working: all that is in it is hidden. busy: messages are visible."""
        if self.always_busy or any(m.visible_at <= self.now for m in self.queue):
            return "busy"
        return "working" if self.queue else "empty"

    def receive_dead(self):
        return self.random.choice(self.dead_letters) if self.dead_letters else None

    def delete_dead(self, message):
        if message in self.dead_letters and not self.chance("ignore_delete"):
            self.dead_letters.remove(message)

    # ---- running ----

    def add(self, main, restarts=True):
        process = Process(self, main, restarts)
        self.processes.append(process)
        return process

    def calm(self):
        """No further faults; clocks are right again. Who is frozen stays so for its time."""
        self.faults = None
        for process in self.processes:
            process.skew = 0

    def step(self):
        """One call of one process that is neither asleep nor frozen."""
        now = self.now
        ready = [p for p in self.processes if p.wake <= now and not p.finished]
        while not ready:
            sleeping = [p for p in self.processes if not p.finished]
            self.now = now = min(p.wake for p in sleeping)
            ready = [p for p in sleeping if p.wake <= now]
        self.now += 1
        self.steps += 1
        process = ready[int(self.random.random() * len(ready))]
        call = self._next_call(process)
        if call is None:
            return
        if type(call) is int:
            process.wake = now + call
            return
        self.current = process
        process.called_at = self.steps
        try:
            if self.faults is None:
                process.reply = call[0](*call[1:])
            else:
                self._call_with_faults(process, call)
        except Crashed:
            process.crash()

    @staticmethod
    def _next_call(process):
        """The next call the process makes; None when it has none."""
        try:
            if process.again is not None:
                call, process.again = process.again, None
                return call
            if process.error is not None:
                error, process.error = process.error, None
                return process.run.throw(error)
            reply, process.reply = process.reply, None
            return process.run.send(reply)
        except StopIteration:
            process.finished = True
        except Lost:  # nothing caught it: the process gives up and starts anew
            process.crash()
        return None

    def _is_hot(self, call):
        name, kind = self.hot
        return call[0].__name__ == name and (kind is None or call[1][0] == kind)

    def _call_with_faults(self, process, call):
        rates = self.faults
        draw = self.random.random()
        if process.thawed:
            process.thawed = False
        elif draw < 0.4 and self._is_hot(call):
            process.wake, process.again, process.thawed = self.now + self.random.randint(20, 400), call, True
            return
        if draw >= rates["jump"]:
            process.reply = call[0](*call[1:])
            return
        takes_effect = self.random.random() < 0.5
        reply = call[0](*call[1:]) if takes_effect else None
        kind = next(name for name in ("crash", "fail", "repeat", "freeze", "jump") if draw < rates[name])
        self.reached.add(kind)
        if kind == "crash":
            process.crash()
        elif kind == "fail":
            process.error = Lost()
        else:
            if kind == "freeze":
                process.wake = self.now + self.random.randint(20, 400)
            elif kind == "jump":
                process.skew = self.random.randint(-150, 150)
            process.reply = reply
            if kind == "repeat" or not takes_effect:  # as the AWS clients do when there was no answer
                process.again = call
