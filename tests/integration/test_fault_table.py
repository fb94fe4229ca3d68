# SPDX-License-Identifier: Apache-2.0
"""Every call of AWS under every fault: what the caller gets, how many requests it took, what is there
afterwards, and that it ends in time. The table is docs/faults.md; its cells are in fault_expected.py.
Cells are run side by side, a bench a thread, and judged one by one."""
import concurrent.futures
import json
import pathlib
import re
import threading
import zlib

import pytest

import agents
import aws_env
import fault_table
import faults
from aws_errors import JSON_TYPE
from emulators import REGION
from fault_bench import SERVICES, Bench, Issue, Program, run_cell
from fault_calls import CALLS, MESSAGES, Scene, furnish
from fault_columns import DAY, FAULTS, OTHERS, all_unprocessed
from fault_expected import EXPECTED
from http_messages import Response

THREADS = 6  # most of them wait for a timeout
COLUMNS = {**FAULTS, **OTHERS}
CELLS = [(row, column) for row, call in CALLS.items() for column, fault in COLUMNS.items()
         if fault.concerns(call)]
SLACK_SECONDS = 5  # of a busy machine, beyond a deadline that counts the waits that nobody waited
# What a request that was carried out has in its message besides its operation's name.
REQUEST_ID = re.compile(r"\(\d tr(y|ies), HTTP \d{3}, request id [0-9A-Za-z-]{8,}\)")


@pytest.fixture(scope="module")
def made(emulators):
    made = aws_env.create(dict.fromkeys(SERVICES, emulators.get("ministack")))
    furnish(made)
    return made


class Benches:
    """One for each thread that asks."""

    def __init__(self, made, folders):
        self.made = made
        self._folders = folders
        self._own = threading.local()
        self._all = []
        self._lock = threading.Lock()

    def own(self):
        if not hasattr(self._own, "bench"):
            with self._lock:
                self._own.bench = Bench(self.made, self._folders.mktemp("bench"))
                self._all.append(self._own.bench)
        return self._own.bench

    def end(self):
        for bench in self._all:
            bench.end()


@pytest.fixture(scope="module")
def benches(made, tmp_path_factory):
    benches = Benches(made, tmp_path_factory)
    yield benches
    benches.end()


@pytest.fixture
def bench(benches):
    bench = benches.own()
    bench.reset()
    return bench


@pytest.fixture(scope="module")
def outcomes(request, benches):
    """Futures of the cells that are asked for in this run, by row and column."""
    wanted = [(item.callspec.params["row"], item.callspec.params["column"])
              for item in request.session.items if item.originalname == "test_cell"]
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        yield {cell: pool.submit(_run, benches, *cell) for cell in wanted}
        pool.shutdown(cancel_futures=True)


def _run(benches, row, column):
    bench = benches.own()
    found = run_cell(bench, CALLS[row], COLUMNS[column])
    return found, bench.decoy.connections_opened


@pytest.mark.parametrize("row, column", CELLS, ids=lambda value: value.replace(" ", "-"))
def test_cell(outcomes, row, column):
    (passing, lasting), strayed = outcomes[row, column].result()
    call, fault = CALLS[row], COLUMNS[column]
    assert f"{passing.cell()} / {lasting.cell()}" == EXPECTED[row][column], (passing, lasting)
    assert strayed == 0
    for outcome in (passing, lasting):
        answer = outcome.answer
        assert answer["elapsed_ms"] <= (call.seconds + SLACK_SECONDS) * 1000, answer
        if outcome.code == "OK":
            # bytes are what was sent: a short Content-Length takes some of an object with it
            assert call.value in (None, answer.get("value")) or column in ("too short", "gzip"), answer
            continue
        assert answer["retryable"] == (outcome.code in ("BUSY", "TIMEOUT", "UPSTREAM")), answer
        if fault.says and row != "AbortMultipartUpload":  # which ends for the reason it was called
            named = call.operation if call.operation != "HeadObject" else "(Head|Get)Object"
            code = fault.says[call.service] if "HeadObject" not in answer["message"] else "HTTP 50"
            assert re.match(f"{named}: {code}", answer["message"]), answer
            assert REQUEST_ID.search(answer["message"]), answer


