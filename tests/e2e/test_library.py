# SPDX-License-Identifier: Apache-2.0
"""The tests' own library, where a mistake would let a step pass that should not."""
import http.server
import json
import subprocess
import threading
import urllib.request

import pytest

import account
import api
from ecs_proxy import EcsProxy, without_ended_failures
from terraform import changes_of, managed
from workspace import ROOT, VARIABLES, Workspace


def deployment(status, state, running=0, pending=0):
    return {"status": status, "rolloutState": state, "runningCount": running, "pendingCount": pending}


def kept(*deployments):
    answer = without_ended_failures({"services": [{"deployments": list(deployments)}]})
    return answer["services"][0]["deployments"]


def test_a_failed_deployment_without_tasks_is_gone_once_the_primary_is_complete():
    good = deployment("PRIMARY", "COMPLETED", running=2)
    assert kept(good, deployment("ACTIVE", "FAILED")) == [good]


@pytest.mark.parametrize("others", [
    [deployment("PRIMARY", "IN_PROGRESS", running=2), deployment("ACTIVE", "FAILED")],
    [deployment("PRIMARY", "COMPLETED", running=2), deployment("ACTIVE", "FAILED", running=1)],
    [deployment("PRIMARY", "COMPLETED", running=2), deployment("ACTIVE", "FAILED", pending=1)],
    [deployment("PRIMARY", "COMPLETED", running=2), deployment("ACTIVE", "IN_PROGRESS")],
    [deployment("PRIMARY", "FAILED")],
])
def test_every_other_deployment_is_shown(others):
    assert kept(*others) == others


@pytest.fixture
def upstream():
    """An ECS that answers each call with one service, and remembers what it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["X-Amz-Target"], self.headers["Authorization"], body))
            answer = json.dumps({"services": [{"deployments": [deployment("PRIMARY", "COMPLETED", running=1),
                                                               deployment("ACTIVE", "FAILED")]}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *unused):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.asked = asked
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("action,shown", [("DescribeServices", 1), ("UpdateService", 2)])
def test_the_proxy_passes_calls_on_and_changes_one_kind_of_answer(upstream, action, shown):
    target = f"AmazonEC2ContainerServiceV20141113.{action}"
    with EcsProxy(f"http://127.0.0.1:{upstream.server_address[1]}") as proxy:
        request = urllib.request.Request(proxy.url + "/", b'{"cluster":"c"}', {
            "X-Amz-Target": target, "Authorization": "AWS4-HMAC-SHA256 x"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        answer = json.load(opener.open(request, timeout=20))
    assert len(answer["services"][0]["deployments"]) == shown
    assert upstream.asked == [("/", target, "AWS4-HMAC-SHA256 x", b'{"cluster":"c"}')]


def test_changes_are_told_by_address():
    changes = [("a.kept", ["no-op"]), ("data.read", ["read"]), ("b.new", ["create"]), ("c.old", ["delete"]),
               ("d.changed", ["update"]), ("e.first", ["create", "delete"]), ("f.last", ["delete", "create"])]
    document = {"resource_changes": [{"address": address, "change": {"actions": actions}}
                                     for address, actions in changes]}
    document["resource_changes"].append({"address": "g.left", "deposed": "1234", "change": {"actions": ["delete"]}})
    assert changes_of(document) == {"b.new": "create", "c.old": "delete", "d.changed": "update", "e.first": "replace",
                                    "f.last": "replace", "g.left (deposed 1234)": "delete"}


STATE = {"values": {"root_module": {
    "resources": [{"mode": "data", "type": "aws_vpc", "values": {"id": "vpc-data"}}],
    "child_modules": [{"resources": [
        {"mode": "managed", "type": "aws_vpc", "values": {"id": "vpc-1", "arn": "arn:aws:ec2:vpc-1"}},
        {"mode": "managed", "type": "docker_image", "values": {"id": "sha256:1"}}]}]}}}


def test_what_is_managed_is_found_in_all_modules():
    assert [kind for kind, _ in managed(STATE)] == ["aws_vpc", "docker_image"]


def test_a_string_is_the_deployments_by_name_or_by_id():
    mine = account.of_state("classifier-dev", STATE)
    assert mine("vpc-1") and mine("arn:aws:ec2:vpc-1") and mine("http://queue/classifier-dev-jobs")
    assert not mine("vpc-data") and not mine("sha256:1") and not mine("vpc-12") and not mine("classifier")


def test_strings_are_found_at_any_depth_but_not_of_what_is_gone():
    answer = {"Things": [{"Id": "a", "Tags": [{"Value": "b"}]}, {"Id": "c", "State": "deleted", "Tags": ["d"]},
                         {"Id": "e", "status": "INACTIVE"}, {"Id": "f", "State": {"Name": "running"}}],
              "ResponseMetadata": {"RequestId": "g"}}
    assert set(account.strings_of(answer)) == {"a", "b", "f", "running"}


def test_the_readme_has_three_calls_and_the_first_is_whole():
    submit, status, result = api.readme_calls((ROOT / "README.md").read_text())
    assert '"s3_keys": ["test/image.jpg"]' in submit and submit.rstrip().endswith("}'")
    assert "/status/{job-id}" in status and "/result/{job-id}" in result


def test_a_failing_command_of_the_readme_fails():
    with pytest.raises(AssertionError, match=r"curl: \(\d+\)"):
        api.shell("curl http://name.invalid:1/", "http://name.invalid")


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "copy", {"chunk_images": 20})


def test_edits_do_not_touch_the_checkout(workspace):
    before = status()
    workspace.append("docs/deploy.md", "more")
    workspace.rename("backend-service/src/uri.c", "backend-service/src/other.c")
    workspace.insert_after("backend-service/src/main.c", "int main(int argc, char **argv)\n{\n", "    return 3;\n")
    assert "{\n    return 3;\n" in workspace.read("backend-service/src/main.c")
    workspace.restore("backend-service/src/main.c")
    assert workspace.read("backend-service/src/main.c") == (ROOT / "backend-service/src/main.c").read_text()
    assert status() == before


def test_a_place_that_is_not_there_once_is_an_error(workspace):
    with pytest.raises(AssertionError):
        workspace.insert_after("backend-service/src/main.c", "no such line", "x")


def test_variables_add_up(workspace):
    workspace.set(ml_desired_count=5)
    assert json.loads((workspace.terraform / VARIABLES).read_text()) == {"chunk_images": 20, "ml_desired_count": 5}
    assert "s3_use_path_style" in (workspace.terraform / "override.tf").read_text()
    assert not (workspace.terraform / ".terraform.lock.hcl").exists()


def test_sources_without_variables_are_as_a_user_has_them(tmp_path):
    made = Workspace(tmp_path / "copy").terraform
    assert not (made / "override.tf").exists() and not (made / VARIABLES).exists()


def status():
    return subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
