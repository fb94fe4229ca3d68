# SPDX-License-Identifier: Apache-2.0
"""Servers for the whole run, chosen with --s3, --sqs and --dynamodb (comma-separated names); a test
that takes s3_server, sqs_server or dynamodb_server runs against each of those chosen."""
import pytest

import aws_env
from emulators import CHOICES, Emulators
from fault_proxy import FaultProxy

DEFAULTS = {"s3": "ministack,s3proxy", "sqs": "ministack,elasticmq", "dynamodb": "ministack,moto"}


def pytest_addoption(parser):
    for service, names in CHOICES.items():
        parser.addoption(f"--{service}", default=DEFAULTS[service],
                         help=f"servers of {service} to test against, of {', '.join(names)}")


def pytest_generate_tests(metafunc):
    for service, known in CHOICES.items():
        fixture = f"{service}_server"
        if fixture in metafunc.fixturenames:
            chosen = metafunc.config.getoption(service).split(",")
            assert set(chosen) <= set(known), f"--{service} takes {known}, not {chosen}"
            metafunc.parametrize(fixture, chosen, indirect=True, scope="session")


@pytest.fixture(scope="session")
def emulators(tmp_path_factory, request):
    with Emulators(tmp_path_factory.mktemp("emulators")) as running:
        wanted = {name for service in CHOICES
                  for name in request.config.getoption(service).split(",")}
        running.start(*sorted(wanted))
        yield running


@pytest.fixture(scope="session")
def s3_server(emulators, request):
    return emulators.get(request.param)


@pytest.fixture(scope="session")
def sqs_server(emulators, request):
    return emulators.get(request.param)


@pytest.fixture(scope="session")
def dynamodb_server(emulators, request):
    return emulators.get(request.param)


@pytest.fixture(scope="session")
def ministack(emulators):
    return emulators.get("ministack")


@pytest.fixture
def aws(ministack):
    """Buckets, queues and table of the test's own, on the server that checks every signature."""
    return aws_env.create({"s3": ministack, "sqs": ministack, "dynamodb": ministack})


@pytest.fixture(scope="session")
def _proxies(emulators):
    """Kept for the whole run: to make a botocore client for another port costs more than a test."""
    ministack = emulators.get("ministack")
    with FaultProxy(ministack, "s3") as first, FaultProxy(ministack, "sqs") as second, \
            FaultProxy(ministack, "dynamodb") as third:
        yield {proxy.service: proxy for proxy in (first, second, third)}


@pytest.fixture
def proxies(_proxies):
    """Fault proxies before ministack, by service, without rules and records of other tests."""
    yield _proxies
    for proxy in _proxies.values():
        proxy.clear()
        proxy.disconnect()
        proxy.wait_idle()
        proxy.forget()