def test_every_cell_is_in_the_table():
    assert {(row, column) for row, found in EXPECTED.items() for column in found} == set(CELLS)


def test_the_document_is_the_table():
    document = pathlib.Path(__file__).resolve().parents[2] / "docs/faults.md"
    assert document.read_text() == fault_table.render(), (
        "tests/integration/fault_table.py > docs/faults.md")


def test_an_upload_that_is_left_behind_is_logged(bench):
    call = CALLS["AbortMultipartUpload"]
    scene = bench.scene(call, bench.program)
    bench.inject(call, faults.internal_error())
    assert bench.make(call, scene, bench.program).cell() == "DENIED 3 (absent, 1 left)"
    assert "upload_left_behind" in bench.program.log()
    assert "AbortMultipartUpload: InternalError" in bench.program.log()


# Clocks and credentials.


@pytest.mark.parametrize("row", ["GetObject, whole", "HeadObject", "SendMessageBatch", "UpdateItem"])
@pytest.mark.parametrize("seconds", [-DAY, -3600, 3600, DAY])
def test_a_clock_that_is_off_either_way_costs_a_request_once(bench, row, seconds):
    call = CALLS[row]
    scene = bench.scene(call, bench.program)
    bench.inject(call, faults.skewed_clock(seconds))
    extra = 1 if row != "HeadObject" else 2  # a GET says why
    assert (bench.make(call, scene, bench.program).code, bench.count(call)) == ("OK", 1 + extra)
    again = bench.scene(call, bench.program, goes_on=1)
    assert (bench.make(call, again, bench.program).code, bench.count(call)) == ("OK", 2 + extra)


def signed_by(request):
    return re.search("Credential=([^/]+)/", request.header("authorization")).group(1)


def noting(keys):
    async def note(exchange):
        keys.append(signed_by(exchange.request))
        await exchange.relay()
    return note


def test_credentials_that_expire_during_the_run_are_renewed_before_they_do(made, bench, tmp_path):
    keys = []
    call = CALLS["GetItem"]
    with agents.ContainerCredentials(Issue(made.servers["s3"]), tmp_path, seconds=3600) as agent:
        program = Program({**bench.without_keys(), **agent.variables})
        scene = bench.scene(call, program)
        bench.proxies["dynamodb"].add(noting(keys))
        for _ in range(15):
            assert bench.make(call, scene, program).code == "OK"
            program.ask(call="Pass", ms=500 * 1000)
        agent.end()  # the last ones hold as long as they were said to
        assert bench.make(call, scene, program).code == "OK"
        program.ask(call="Pass", ms=3600 * 1000)
        gone = bench.make(call, scene, program)
        program.end()
    assert gone.code in ("UPSTREAM", "TIMEOUT", "DENIED") and "container" in gone.answer["message"], gone
    issued = [given.access_key for given in agent.issued]
    assert list(dict.fromkeys(keys)) == issued and len(issued) == 3
    assert bench.count(call) == 16  # none was refused


# Batches of which a part is done.


def test_entries_that_failed_are_sent_again_and_only_they(bench):
    call = CALLS["SendMessageBatch"]
    for performed, sent in ((False, MESSAGES), (True, MESSAGES + 1)):
        bench.reset()
        scene = bench.scene(call, bench.program)
        bench.inject(call, faults.fail_entries(1, performed=performed), times=1)
        assert bench.make(call, scene, bench.program).cell() == f"OK 2 ({sent} sent)"


