# SPDX-License-Identifier: Apache-2.0
"""The agents are what botocore takes for those of AWS, well or misbehaving."""
import datetime
import json
import socket
import time
import urllib.error
import urllib.request

import pytest
from botocore.credentials import ContainerProvider, InstanceMetadataProvider
from botocore.exceptions import CredentialRetrievalError
from botocore.utils import ContainerMetadataFetcher, InstanceMetadataFetcher

import agents
from agents import ContainerCredentials, InstanceMetadata, EcsAgent
from emulators import Credentials


class Issue:
    """Numbers what it issues, to tell which set a client has."""

    def __init__(self):
        self.number = 0

    def __call__(self):
        self.number += 1
        return Credentials(f"AKIA{self.number}", f"secret{self.number}", f"token{self.number}")


def ask(url, method="GET", body=None, headers=None, timeout=20):
    """(status, body, headers)"""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read(), refused.headers


# Container credentials.


@pytest.fixture
def container(tmp_path):
    with ContainerCredentials(Issue(), tmp_path) as agent:
        yield agent


def load(agent):
    """As botocore would in a container."""
    fetcher = ContainerMetadataFetcher(sleep=lambda _: None)
    loaded = ContainerProvider(environ=agent.variables, fetcher=fetcher).load()
    return _given(loaded)


def _given(loaded):
    frozen = loaded.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def test_botocore_gets_credentials_in_a_container(container):
    assert load(container) == ("AKIA1", "secret1", "token1")
    (asked,) = container.asked
    assert (asked.method, asked.status) == ("GET", 200)
    assert asked.headers["authorization"] == container.token


def test_the_token_file_is_read_anew_each_time(container):
    load(container)
    container.rotate_token()
    assert load(container).access_key == "AKIA2"


def test_a_wrong_token_is_refused(container):
    container.token = "another"
    with pytest.raises(CredentialRetrievalError, match="401"):
        load(container)


def test_another_path_is_refused(container):
    status, body, _ = ask(container.url + "/v2/credentials/other",
                          headers={"Authorization": container.token})
    assert status == 400 and json.loads(body)["code"] == "InvalidIdInRequest"


def test_credentials_that_expire_soon_are_asked_for_again(container):
    container.seconds = 5
    load(container)
    assert [given.access_key for given in container.issued] == ["AKIA1", "AKIA2"]


def test_errors_are_retried_by_botocore(container):
    container.misbehave(agents.error(500), times=2)
    assert load(container).access_key == "AKIA1"
    assert [asked.status for asked in container.asked] == [500, 500, 200]


@pytest.mark.parametrize("act", [
    agents.error(404), agents.error(503), agents.body(b""), agents.body(b"not JSON"),
    agents.body(b"[]"), agents.body(b"\x00"), agents.truncated, agents.hang_up,
    agents.without("SecretAccessKey")], ids=[
        "404", "503", "empty", "text", "array", "NUL", "truncated", "hang up", "no secret"])
def test_misbehaviour_is_no_credentials_to_botocore(container, act):
    container.misbehave(act, times=None)
    with pytest.raises((CredentialRetrievalError, KeyError, TypeError)):
        load(container)
    container.behave()
    assert load(container).secret_key


def test_a_nul_can_be_within_a_string(container):
    container.misbehave(agents.with_nul)
    _, body, _ = ask(container.url + container.PATH, headers={"Authorization": container.token})
    assert "\0" in json.loads(body)["RoleArn"]


def test_a_member_can_be_changed(container):
    container.misbehave(agents.changed(lambda content: content.update(Expiration="never")))
    _, body, _ = ask(container.url + container.PATH, headers={"Authorization": container.token})
    assert json.loads(body)["Expiration"] == "never"


def test_a_slow_answer_comes(container):
    container.misbehave(agents.slow(0.2))
    begun = time.monotonic()
    load(container)
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("act", [agents.slow(60), agents.silent], ids=["slow", "silent"])
def test_patience_ends(container, act):
    container.misbehave(act)
    with pytest.raises(TimeoutError):
        ask(container.url + container.PATH, timeout=0.2)
    assert container.count() == 1


def test_a_body_without_end_is_sent_until_the_client_leaves(container):
    container.misbehave(agents.huge)
    with socket.create_connection(("127.0.0.1", int(container.url.rpartition(":")[2]))) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        taken = 0
        while taken < 4 << 20:
            taken += len(plain.recv(1 << 20))


def test_an_agent_can_be_absent(container):
    container.end()
    with pytest.raises(CredentialRetrievalError):
        load(container)


def test_real_credentials_can_be_handed_out(ministack, tmp_path):
    with ContainerCredentials(ministack.temporary_credentials, tmp_path) as agent:
        assert "TableNames" in ministack.client("dynamodb", load(agent)).list_tables()


# Instance metadata.


@pytest.fixture
def instance():
    with InstanceMetadata(Issue()) as agent:
        yield agent


def load_instance(agent):
    fetcher = InstanceMetadataFetcher(timeout=1, num_attempts=1, base_url=agent.url + "/")
    loaded = InstanceMetadataProvider(iam_role_fetcher=fetcher).load()
    return loaded and _given(loaded)


def token(agent, seconds="60", **headers):
    return ask(agent.url + agent.TOKEN_PATH, "PUT", headers={
        "X-aws-ec2-metadata-token-ttl-seconds": seconds, **headers})


