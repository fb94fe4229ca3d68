# SPDX-License-Identifier: Apache-2.0
"""A deployment's life, from an empty account to an empty account. Each test is a step and begins where the one before
it ended; one that is run alone applies first."""
import datetime
import json
import re
import time

import pytest

from api import check_rows, expected_labels, readme_calls, shell
from deployment import TERMINAL, sample_photos
from stack import NAME, SERVICES, docker, rig, rollout, wait_until

PHOTO = "test/image.jpg"
LARGE = 2500  # images of a job that outlasts a replacement of the workers
SEEN = {"dynamodb", "ec2", "ecr", "ecs", "elbv2", "iam", "logs", "s3", "sqs"}  # services with something of ours
BROKEN = '    if (argc == 1) { /* as a service; the build asks for --version */\n        return 3;\n    }\n'


def many(count):
    keys = sorted(sample_photos())
    return [keys[number % len(keys)] for number in range(count)]


def when(text):
    return datetime.datetime.fromisoformat(text)


def roll_out(stack, *services):
    """Applies new sources; only these services are built and replaced, all their tasks, and nothing else is."""
    others = {service: set(stack.running(service)) for service in SERVICES if service not in services}
    before = {service: set(stack.running(service)) for service in services}
    tags = dict(stack.tags)
    plan = stack.terraform.plan()
    assert plan.changes == rollout(*services)
    stack.apply(plan)
    assert {service for service in SERVICES if stack.tags[service] != tags[service]} == set(services)
    for service in services:
        assert not before[service] & set(stack.running(service))
    for service in others:
        assert set(stack.running(service)) == others[service]
    check_versions(stack)


def check_versions(stack):
    """Both services say the tags that Terraform says."""
    assert {stack.api.version() for _ in range(10)} == {f"0.0.0+{stack.tags['backend']}"}
    for service in SERVICES:
        for task in stack.running(service):
            ready = wait_until(lambda: stack.events(service, "ready", task), f"the log line ready of {task}")
            assert ready[-1]["version"] == f"0.0.0+{stack.tags[service]}"


def classify(stack, count=10):
    keys = many(count)
    job = stack.api.job(s3_keys=keys, top_k=1)
    assert stack.api.wait(job)["status"] == "succeeded"
    check_rows(stack.api, job, keys)


def test_init_validate_and_plan_need_no_images(stack):
    stack.init()
    stack.terraform.run("validate", "-no-color")
    plan = stack.terraform.plan()
    assert set(plan.changes.values()) == {"create"}
    assert set(rollout(*SERVICES)) <= set(plan.changes)


def test_apply_starts_everything_from_nothing(deployed):
    assert {service: len(deployed.running(service)) for service in SERVICES} == {"backend": 2, "ml-service": 3}
    assert deployed.api.get("/readyz").status_code == 200
    check_versions(deployed)
    for service in SERVICES:
        for task in deployed.running(service).values():
            definition = deployed.aws("ecs").describe_task_definition(taskDefinition=task["taskDefinitionArn"])
            image = definition["taskDefinition"]["containerDefinitions"][0]["image"]
            assert image.endswith(f"/{NAME}/{service}@{deployed.outputs['image_digests'][service]}")


def test_the_three_calls_of_the_readme_classify_a_photo(deployed):
    submit, status, result = readme_calls(deployed.workspace.read("README.md"))
    endpoint = deployed.outputs["alb_endpoint"]
    begin = f"ALB_ENDPOINT={endpoint}\n"
    job = json.loads(shell(begin + submit, endpoint))["job_id"]

    def ended():
        said = json.loads(shell(begin + status.replace("{job-id}", job), endpoint))
        return said if said["status"] in TERMINAL else None

    assert wait_until(ended, f"job {job}")["status"] == "succeeded"
    rows = json.loads(shell(begin + result.replace("{job-id}", job), endpoint))["results"]
    assert [(row["s3_key"], row["label"]) for row in rows] == [(PHOTO, expected_labels()[PHOTO])]
    assert rows[0]["confidence"] >= 0.5


def test_the_logs_are_in_the_groups_of_the_contract(deployed):
    assert deployed.outputs["log_groups"] == {
        service: f"/ecs/distributed-classifier/{service}" for service in SERVICES}
    classify(deployed)
    wait_until(lambda: deployed.events("backend", "request"), "a request in the backend's log")
    wait_until(lambda: deployed.events("ml-service", "chunk_done"), "a chunk in the workers' log")


def test_a_plan_right_after_an_apply_is_empty(deployed):
    plan = deployed.terraform.plan()
    assert plan.is_empty and plan.changes == {}


def test_a_change_of_the_documentation_changes_nothing(deployed):
    deployed.workspace.append("docs/deploy.md", "\nOne line more.\n")
    deployed.workspace.append("README.md", "\nOne line more.\n")
    plan = deployed.terraform.plan()
    assert plan.is_empty and plan.changes == {}


def test_a_change_of_the_worker_replaces_the_workers_and_a_running_job_loses_nothing(deployed):
    deployed.workspace.append("ml-service/src/worker.c", "\n/* another version */\n")
    backends, workers = set(deployed.running("backend")), set(deployed.running("ml-service"))
    tags = dict(deployed.tags)
    plan = deployed.terraform.plan()
    assert plan.changes == rollout("ml-service")
    keys = many(LARGE)
    with deployed.applying(plan) as ending:
        wait_until(lambda: ending.done() or len(deployed.service("ml-service")["deployments"]) > 1,
                   "the new deployment", seconds=900)
        assert not ending.done(), ending.exception() or "no deployment was seen"
        job = deployed.api.job(s3_keys=keys, top_k=1)
    ended = deployed.api.wait(job)
    assert ended["status"] == "succeeded"
    check_rows(deployed.api, job, keys)
    stopped = [task["stoppedAt"] for arn, task in deployed.tasks("ml-service", "STOPPED").items() if arn in workers]
    assert len(stopped) == 3
    assert when(ended["created_at"]) < min(stopped) and max(stopped) < when(ended["ended_at"])  # it did run meanwhile
    assert set(deployed.running("backend")) == backends
    assert deployed.tags["backend"] == tags["backend"] and deployed.tags["ml-service"] != tags["ml-service"]
    check_versions(deployed)
    assert any(deployed.events("ml-service", "chunk_done", task) for task in deployed.running("ml-service"))