def test_entries_that_keep_failing_are_busy_in_the_end(bench):
    call = CALLS["SendMessageBatch"]
    scene = bench.scene(call, bench.program)
    bench.inject(call, faults.fail_entries(10))
    outcome = bench.make(call, scene, bench.program)
    assert outcome.cell() == "BUSY 6 (0 sent)"
    assert outcome.answer["message"] == "SendMessageBatch: 3 of 3 messages failed 6 times"


def test_keys_that_are_left_unprocessed_are_read_in_the_end(bench):
    call = CALLS["BatchGetItem"]
    for left, requests in ((1, 2), (2, 3)):
        bench.reset()
        scene = bench.scene(call, bench.program)
        bench.inject(call, faults.leave_unprocessed(left))
        outcome = bench.make(call, scene, bench.program)
        assert (outcome.cell(), outcome.answer["value"]) == (f"OK {requests}", call.value)


def test_keys_that_stay_unprocessed_are_busy_in_the_end(bench):
    call = CALLS["BatchGetItem"]
    scene = bench.scene(call, bench.program)
    bench.inject(call, all_unprocessed())
    outcome = bench.make(call, scene, bench.program)
    assert outcome.cell() == "BUSY 8"
    assert outcome.answer["message"] == "BatchGetItem: 3 of 3 keys unprocessed 8 times"


# Answers that are well formed and wrong.


def json_changed(change):
    """The right answer, as change(object) leaves it."""
    @faults.fault
    def changed():
        async def apply(exchange):
            response = await exchange.forward()
            content = json.loads(response.body)
            change(content)
            response.body = json.dumps(content).encode()
            if response.header("x-amz-crc32") is not None:
                response.set_header("x-amz-crc32", zlib.crc32(response.body))
            await exchange.reply(response)
        return apply
    return changed()


def answered(content):
    async def answer(exchange):
        await exchange.reply(Response([("Content-Type", JSON_TYPE)], json.dumps(content).encode(), 200, "OK"))
    return answer


def each(name, **members):
    return lambda content: [entry.update(members) for entry in content.get(name, [])]


DOCTYPE = (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
           b"<ListBucketResult><Contents><Key>read/&b;</Key><Size>1</Size></Contents></ListBucketResult>")