def test_botocore_gets_credentials_on_an_instance(instance):
    assert load_instance(instance) == ("AKIA1", "secret1", "token1")
    assert [(asked.method, asked.path) for asked in instance.asked] == [
        ("PUT", instance.TOKEN_PATH), ("GET", instance.CREDENTIALS_PATH),
        ("GET", instance.CREDENTIALS_PATH + "instance-role")]


def test_version_1_is_refused(instance):
    assert ask(instance.url + instance.CREDENTIALS_PATH)[0] == 401
    assert ask(instance.url + instance.CREDENTIALS_PATH,
               headers={"X-aws-ec2-metadata-token": "made up"})[0] == 401


@pytest.mark.parametrize("seconds, status", [("0", 400), ("1", 200), ("21600", 200), ("21601", 400),
                                             ("", 400), ("x", 400)])
def test_a_token_lives_from_1_second_to_6_hours(instance, seconds, status):
    answered, body, headers = token(instance, seconds)
    assert answered == status
    if status == 200:
        assert headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"] == seconds
        assert ask(instance.url + "/latest/meta-data/placement/region",
                   headers={"X-aws-ec2-metadata-token": body.decode()})[1] == b"us-east-1"


def test_a_token_is_not_given_to_who_forwards_or_gets(instance):
    assert token(instance, **{"X-Forwarded-For": "10.0.0.1"})[0] == 403
    assert ask(instance.url + instance.TOKEN_PATH)[0] == 405


def test_an_expired_token_is_refused(instance):
    given = {"X-aws-ec2-metadata-token": token(instance)[1].decode()}
    url = instance.url + instance.CREDENTIALS_PATH
    assert ask(url, headers=given)[:2] == (200, b"instance-role")
    instance.expire_tokens()
    assert ask(url, headers=given)[0] == 401


def test_a_token_that_needs_one_hop_more_never_comes(instance):
    instance.exceed_hop_limit()
    with pytest.raises(TimeoutError):
        ask(instance.url + instance.TOKEN_PATH, "PUT", timeout=0.2)


def test_an_instance_can_have_no_role(instance):
    instance.role = None
    assert load_instance(instance) is None


def test_a_spot_interruption_is_announced(instance):
    given = {"X-aws-ec2-metadata-token": token(instance)[1].decode()}
    url = instance.url + "/latest/meta-data/spot/instance-action"
    assert ask(url, headers=given)[0] == 404
    instance.interruption = datetime.datetime(2030, 1, 2, 3, 4, 5)
    assert json.loads(ask(url, headers=given)[1]) == {"action": "terminate",
                                                      "time": "2030-01-02T03:04:05Z"}


# Task protection.


@pytest.fixture
def protection():
    with EcsAgent() as agent:
        yield agent


def protect(agent, content, method="PUT"):
    url = agent.variables["ECS_AGENT_URI"] + "/task-protection/v1/state"
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    status, body, _ = ask(url, method, raw if method == "PUT" else None)
    return status, json.loads(body)


def test_protection_is_set_and_lifted(protection):
    status, answer = protect(protection, {"ProtectionEnabled": True, "ExpiresInMinutes": 60})
    assert status == 200 and answer["protection"]["ProtectionEnabled"] is True
    assert answer["protection"]["ExpirationDate"].endswith("Z") and protection.protected
    assert protect(protection, b"", "GET")[1] == answer
    status, answer = protect(protection, {"ProtectionEnabled": False})
    assert (status, answer["protection"]) == (200, {"ProtectionEnabled": False,
                                                    "TaskArn": protection.ARN})
    assert protection.states == [(True, 60), (False, None)] and not protection.protected
    protection.wait_for_states(True, False)


@pytest.mark.parametrize("content", [
    b"", b"x", {}, [], {"ProtectionEnabled": "true"}, {"ProtectionEnabled": True, "Other": 1},
    {"protectionEnabled": True}, {"ProtectionEnabled": True, "ExpiresInMinutes": 0},
    {"ProtectionEnabled": True, "ExpiresInMinutes": 2881}], ids=repr)
def test_what_the_agent_would_refuse_is_refused(protection, content):
    status, answer = protect(protection, content)
    assert (status, answer["error"]["Code"]) == (400, "InvalidParameterException")
    assert protection.states == []


@pytest.mark.parametrize("minutes", [1, 2880])
def test_the_limits_of_the_time_are_taken(protection, minutes):
    assert protect(protection, {"ProtectionEnabled": True, "ExpiresInMinutes": minutes})[0] == 200


def test_protection_can_fail(protection):
    protection.failure = "DEPLOYMENT_BLOCKED"
    status, answer = protect(protection, {"ProtectionEnabled": True})
    assert (status, answer["failure"]["Reason"]) == (200, "DEPLOYMENT_BLOCKED")
    assert protection.states == [(True, None)] and not protection.protected


def test_the_metadata_says_the_limits(protection):
    url = protection.variables["ECS_CONTAINER_METADATA_URI_V4"] + "/task"
    assert json.loads(ask(url)[1])["Limits"]["CPU"] == 2
    protection.cpus = None
    assert "Limits" not in json.loads(ask(url)[1])


def test_the_agent_can_be_in_trouble(protection):
    protection.misbehave(agents.error(504), times=1)
    assert protect(protection, {"ProtectionEnabled": True})[0] == 504
    assert protect(protection, {"ProtectionEnabled": True})[0] == 200
    assert protection.states == [(True, None)]