def test_a_change_of_the_library_replaces_both(deployed):
    deployed.workspace.append("lib/base/str.c", "\n/* another version */\n")
    roll_out(deployed, "backend", "ml-service")
    classify(deployed)


@pytest.fixture(scope="module")
def before_the_rename(stack):
    """The tags, remembered for the step that goes back."""
    return {}


def test_a_renamed_file_is_a_change(deployed, before_the_rename):
    before_the_rename.update(deployed.tags)
    deployed.workspace.rename("backend-service/src/uri.c", "backend-service/src/uri_path.c")
    roll_out(deployed, "backend")


def test_going_back_goes_back_to_the_old_tag_and_leaves_the_other_image(deployed, before_the_rename):
    if not before_the_rename:
        pytest.skip("needs the step before it")
    deployed.workspace.rename("backend-service/src/uri_path.c", "backend-service/src/uri.c")
    roll_out(deployed, "backend")
    assert deployed.tags == before_the_rename


def test_a_machine_without_images_builds_but_neither_pushes_nor_restarts(deployed):
    tasks = {service: set(deployed.running(service)) for service in SERVICES}
    pushes = deployed.pushes()
    rig("wipe-images")
    # What a container runs cannot be wiped, but it can lose its name.
    for name in docker("images", "--format", "{{.Repository}}:{{.Tag}}"):
        if NAME in name and not name.endswith(":<none>"):
            docker("rmi", "--force", name)
    plan = deployed.terraform.plan()
    assert plan.changes == {address: "create" for address in rollout(*SERVICES) if ".docker_image." in address}
    deployed.apply(plan)
    assert {service: set(deployed.running(service)) for service in SERVICES} == tasks
    assert deployed.pushes() == pushes


@pytest.fixture(scope="module")
def before_the_break(stack):
    return {}


def test_a_version_that_ends_at_its_start_fails_the_apply_and_the_old_one_serves_on(deployed, before_the_break):
    tasks, version = set(deployed.running("backend")), deployed.api.version()
    before_the_break.update(deployed.tags)
    deployed.workspace.insert_after("backend-service/src/main.c", "int main(int argc, char **argv)\n{\n", BROKEN)
    plan = deployed.terraform.plan()
    assert plan.changes == rollout("backend")
    with deployed.applying(plan, allowed=(1,)) as ending:
        while not ending.done():
            assert deployed.api.version() == version
            time.sleep(0.5)
    said = re.sub(r"[\s│╷╵]+", " ", ending.result().text)
    assert "backend did not come up with its new task definition" in said
    assert "/ecs/distributed-classifier/backend" in said
    assert any("circuit breaker" in event["message"] for event in deployed.service("backend")["events"])
    ends = [task["containers"][0].get("exitCode") for task in deployed.tasks("backend", "STOPPED").values()]
    assert ends.count(3) >= 3  # as often as the circuit breaker takes it
    assert set(deployed.running("backend")) == tasks
    classify(deployed)


def test_the_next_good_apply_mends_it(deployed, before_the_break):
    if not before_the_break:
        pytest.skip("needs the step before it")
    deployed.workspace.restore("backend-service/src/main.c")
    plan = deployed.terraform.plan()
    assert not [address for address in plan.changes if "ml-service" in address]
    deployed.apply(plan)
    assert deployed.tags == before_the_break
    assert len(deployed.running("backend")) == 2
    check_versions(deployed)
    assert deployed.terraform.plan().is_empty


def test_more_workers_join_those_that_run(deployed):
    before = set(deployed.running("ml-service"))
    deployed.workspace.set(ml_desired_count=5)
    plan = deployed.terraform.plan()
    assert plan.changes == {'module.ecs_cluster.aws_ecs_service.this["ml-service"]': "update"}
    deployed.apply(plan)
    running = set(deployed.running("ml-service"))
    assert len(before) == 3 and len(running) == 5 and before < running


def test_a_job_ends_whole_although_workers_are_killed(deployed):
    """All but one. A worker holds two messages at most: with three in work, one of the killed had one."""
    keys = many(LARGE)
    containers = wait_until(lambda: deployed.containers("ml-service"), "containers of workers")
    job = deployed.api.job(s3_keys=keys, top_k=1)
    wait_until(lambda: deployed.in_flight() >= 3, "messages in work", pause=0.05)
    docker("kill", *list(containers.values())[1:])
    assert deployed.api.status(job)["status"] not in TERMINAL
    assert deployed.api.wait(job)["status"] == "succeeded"
    check_rows(deployed.api, job, keys)
    # ECS starts new ones in their place.
    wait_until(lambda: len(deployed.running("ml-service")) == len(containers), "as many workers as before")
    assert set(containers) & set(deployed.running("ml-service")) == {list(containers)[0]}


def test_destroy_leaves_nothing(deployed):
    belongings = deployed.belongings()
    assert SEEN <= set(belongings())  # it does see what is there
    deployed.terraform.destroy()
    assert belongings() == {}
    for service in SERVICES:
        assert deployed.containers(service) == {}
    assert deployed.terraform.show().get("values", {}).get("root_module", {}).get("resources", []) == []
    deployed.outputs = {}
