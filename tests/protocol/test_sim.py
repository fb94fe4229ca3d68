# SPDX-License-Identifier: Apache-2.0
"""The protocol holds on thousands of schedules, and every rule that is broken on purpose is noticed.

caught.json has seeds that notice each mutant. It belongs to this version of the simulator: a change of what
is asked for or of who is there makes other schedules of the same seeds. `./sim.py --record 0:8000` makes it anew
(some minutes), and a mutant that it finds nowhere is a rule that nothing tests any more."""
import json
import os
import pathlib
import subprocess
import sys

import pytest
import sim
from mutants import HARMLESS, MUTANTS, RARE

HERE = pathlib.Path(__file__).parent
CAUGHT = json.loads((HERE / "caught.json").read_text())
MODES = {"on": True, "off": False}
SEEDS = 2500
DEEP_SEEDS = 10_000

# Each of these happens somewhere in the first schedules: a simulator that never gets there proves nothing.
EVERYTHING = {
    "SUCCEEDED", "CANCELLED", "EXPIRED", "FAILED", "failed: failures", "failed: source",
    "keys", "prefix", "manifest", "retry", "0 segments", "1 segments", "2 segments",
    "crash", "fail", "repeat", "freeze", "jump", "drain", "duplicate", "delay", "ignore_delete", "lose", "purge",
    "stale_index", "listing_changes", "key known", "another cut", "key free again", "request refused", "live child replaced",
    "segment reserved by another planner", "manifest lost to another cut", "booking refused", "tombstone",
    "dead letter", "job without progress", "a few of many sent again",
}


@pytest.mark.parametrize("mode", MODES)
def test_no_schedule_breaks_an_invariant(mode):
    assert sim.count(range(SEEDS), None, MODES[mode]) == {}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_rule_is_noticed(mutant):
    seeds = CAUGHT[mutant]
    assert seeds["on"] or seeds["off"]
    for mode, recorded in seeds.items():
        missed = set(recorded) - set(sim.count(recorded, mutant, MODES[mode]))
        assert not missed, f"sweeper {mode}: not noticed any more: ./sim.py --record 0:8000 > caught.json"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", HARMLESS)
def test_a_rule_that_only_saves_work_can_be_left_out(rule, mode):
    assert sim.count(range(SEEDS // 5), rule, MODES[mode]) == {}


def test_the_schedules_reach_everything():
    reached = set()
    for seed in range(400):
        scenario = sim.Scenario(seed, None, sweeper=seed % 4 != 0)
        scenario.run()
        reached |= scenario.world.reached
    assert reached >= EVERYTHING, EVERYTHING - reached


def fingerprint(hash_seed):
    program = ("import sim\n"
               "scenario = sim.Scenario(7)\n"
               "scenario.run()\n"
               "print(scenario.world.steps, sorted(map(repr, scenario.world.items.items())))\n")
    return subprocess.run([sys.executable, "-c", program], cwd=HERE, check=True, capture_output=True, text=True,
                          env={**os.environ, "PYTHONHASHSEED": hash_seed}).stdout


def test_a_seed_is_the_same_schedule_anywhere():
    assert fingerprint("1") == fingerprint("2")


@pytest.mark.deep
@pytest.mark.parametrize("mode", MODES)
def test_no_schedule_of_new_seeds_breaks_an_invariant(mode):
    base = int(os.environ.get("DIC_DEEP_SEED", "1")) * 1_000_000
    assert sim.count(range(base, base + DEEP_SEEDS), None, MODES[mode]) == {}


@pytest.mark.deep
@pytest.mark.parametrize("mutant", [name for name in MUTANTS if name not in RARE])
def test_a_broken_rule_is_noticed_on_new_seeds_too(mutant):
    base = int(os.environ.get("DIC_DEEP_SEED", "1")) * 1_000_000
    for seed in range(base, base + 2 * DEEP_SEEDS):
        if sim.run(seed, mutant, True) or sim.run(seed, mutant, False):
            return
    pytest.fail(f"{mutant}: not noticed on {2 * DEEP_SEEDS} schedules from {base}")
