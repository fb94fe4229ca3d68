# SPDX-License-Identifier: Apache-2.0
"""The deployment under test: its sources, its Terraform, its account, its clients. The account is the emulator's."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import time

import boto3
import botocore

from account import Account, named, of_state
from api import LoadBalancerClient
from deployment import PATIENCE_SECONDS, sample_photos
from ecs_proxy import EcsProxy
from terraform import Terraform
from workspace import ROOT, Workspace

NAME = "distributed-classifier-dev"  # of the defaults; their log groups are the contract's
RIG = pathlib.Path(os.environ.get("CLASSIFIER_RIG", ""), "rig")
RESULTS = ROOT / "build/e2e"
SERVICES = ("backend", "ml-service")
VARIABLES = {
    # A dead worker's chunks are taken up soon, and small ones are in many hands.
    "visibility_timeout_seconds": 20,
    "backend_environment": {"REPAIR_AFTER_MS": "10000"},
    "chunk_images": 20,
    "deployment_timeout_minutes": 5,
}
if "PIP_INDEX_URL" in os.environ:
    VARIABLES["pip_index_url"] = os.environ["PIP_INDEX_URL"]


def rig(verb):
    """Whether it did all of it: an image that a container runs cannot be wiped."""
    return subprocess.run([RIG, verb], capture_output=True, timeout=300, check=False).returncode == 0


def docker(*arguments):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split()


def wait_until(condition, what, seconds=PATIENCE_SECONDS, pause=0.2):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause)
    return found


class Stack:
    """Use as a context: it begins with an empty account, and leaves one. With DIC_E2E_KEEP it leaves the deployment,
    and goes on with the one that the last run left."""

    def __init__(self):
        self.is_kept = "DIC_E2E_KEEP" in os.environ
        state = RESULTS / "checkout/terraform/terraform.tfstate"
        kept = state.read_bytes() if self.is_kept and state.exists() else None
        self.goes_on = kept is not None
        shutil.rmtree(RESULTS, ignore_errors=True)
        self.endpoint = os.environ["AWS_ENDPOINT_URL"]
        self.account = Account(self.endpoint)
        self.workspace = Workspace(RESULTS / "checkout", VARIABLES)
        if kept is not None:
            state.write_bytes(kept)
        self.proxy = EcsProxy(self.endpoint)
        self.terraform = Terraform(self.workspace.terraform, RESULTS / "logs",
                                   {"AWS_ENDPOINT_URL_ECS": self.proxy.url})
        self.clients = {}
        self.outputs = {}

    def __enter__(self):
        found = {} if self.goes_on else self.account.holdings(named(NAME))
        assert not found, f"the account has a deployment already, perhaps of an earlier run ({RIG} reset): {found}"
        self.proxy.__enter__()
        return self

    def __exit__(self, *unused):
        self.proxy.__exit__()
        self._save_logs()
        if not self.is_kept:
            rig("reset")

    def aws(self, service):
        if service not in self.clients:
            self.clients[service] = boto3.client(service)
        return self.clients[service]

    @property
    def api(self):
        return LoadBalancerClient(self.outputs["alb_endpoint"])

    @property
    def tags(self):
        return self.outputs["image_tags"]

    # Terraform

    def init(self):
        self.terraform.init()

    def apply(self, plan=None, allowed=(0,)):
        done = self.terraform.apply(plan or self.terraform.plan(), allowed)
        self.outputs = self.terraform.outputs()
        return done

    @contextlib.contextmanager
    def applying(self, plan, allowed=(0,)):
        """Applies it beside what is done in here, and waits for its end."""
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            ending = thread.submit(self.apply, plan, allowed)
            yield ending
            ending.result()

    def ensure_applied(self):
        """From nothing, or what a last run left; once."""
        if self.outputs:
            return self
        self.init()
        self.apply()
        self.put_photos()
        return self

    def belongings(self):
        """What the services list of this deployment, by what the state holds now. Returns a function."""
        mine = of_state(NAME, self.terraform.show())
        return lambda: self.account.holdings(mine)

    # Objects, tasks, logs, messages

    def put_photos(self):
        for key, content in sample_photos().items():
            self.aws("s3").put_object(Bucket=self.outputs["image_bucket"], Key=key, Body=content)

    def service(self, name):
        return self.aws("ecs").describe_services(cluster=NAME, services=[name])["services"][0]

    def tasks(self, service, status="RUNNING"):
        """{ARN: description}; status is the desired one."""
        arns = self.aws("ecs").list_tasks(cluster=NAME, serviceName=service, desiredStatus=status)["taskArns"]
        found = [task for first in range(0, len(arns), 100) for task in
                 self.aws("ecs").describe_tasks(cluster=NAME, tasks=arns[first:first + 100])["tasks"]]
        return {task["taskArn"]: task for task in found}

    def running(self, service):
        return {arn: task for arn, task in self.tasks(service).items() if task["lastStatus"] == "RUNNING"}

    def containers(self, service):
        """{task's ARN: container's id}"""
        listed = docker("ps", "--no-trunc", "--filter", f"label=com.amazonaws.ecs.container-name={service}",
                        "--format", '{{.Label "com.amazonaws.ecs.task-arn"}}={{.ID}}')
        return dict(line.rsplit("=", 1) for line in listed)

    def log(self, service, task=None):
        """The lines of a service, or of one task of it, as CloudWatch has them."""
        arguments = {"logGroupName": f"/ecs/distributed-classifier/{service}"}
        if task:
            arguments["logStreamNames"] = [f"{service}/{service}/{task.rsplit('/', 1)[1]}"]
        pages = self.aws("logs").get_paginator("filter_log_events").paginate(**arguments)
        return [event["message"] for page in pages for event in page["events"]]

    def events(self, service, event, task=None):
        lines = [json.loads(line) for line in self.log(service, task) if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def _save_logs(self):
        """Beside Terraform's, for who looks for a cause."""
        for service in SERVICES:
            with contextlib.suppress(botocore.exceptions.ClientError):  # there is no such group
                (RESULTS / f"logs/{service}.log").write_text("\n".join(self.log(service)))

    def in_flight(self):
        attributes = self.aws("sqs").get_queue_attributes(
            QueueUrl=self.outputs["job_queue_url"], AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
        return int(attributes["Attributes"]["ApproximateNumberOfMessagesNotVisible"])

    def pushes(self):
        """{(service, digest): when}"""
        found = {}
        for service in SERVICES:
            pages = self.aws("ecr").get_paginator("describe_images").paginate(repositoryName=f"{NAME}/{service}")
            images = [image for page in pages for image in page["imageDetails"]]
            found.update({(service, image["imageDigest"]): image["imagePushedAt"] for image in images})
        return found


def rollout(*services):
    """The changes of a plan after new sources of these services, and no others."""
    found = {}
    for service in services:
        found[f'module.container_registry.docker_image.this["{service}"]'] = "replace"
        found[f'module.container_registry.docker_registry_image.this["{service}"]'] = "replace"
        found[f'module.ecs_cluster.aws_ecs_task_definition.this["{service}"]'] = "replace"
        found[f'module.ecs_cluster.aws_ecs_service.this["{service}"]'] = "update"
    return found
