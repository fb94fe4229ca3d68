# SPDX-License-Identifier: Apache-2.0
"""Everything that is in the emulated account, by every call of every service that lists and needs no argument; and
what of it belongs to a deployment."""
import concurrent.futures

import boto3
import botocore
import requests
from botocore.config import Config

from terraform import managed

VERBS = ("List", "Describe")
# The emulator's services whose client has another name, or several.
CLIENTS = {"airflow": ["mwaa"], "apigateway": ["apigateway", "apigatewayv2"], "documentdb": ["docdb"],
           "elasticfilesystem": ["efs"], "elasticloadbalancing": ["elbv2"], "elasticmapreduce": ["emr"],
           "monitoring": ["cloudwatch"], "ses": ["ses", "sesv2"], "states": ["stepfunctions"],
           "tagging": ["resourcegroupstaggingapi"]}
# Metrics cannot be deleted: CloudWatch forgets them after 15 months. The emulator's index of EC2's tags keeps those of
# what was deleted; what is there has a call of its own. (So does its index over all services, GetResources.)
NOT_HOLDINGS = {("cloudwatch", "ListMetrics"), ("ec2", "DescribeTags")}
# AWS lists what was deleted for some time, under these states.
GONE = {"deleted", "DELETED", "INACTIVE"}
PAGES = 50
QUICK = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1})


class Account:
    def __init__(self, endpoint):
        self.endpoint = endpoint
        answer = requests.get(f"{endpoint}/_ministack/health", timeout=20)
        known = set(boto3.session.Session().get_available_services())
        names = {client for service in answer.json()["services"] for client in CLIENTS.get(service, [service])}
        self.services = sorted(names & known)

    def holdings(self, mine):
        """{service: strings} that are listed and of which mine() says so."""
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            found = threads.map(lambda service: set(filter(mine, strings_of(self._listed(service)))), self.services)
            return {service: strings for service, strings in zip(self.services, found) if strings}

    def _listed(self, service):
        client = boto3.session.Session().client(service, config=QUICK, endpoint_url=self.endpoint)
        listed = []
        for operation in client.meta.service_model.operation_names:
            if not operation.startswith(VERBS) or (service, operation) in NOT_HOLDINGS:
                continue
            shape = client.meta.service_model.operation_model(operation).input_shape
            if shape is None or not shape.required_members:
                listed += pages(client, botocore.xform_name(operation))
        return listed


def pages(client, method):
    """The answers of one call; none where the emulator does not know it, or wants more than AWS's model says."""
    try:
        if not client.can_paginate(method):
            return [getattr(client, method)()]
        return [page for page, _ in zip(client.get_paginator(method).paginate(), range(PAGES))]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        return []


def strings_of(answer):
    if isinstance(answer, str):
        yield answer
    elif isinstance(answer, dict):
        if GONE & {state for state in (answer.get("State"), answer.get("status")) if isinstance(state, str)}:
            return
        for name, value in answer.items():
            if name != "ResponseMetadata":
                yield from strings_of(value)
    elif isinstance(answer, (list, tuple)):
        for value in answer:
            yield from strings_of(value)


def named(name):
    """Whether a string is of the deployment of this name."""
    return lambda text: name in text


def of_state(name, state):
    """The same, or an id that its Terraform state holds."""
    ids = {values[member] for kind, values in managed(state) if kind.startswith("aws_")
           for member in ("id", "arn") if isinstance(values.get(member), str)}
    return lambda text: name in text or text in ids
