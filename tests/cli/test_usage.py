# SPDX-License-Identifier: Apache-2.0
"""Help, and arguments that are wrong: exit status 1, one line that says which and why, no request."""
import os
import subprocess

import pytest

from conftest import PROGRAM, Cli

COMMANDS = ["submit", "status", "wait", "result", "cancel", "retry", "jobs", "dlq ls", "dlq show",
            "dlq redrive", "dlq purge"]
ID = "a" * 26


@pytest.fixture
def nowhere(scripted):
    """No command may ask anybody."""
    scripted.answers = [(500, {}, {})]
    yield Cli(scripted.url)
    assert scripted.requests == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(nowhere, command):
    printed = nowhere.good(*command.split(), "--help")
    assert printed.startswith(f"usage: classify {command} ")
    assert "--url" in printed and "--json" in printed


def test_the_overview_has_every_command(nowhere):
    printed = nowhere.good("--help")
    listed = [line[2:14].strip() for line in printed.splitlines() if line.startswith("  ")]
    assert listed == COMMANDS


def test_nothing_at_all_shows_the_overview_and_is_wrong(nowhere):
    done = nowhere.run()
    assert done.returncode == 1 and done.out == "" and "submit" in done.err


@pytest.mark.parametrize("arguments, said", [
    (["classify"], "there is no command 'classify'"),
    (["dlq"], "there is no command 'dlq'"),
    (["dlq", "list"], "there is no command 'dlq'"),
    (["submit"], "exactly one of"),
    (["submit", "a", "--prefix", "b"], "exactly one of"),
    (["submit", "--manifest", "a", "--prefix", "b"], "exactly one of"),
    (["submit", "a", "--top-k"], "--top-k needs a value: N"),
    (["submit", "a", "--top-k", "five"], "--top-k 'five' is not a number"),
    (["submit", "a", "--top-k", ""], "--top-k '' is not a number"),
    (["submit", "a", "--threshold", "0,5"], "--threshold '0,5' is not a number"),
    (["submit", "a", "--threshold", "[1]"], "--threshold '[1]' is not a number"),
    (["submit", "a", "--threshold", "NaN"], "--threshold 'NaN' is not a number"),
    (["submit", "a", "--tag", "b"], "--tag 'b' is not NAME=VALUE"),
    (["submit", "a", "--tag", "b=1", "--tag", "b=2"], "--tag 'b' is given twice"),
    (["submit", "a", "--wait=yes"], "--wait takes no value"),
    (["submit", "a", "--wiat"], "there is no option '--wiat'"),
    (["submit", "a", "-x"], "there is no option '-x'"),
    (["submit", "a", "--limit", "1"], "there is no option '--limit'"),
    (["status"], "usage: classify status JOB"),
    (["status", ID, ID], f"'{ID}' is one argument too many"),
    (["status", ID[1:]], f"'{ID[1:]}' is no job id"),
    (["status", ID + "a"], "is no job id"),
    (["status", "../" + ID[3:]], "is no job id"),
    (["result", ID, "--cursor", "1" * 64], "--cursor is over 63 bytes"),
    (["wait", ID, "--timeout", "0"], "--timeout '0' is not a whole number from 1 to 1209600"),
    (["wait", ID, "--timeout", "1209601"], "is not a whole number from 1 to 1209600"),
    (["jobs", "--limit", "1000001"], "--limit '1000001' is not a whole number from 1 to 1000000"),
    (["jobs", "x"], "'x' is one argument too many"),
    (["jobs", "--url", "localhost:8080"], "'localhost:8080' is no URL of a service"),
    (["jobs", "--url", "ftp://localhost"], "'ftp://localhost' is no URL of a service"),
    (["jobs", "--url", "http://a/?b"], "is no URL of a service"),
    (["dlq", "redrive"], "say which: JOB, JOB CHUNK or --all"),
    (["dlq", "redrive", ID, "--all"], "say which: JOB, JOB CHUNK or --all"),
    (["dlq", "show", ID, "-1"], "there is no option '-1'"),
    (["dlq", "show", ID, "131072"], "'131072' is no chunk: a number from 0 to 131071"),
    (["dlq", "ls"], "RESULT_BUCKET must be set"),
])
def test_wrong_arguments_are_named(nowhere, arguments, said):
    assert said in nowhere.fails(1, *arguments)


@pytest.mark.parametrize("arguments", [[b"submit", b"a\xff.jpg"], [b"submit", b"--tag=\xc3=1", b"a"],
                                       [b"\xed\xa0\x80"]])
def test_arguments_that_are_not_utf8_are_named(nowhere, arguments):
    number = next(i for i, text in enumerate(arguments, 1) if not _is_utf8(text))
    assert nowhere.fails(1, *arguments) == f"argument {number} is not UTF-8"


def _is_utf8(text):
    try:
        text.decode()
        return True
    except UnicodeDecodeError:
        return False


@pytest.mark.parametrize("text, said", [
    (b"", "standard input has no keys"), (b"\n\n", "standard input has no keys"),
    (b"good\nb\xffd\n", "line 2 of the input is not UTF-8"),
    (b"good\n\n" + b"x" * 65537, "line 3 of the input is over 65536 bytes"),
])
def test_keys_of_standard_input_that_cannot_be_are_named(nowhere, text, said):
    assert said in nowhere.fails(1, "submit", "-", input=text)


def test_standard_input_that_cannot_be_read_is_named(nowhere):
    folder = os.open("/", os.O_RDONLY)
    done = subprocess.run([PROGRAM, "submit", "-"], stdin=folder, capture_output=True,
                          env=nowhere.environment, check=False)
    os.close(folder)
    assert done.returncode == 1 and b"cannot read standard input: Is a directory" in done.stderr
