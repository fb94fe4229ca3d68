# SPDX-License-Identifier: Apache-2.0
"""Calls of botocore's through the fault proxy: fixtures for the tests of the proxy and its faults,
which import them by name."""
import pytest
from botocore.exceptions import ClientError

import aws_env
from emulators import client

SERVICES = ("s3", "sqs", "dynamodb")
KEY = "photo +1.jpg"
SIZE = 100_000


class Through:
    """One harmless call of a service, through a proxy, by botocore without retries."""

    CALLS = {
        "s3": ("GetObject", lambda to, made: to.get_object(
            Bucket=made.image_bucket, Key=KEY)["Body"].read()),
        "sqs": ("SendMessage", lambda to, made: to.send_message(
            QueueUrl=made.queue_url, MessageBody="x")),
        "dynamodb": ("PutItem", lambda to, made: to.put_item(
            TableName=made.table, Item={"pk": {"S": "x"}})),
    }

    def __init__(self, proxy, made):
        self.proxy = proxy
        self.made = made
        self.operation, self._call = self.CALLS[proxy.service]

    def client(self, credentials=None, **config):
        return client(self.proxy.service, self.proxy.url, credentials or self.made.credentials,
                      **config)

    def call(self, **config):
        return self._call(self.client(**config), self.made)

    def refusal(self, call=None, **config):
        """(status, code) of a call that must be refused."""
        with pytest.raises(ClientError) as caught:
            (call or self.call)(**config)
        answer = caught.value.response
        return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]

    def outcomes(self, number):
        """1 for each of so many calls that was refused."""
        return [int(self._refused()) for _ in range(number)]

    def _refused(self):
        try:
            self.call()
        except ClientError:
            return True
        return False


@pytest.fixture(scope="module")
def made(emulators):
    made = aws_env.create(dict.fromkeys(SERVICES, emulators.get("ministack")))
    made.put_images({KEY: b"x" * SIZE})
    return made


@pytest.fixture(params=SERVICES)
def any_service(request, proxies, made):
    return Through(proxies[request.param], made)


def _through(service):
    @pytest.fixture
    def fixture(proxies, made):
        return Through(proxies[service], made)
    return fixture


s3 = _through("s3")
sqs = _through("sqs")
dynamodb = _through("dynamodb")