SHAPES = {
    "a DOCTYPE": ("ListObjectsV2", faults.replaced(DOCTYPE), "UPSTREAM 1"),
    "a list out of order": ("ListObjectsV2", faults.replaced(
        b"<ListBucketResult><Contents><Key>read/2</Key><Size>1</Size></Contents><Contents><Key>read/1</Key>"
        b"<Size>1</Size></Contents></ListBucketResult>"), "UPSTREAM 1"),
    "MD5 of another body, sent": ("SendMessageBatch", json_changed(
        each("Successful", MD5OfMessageBody="0" * 32)), "BUSY 6 (18 sent)"),
    "MD5 of another body, received": ("ReceiveMessage", json_changed(
        each("Messages", MD5OfBody="0" * 32)), "OK 1 (0 received, 3 hidden)"),
    "an answer about entries that were not sent": ("SendMessageBatch", json_changed(
        each("Successful", Id="7")), "UPSTREAM 1 (3 sent)"),
    "no receive count": ("ReceiveMessage", json_changed(
        lambda content: [message.pop("Attributes", None) for message in content["Messages"]]),
        "OK 1 (3 received)"),
    "a message twice": ("ReceiveMessage", json_changed(
        lambda content: content["Messages"].append(content["Messages"][0])), "OK 1 (4 received, 3 hidden)"),
    "more messages than asked for": ("ReceiveMessage", json_changed(
        lambda content: content.update(Messages=content["Messages"] * 4)), "UPSTREAM 1 (0 received, 3 hidden)"),
    "a number with an exponent": ("GetItem", json_changed(
        lambda content: content["Item"].update(n={"N": "1E+0"})), "OK 1"),
    "a number with a fraction": ("GetItem", json_changed(
        lambda content: content["Item"].update(n={"N": "1.5"})), "INTERNAL 1"),
    "an item nobody asked for": ("BatchGetItem", json_changed(
        lambda content: [items.append({"pk": {"S": "other"}}) for items in content["Responses"].values()]),
        "UPSTREAM 1"),
    "a page that does not move on": ("Query", answered(
        {"Items": [], "LastEvaluatedKey": {"pk": {"S": "read/1"}}}), "UPSTREAM 2"),
    "an unknown exception": ("GetItem", faults.json_error("x#NeverHeardOf", 400), "INTERNAL 1"),
    "no table": ("GetItem", faults.json_error(
        "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", 400), "UPSTREAM 1"),
    "no queue": ("ReceiveMessage", faults.json_error("com.amazonaws.sqs#QueueDoesNotExist", 400),
                 "NOT_FOUND 1 (0 received)"),
    "a lease that is over": ("ChangeMessageVisibility", faults.json_error(
        "com.amazonaws.sqs#ReceiptHandleIsInvalid", 400), "NOT_FOUND 1 (held)"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_well_formed_answer_that_is_wrong_is_found_out(bench, shape):
    row, fault, expected = SHAPES[shape]
    call = CALLS[row]
    scene = bench.scene(call, bench.program)
    bench.inject(call, fault)
    outcome = bench.make(call, scene, bench.program)
    assert outcome.cell() == expected, outcome
    assert outcome.code == "OK" or re.search(f"{row}|item 'read/1'", outcome.answer["message"]), outcome
    assert outcome.code != "OK" or call.value in (None, outcome.answer["value"]), outcome


OBJECT_CALLS = [row for row, call in CALLS.items() if call.service == "s3" and "Multipart" not in row]


@pytest.mark.parametrize("row", OBJECT_CALLS)
@pytest.mark.parametrize("status", [301, 307, 400])
def test_a_bucket_in_another_region_names_bucket_and_regions(bench, row, status):
    call = CALLS[row]
    scene = bench.scene(call, bench.program)
    bench.inject(call, faults.redirect("eu-central-1", status))
    answer = bench.make(call, scene, bench.program).answer
    assert (answer["code"], answer["retryable"]) == ("UPSTREAM", False), answer
    for name in (bench.made.image_bucket, "eu-central-1", REGION):
        assert name in answer["message"]
    assert bench.count(call) == (1 if row != "HeadObject" else 2)


@pytest.mark.parametrize("row", OBJECT_CALLS)
def test_a_bucket_that_is_missing_is_not_an_object_that_is(bench, row):
    call = CALLS[row]
    scene = bench.scene(call, bench.program)
    bench.inject(call, faults.s3_error("NoSuchBucket", 404))
    answer = bench.make(call, scene, bench.program).answer
    assert (answer["code"], answer["retryable"]) == ("UPSTREAM", False), answer
    assert f"no bucket '{bench.made.image_bucket}'" in answer["message"]


@pytest.mark.parametrize("service", SERVICES)
def test_an_endpoint_where_nobody_listens_is_upstream(bench, service):
    row = {"s3": "GetObject, whole", "sqs": "ReceiveMessage", "dynamodb": "GetItem"}[service]
    call = CALLS[row]
    scene = bench.scene(call, bench.program)
    bench.proxies[service].refuse()
    try:
        answer = bench.program.ask(**call.line(scene))
    finally:
        bench.proxies[service].accept()
    assert (answer["code"], answer["retryable"]) == ("UPSTREAM", True), answer
    assert call.operation in answer["message"] and bench.proxies[service].url in answer["message"]


def test_the_scene_tells_an_object_that_is_wrong(made):
    """The judge of the writes is judged."""
    scene = Scene(made)
    assert scene.stored() == "absent"
    made.s3.put_object(Bucket=made.image_bucket, Key=scene.key, Body=b"half")
    assert scene.stored() == "wrong"
