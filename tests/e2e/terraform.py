# SPDX-License-Identifier: Apache-2.0
"""The terraform command: what it printed, what a plan changes, what the state holds."""
import json
import os
import pathlib
import signal
import subprocess
import time

SECONDS = 1200  # of the longest command, destroy
SHOWN = 6000  # characters of a failed command's output
WORDS = {("create",): "create", ("delete",): "delete", ("update",): "update",
         ("create", "delete"): "replace", ("delete", "create"): "replace"}


class Done:
    def __init__(self, status, text, seconds):
        self.status = status
        self.text = text
        self.seconds = seconds


class Plan:
    """A saved plan; changes is {address: create, delete, update or replace}."""

    def __init__(self, path, document, is_empty):
        self.path = path
        self.is_empty = is_empty  # no change of a resource or an output
        self.changes = changes_of(document)


def changes_of(document):
    found = {}
    for resource in document.get("resource_changes", []):
        actions = tuple(resource["change"]["actions"])
        if actions not in (("no-op",), ("read",)):
            suffix = f" (deposed {resource['deposed']})" if "deposed" in resource else ""
            found[resource["address"] + suffix] = WORDS[actions]
    return found


class Terraform:
    def __init__(self, folder, logs, environment=None):
        self.folder = pathlib.Path(folder)
        self.logs = pathlib.Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.environment = environment or {}
        self.runs = 0

    def run(self, verb, *arguments, allowed=(0,), seconds=SECONDS):
        """Its standard output and error are in the logs, too."""
        self.runs += 1
        log = self.logs / f"{self.runs:02}-{verb}.log"
        begun = time.monotonic()
        with open(log, "wb") as output:
            process = subprocess.Popen(
                ["terraform", verb, *map(str, arguments)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, env={**os.environ, **self.environment, "TF_IN_AUTOMATION": "1"},
                start_new_session=True)  # a Ctrl-C at the terminal is passed on by us, once
            try:
                status = process.wait(seconds)
            except BaseException:
                end(process)
                raise
        done = Done(status, log.read_text(errors="replace"), time.monotonic() - begun)
        assert status in allowed, f"terraform {verb} ended with {status}:\n{done.text[-SHOWN:]}"
        return done

    def init(self, *arguments):
        return self.run("init", "-input=false", "-no-color", *arguments)

    def plan(self, *arguments):
        path = self.logs.resolve() / f"{self.runs + 1:02}.tfplan"
        done = self.run("plan", "-input=false", "-no-color", "-detailed-exitcode", f"-out={path}", *arguments,
                        allowed=(0, 2))
        return Plan(path, self.show(path), done.status == 0)

    def apply(self, plan, allowed=(0,)):
        return self.run("apply", "-input=false", "-no-color", plan.path, allowed=allowed)

    def destroy(self):
        return self.run("destroy", "-auto-approve", "-input=false", "-no-color")

    def show(self, *path):
        return json.loads(self._quiet("show", "-json", *path))

    def outputs(self):
        return {name: output["value"] for name, output in json.loads(self._quiet("output", "-json")).items()}

    def _quiet(self, *arguments):
        return subprocess.run(["terraform", *map(str, arguments)], cwd=self.folder, capture_output=True, text=True,
                              check=True, timeout=120, env={**os.environ, **self.environment}).stdout


def end(process):
    """One signal: at a second one Terraform goes at once and its state is not written."""
    process.send_signal(signal.SIGINT)
    process.wait()


def managed(state):
    """[(type, values)] of the resources in a shown state, those of the modules too."""
    found, modules = [], [state.get("values", {}).get("root_module", {})]
    while modules:
        module = modules.pop()
        modules += module.get("child_modules", [])
        found += [(resource["type"], resource["values"]) for resource in module.get("resources", [])
                  if resource["mode"] == "managed"]
    return found
