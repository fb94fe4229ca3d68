# SPDX-License-Identifier: Apache-2.0
"""lib/aws on the wire: for a call of each service and each fault what comes of it, and credentials
of containers and instances. The calls are made by tests/aws/aws_call.c, over libcurl."""
import json
import os
import pathlib
import subprocess

import pytest

import agents
import aws_env
import faults
from emulators import REGION, Credentials
from fault_proxy import FaultProxy

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("DIC_BIN_DIR", ROOT / "build/asan/bin")).parent / "tests/aws_call"
SERVICES = ("s3", "sqs", "dynamodb")  # as in enum dic_aws_service
TRIES = {"s3": 3, "sqs": 3, "dynamodb": 4}
OBJECT = b"x" * 10_000


class Caller:
    """The program; it lives as long as its standard input is open."""

    def __init__(self, variables):
        base = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env={**base, "AWS_EC2_METADATA_DISABLED": "true",
                                                                     "HOME": "/nonexistent", **variables})

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors.decode()

    def call(self, **call):
        self.process.stdin.write(json.dumps(call).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode()
        return json.loads(line)


def call_of(service, made, **changes):
    """A harmless one. Its times are so long that a fault's own are what counts."""
    calls = {
        "s3": {"operation": "GetObject", "method": "GET", "path": f"/{made.image_bucket}/photo%20%2B1.jpg"},
        "sqs": {"operation": "SendMessage", "method": "POST", "path": "/",
                "body": json.dumps({"QueueUrl": made.queue_url, "MessageBody": "x"}),
                "headers": [{"name": "x-amz-target", "value": "AmazonSQS.SendMessage"},
                            {"name": "content-type", "value": "application/x-amz-json-1.0"}]},
        "dynamodb": {"operation": "PutItem", "method": "POST", "path": "/",
                     "body": json.dumps({"TableName": made.table, "Item": {"pk": {"S": "x"}}}),
                     "headers": [{"name": "x-amz-target", "value": "DynamoDB_20120810.PutItem"},
                                 {"name": "content-type", "value": "application/x-amz-json-1.0"}]},
    }
    return {"service": SERVICES.index(service), "timeout_ms": 20_000, "total_timeout_ms": 60_000,
            **calls[service], **changes}


@pytest.fixture(scope="module")
def made(emulators):
    made = aws_env.create(dict.fromkeys(SERVICES, emulators.get("ministack")))
    made.put_images({"photo +1.jpg": OBJECT})
    return made


@pytest.fixture(params=SERVICES)
def service(request):
    return request.param


@pytest.fixture
def proxy(service, made):
    with FaultProxy(made.servers[service], service) as proxy:
        yield proxy


@pytest.fixture
def caller(made, proxy):
    with Caller(made.via(**{proxy.service: proxy})) as caller:
        yield caller


def ends(answer):
    return answer["code"], answer["tries"], answer["maybe_applied"]


def test_a_call_is_served_by_a_server_that_checks_its_signature(service, made, caller):
    answer = caller.call(**call_of(service, made))
    assert ends(answer) == ("OK", 1, False), answer
    assert service != "s3" or answer["body"].encode() == OBJECT


def test_a_wrong_secret_is_denied(service, made, proxy):
    wrong = Credentials(made.credentials.access_key, "wrong")
    with Caller(made.via(credentials=wrong, **{service: proxy})) as caller:
        answer = caller.call(**call_of(service, made))
    assert ends(answer) == ("DENIED", 1, False), answer
    assert "Signature" in answer["error_code"]
    assert service != "s3" or answer["request_id"] != ""


def test_temporary_credentials_are_served(service, made, ministack):
    with Caller(made.via(credentials=ministack.temporary_credentials())) as caller:
        assert ends(caller.call(**call_of(service, made))) == ("OK", 1, False)


# What is over after a second try: fault, whether the first may have been carried out.
PASSING = [
    (faults.internal_error(), True), (faults.reset(), True), (faults.lose_reply(), True),
    (faults.close_silently(), True), (faults.cut_body(), True), (faults.cut_body(1, abrupt=False), True),
    (faults.html_page(502), True), (faults.html_page(503), True), (faults.html_page(504), True),
    (faults.not_http(), True), (faults.throttle(), False), (faults.huge_head(), True),
]


@pytest.mark.parametrize("fault, unknown", PASSING, ids=lambda value: getattr(value, "__name__", None))
def test_a_fault_that_passes_costs_one_try(service, made, proxy, caller, fault, unknown):
    proxy.add(fault, times=1)
    answer = caller.call(**call_of(service, made))
    assert ends(answer) == ("OK", 2, unknown), answer
    assert proxy.count(call_of(service, made)["operation"]) == 2


LASTING = [
    (faults.internal_error(), "UPSTREAM"), (faults.reset(), "UPSTREAM"), (faults.throttle(), "BUSY"),
    (faults.html_page(503), "UPSTREAM"), (faults.cut_body(), "UPSTREAM"),
]


@pytest.mark.parametrize("fault, code", LASTING, ids=lambda value: getattr(value, "__name__", None))
def test_a_fault_that_lasts_ends_the_call_after_its_tries(service, made, proxy, caller, fault, code):
    proxy.add(fault)
    answer = caller.call(**call_of(service, made))
    assert (answer["code"], answer["tries"], answer["retryable"]) == (code, TRIES[service], True), answer
    proxy.clear()
    assert caller.call(**call_of(service, made))["code"] == "OK"


@pytest.mark.parametrize("fault", [faults.access_denied()], ids=lambda value: value.__name__)
def test_a_refusal_is_not_tried_again(service, made, proxy, caller, fault):
    proxy.add(fault)
    answer = caller.call(**call_of(service, made))
    assert ends(answer) == ("DENIED", 1, False), answer


def test_no_answer_within_the_time_of_a_try_is_a_timeout(service, made, proxy, caller):
    proxy.add(faults.black_hole(), times=1)
    answer = caller.call(**call_of(service, made, timeout_ms=300))
    assert ends(answer) == ("OK", 2, True), answer
    proxy.add(faults.black_hole())
    answer = caller.call(**call_of(service, made, timeout_ms=300, total_timeout_ms=500))
    assert answer["code"] == "TIMEOUT" and answer["maybe_applied"], answer


def test_an_answer_that_creeps_is_a_timeout(service, made, proxy, caller):
    proxy.add(faults.slow_reply(0.2, size=1))
    answer = caller.call(**call_of(service, made, timeout_ms=500, total_timeout_ms=700))
    assert answer["code"] == "TIMEOUT", answer


@pytest.mark.parametrize("fault", [faults.endless_body(), faults.huge_body()], ids=lambda value: value.__name__)
def test_an_answer_without_end_is_cut_off(service, made, proxy, caller, fault):
    proxy.add(fault)
    answer = caller.call(**call_of(service, made, max_response_bytes=100_000))
    assert (answer["code"], answer["tries"]) == ("TOO_LARGE", 1), answer


def test_an_expired_token_that_stays_is_denied(service, made, proxy, caller):
    proxy.add(faults.expired_token())
    answer = caller.call(**call_of(service, made))
    assert ends(answer) == ("DENIED", 1, False), answer
    assert answer["error_code"].startswith("ExpiredToken")


@pytest.mark.parametrize("seconds", [-86_400, -3600, 3600, 86_400])
def test_a_wrong_clock_costs_one_try_and_is_corrected_for_good(service, made, proxy, caller, seconds):
    proxy.add(faults.skewed_clock(seconds))
    assert ends(caller.call(**call_of(service, made))) == ("OK", 2, False)
    assert ends(caller.call(**call_of(service, made))) == ("OK", 1, False)


@pytest.mark.parametrize("fault", [faults.malformed(), faults.truncated()], ids=lambda value: value.__name__)
def test_a_json_answer_that_is_none_is_asked_for_again(made, fault):
    for service in ("sqs", "dynamodb"):
        with FaultProxy(made.servers[service], service) as proxy, Caller(made.via(**{service: proxy})) as caller:
            proxy.add(fault, times=1)
            assert ends(caller.call(**call_of(service, made))) == ("OK", 2, True)


def test_a_bucket_in_another_region_is_told(made):
    with FaultProxy(made.servers["s3"], "s3") as proxy, Caller(made.via(s3=proxy)) as caller:
        for status in (301, 307):
            proxy.clear()
            proxy.add(faults.redirect("eu-central-1", status))
            answer = caller.call(**call_of("s3", made))
            assert ends(answer) == ("INVALID", 1, False), answer
            assert "region eu-central-1" in answer["message"] and REGION in answer["message"]


# Credentials.


class Issue:
    """Issues temporary ones, which the server knows."""

    def __init__(self, server):
        self.server = server
        self.made = []

    def __call__(self):
        self.made.append(self.server.temporary_credentials())
        return self.made[-1]


def without_keys(made):
    return {name: value for name, value in made.variables.items()
            if name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}


def test_a_container_gets_its_credentials_from_its_agent(made, ministack, tmp_path):
    with agents.ContainerCredentials(Issue(ministack), tmp_path) as agent, \
            Caller({**without_keys(made), **agent.variables}) as caller:
        for name in SERVICES:
            assert ends(caller.call(**call_of(name, made))) == ("OK", 1, False)
        assert agent.count() == 1


def test_the_token_file_is_read_again_when_it_was_replaced(made, ministack, tmp_path):
    with FaultProxy(made.servers["sqs"], "sqs") as proxy, \
            agents.ContainerCredentials(Issue(ministack), tmp_path) as agent, \
            Caller({**without_keys(made), "AWS_ENDPOINT_URL_SQS": proxy.url, **agent.variables}) as caller:
        assert caller.call(**call_of("sqs", made))["code"] == "OK"
        agent.rotate_token()
        proxy.add(faults.delay(1.1), times=1)  # they are asked for once a second
        assert caller.call(**call_of("sqs", made))["code"] == "OK"
        proxy.add(faults.expired_token(), times=1)
        assert ends(caller.call(**call_of("sqs", made))) == ("OK", 2, False)
        assert len(agent.issued) == 2


@pytest.mark.parametrize("act", [agents.error(500), agents.hang_up, agents.truncated],
                         ids=["error", "hang up", "truncated"])
def test_an_agent_that_fails_once_is_asked_again(made, ministack, tmp_path, act):
    with agents.ContainerCredentials(Issue(ministack), tmp_path) as agent, \
            Caller({**without_keys(made), **agent.variables}) as caller:
        agent.misbehave(act, times=1)
        assert ends(caller.call(**call_of("sqs", made))) == ("OK", 1, False)


NUL_IN_SECRET = agents.changed(lambda content: content.update(SecretAccessKey="a\0b"))


@pytest.mark.parametrize("act", [agents.huge, NUL_IN_SECRET, agents.body(b"<html>"), agents.without("SecretAccessKey"),
                                 agents.error(403)], ids=["huge", "NUL", "HTML", "no secret", "403"])
def test_an_agent_that_talks_nonsense_is_an_error_that_shows_none_of_it(made, ministack, tmp_path, act):
    issue = Issue(ministack)
    with agents.ContainerCredentials(issue, tmp_path) as agent, \
            Caller({**without_keys(made), **agent.variables}) as caller:
        agent.misbehave(act, times=None)
        answer = caller.call(**call_of("sqs", made))
        assert answer["tries"] == 0 and "container" in answer["message"], answer
        assert all(secret not in answer["message"] for given in issue.made
                   for secret in (given.secret_key, given.session_token))


def test_an_instance_gets_its_credentials_by_version_2(made, ministack):
    with agents.InstanceMetadata(Issue(ministack)) as agent, \
            Caller({**without_keys(made), **agent.variables, "AWS_EC2_METADATA_DISABLED": "false"}) as caller:
        for name in SERVICES:
            assert ends(caller.call(**call_of(name, made))) == ("OK", 1, False)
        assert agent.count() == 3  # token, role, credentials


def test_a_container_beyond_the_hop_limit_is_told_that_nothing_comes_back(made, ministack):
    with agents.InstanceMetadata(Issue(ministack)) as agent, \
            Caller({**without_keys(made), **agent.variables, "AWS_EC2_METADATA_DISABLED": "false"}) as caller:
        agent.exceed_hop_limit()
        answer = caller.call(**call_of("sqs", made, once=1))
        assert (answer["code"], answer["tries"]) == ("TIMEOUT", 0), answer


def test_a_profile_names_keys_and_region(made, tmp_path):
    given = made.credentials
    (tmp_path / "credentials").write_text(
        f"[work]\naws_access_key_id = {given.access_key}\naws_secret_access_key = {given.secret_key}\n")
    (tmp_path / "config").write_text(f"[profile work]\nregion = {REGION}\n")
    variables = {name: value for name, value in without_keys(made).items() if name != "AWS_REGION"}
    with Caller({**variables, "AWS_PROFILE": "work", "AWS_CONFIG_FILE": str(tmp_path / "config"),
                 "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}) as caller:
        assert ends(caller.call(**call_of("dynamodb", made))) == ("OK", 1, False)
