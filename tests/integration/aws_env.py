# SPDX-License-Identifier: Apache-2.0
"""The AWS resources of one deployment, made on chosen emulators, and the environment variables by
which the programs find them. Every call makes a new set of names, so tests share no state."""
import json
import secrets

from emulators import REGION, Credentials

VISIBILITY_SECONDS = 120
MAX_RECEIVE_COUNT = 10
TWO_WEEKS = 14 * 24 * 3600  # the longest SQS keeps a message
SERVICES = ("s3", "sqs", "dynamodb")


class AwsEnvironment:
    """Clients go to the servers themselves; the programs may be sent through proxies (via)."""

    def __init__(self, servers, names):
        self.servers = servers
        self.names = names
        self.s3 = servers["s3"].client("s3")
        self.sqs = servers["sqs"].client("sqs")
        self.dynamodb = servers["dynamodb"].client("dynamodb")
        self.queue_url = self.dlq_url = None
        self.credentials = self._credentials()

    @property
    def image_bucket(self):
        return self.names["images"]

    @property
    def result_bucket(self):
        return self.names["results"]

    @property
    def table(self):
        return self.names["table"]

    @property
    def variables(self):
        return self.via()

    def via(self, credentials=None, **proxies):
        """The programs' variables; s3=, sqs= or dynamodb= name a proxy (anything with a url) to use
        in place of the server."""
        unknown = set(proxies) - set(SERVICES)
        assert not unknown, unknown
        found = {"AWS_REGION": REGION, **(credentials or self.credentials).variables(),
                 "IMAGE_BUCKET": self.image_bucket, "RESULT_BUCKET": self.result_bucket,
                 "JOB_QUEUE_URL": self.queue_url, "JOB_DLQ_URL": self.dlq_url,
                 "JOB_TABLE": self.table}
        for service in SERVICES:
            place = proxies.get(service, self.servers[service])
            found[f"AWS_ENDPOINT_URL_{service.upper()}"] = place.url
        return found

    def _credentials(self):
        """Those that the servers which check signatures agree upon."""
        checked = {server.credentials for server in self.servers.values()
                   if server.verifies_signatures}
        assert len(checked) <= 1, "these servers know different key pairs"
        return checked.pop() if checked else Credentials("any", "any")

    def put_images(self, images):
        """{key: bytes} into the image bucket."""
        for key, content in images.items():
            self.s3.put_object(Bucket=self.image_bucket, Key=key, Body=content)

    def queue_depth(self, url=None):
        """(visible, in flight, delayed) messages of the job queue."""
        attributes = self.sqs.get_queue_attributes(QueueUrl=url or self.queue_url,
                                                   AttributeNames=["All"])["Attributes"]
        return tuple(int(attributes["ApproximateNumberOfMessages" + suffix])
                     for suffix in ("", "NotVisible", "Delayed"))

    def items(self):
        """Every item of the table, by pk."""
        found = {}
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=self.table,
                                                                 ConsistentRead=True):
            found.update({item["pk"]["S"]: item for item in page["Items"]})
        return found

    def keys(self, bucket):
        found = []
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            found += [entry["Key"] for entry in page.get("Contents", [])]
        return found


def create(servers, visibility_seconds=VISIBILITY_SECONDS, max_receive_count=MAX_RECEIVE_COUNT):
    """servers: {"s3": Emulator, "sqs": …, "dynamodb": …}."""
    mark = secrets.token_hex(4)
    made = AwsEnvironment(servers, {kind: f"test-{kind}-{mark}"
                                    for kind in ("images", "results", "queue", "dlq", "table")})
    made.s3.create_bucket(Bucket=made.image_bucket)
    made.s3.create_bucket(Bucket=made.result_bucket)
    _create_queues(made, visibility_seconds, max_receive_count)
    _create_table(made)
    return made


def _create_queues(made, visibility_seconds, max_receive_count):
    made.dlq_url = made.sqs.create_queue(
        QueueName=made.names["dlq"],
        Attributes={"MessageRetentionPeriod": str(TWO_WEEKS)})["QueueUrl"]
    arn = made.sqs.get_queue_attributes(QueueUrl=made.dlq_url,
                                        AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = {"deadLetterTargetArn": arn, "maxReceiveCount": str(max_receive_count)}
    made.queue_url = made.sqs.create_queue(
        QueueName=made.names["queue"],
        Attributes={"VisibilityTimeout": str(visibility_seconds),
                    "RedrivePolicy": json.dumps(redrive)})["QueueUrl"]


def _create_table(made):
    types = {"pk": "S", "obs": "N", "obd": "N", "lst": "S", "crt": "S"}
    made.dynamodb.create_table(
        TableName=made.table, BillingMode="PAY_PER_REQUEST", KeySchema=_key("pk"),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind}
                              for name, kind in types.items()],
        GlobalSecondaryIndexes=[
            {"IndexName": "outbox", "KeySchema": _key("obs", "obd"),
             "Projection": {"ProjectionType": "KEYS_ONLY"}},
            {"IndexName": "listing", "KeySchema": _key("lst", "crt"),
             "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["st"]}}])
    made.dynamodb.get_waiter("table_exists").wait(TableName=made.table,
                                                  WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    made.dynamodb.update_time_to_live(
        TableName=made.table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})


def _key(partition, sort=None):
    found = [{"AttributeName": partition, "KeyType": "HASH"}]
    return found + ([{"AttributeName": sort, "KeyType": "RANGE"}] if sort else [])
