# SPDX-License-Identifier: Apache-2.0
"""The calls of AWS that the adapters make, as test_fault_table.py has them made: what is there before,
the line for tests/aws/adapter_call.c, and what is there afterwards, looked at without the adapters."""
import secrets
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

import faults
from http_messages import Response

TEXT = "0123456789abcdef" * 625
MESSAGES = 3
BIG = 16 * 1024 + 1  # times 1 KiB: the least that goes in parts, of which there are three
PARTITION = 7  # of the index "outbox"


class Scene:
    """Where one call is made: names of its own on a shared deployment, and a queue of its own."""

    def __init__(self, made):
        self.made = made
        self.mark = secrets.token_hex(6)
        self.key = f"scene/{self.mark}"
        self.receipt = None
        self._queue_url = None

    @property
    def queue_url(self):
        if self._queue_url is None:
            self._queue_url = self.made.sqs.create_queue(
                QueueName=f"scene-{self.mark}", Attributes={"VisibilityTimeout": "3600"})["QueueUrl"]
        return self._queue_url

    def open_line(self):
        return {"call": "Open", "bucket": self.made.image_bucket, "queue_url": self.queue_url,
                "table": self.made.table}

    def send(self, number):
        for _ in range(number):
            self.made.sqs.send_message(QueueUrl=self.queue_url, MessageBody="not one of ours")

    def receive_one(self):
        self.send(1)
        got = self.made.sqs.receive_message(QueueUrl=self.queue_url)["Messages"]
        self.receipt = got[0]["ReceiptHandle"]

    def depth(self):
        return self.made.queue_depth(self.queue_url)

    def stored(self):
        """Of the object, whether it is there and as it should be."""
        try:
            body = self.made.s3.get_object(Bucket=self.made.image_bucket, Key=self.key)["Body"].read()
        except ClientError as refused:
            assert refused.response["Error"]["Code"] == "NoSuchKey", refused
            return "absent"
        return "stored" if body in (TEXT.encode(), b"x" * 1024 * BIG) else "wrong"

    def uploads(self):
        listed = self.made.s3.list_multipart_uploads(Bucket=self.made.image_bucket, Prefix=self.key)
        return sum(1 for upload in listed.get("Uploads") or [] if upload["Key"] == self.key)

    def item(self):
        return self.made.dynamodb.get_item(TableName=self.made.table, Key={"pk": {"S": self.key}},
                                           ConsistentRead=True).get("Item")


@dataclass
class Call:
    """One row of the table."""

    service: str
    operation: str  # where the fault is injected and what is counted
    line: Any  # of a scene: for the program
    also: tuple = ()  # operations that a lasting fault is about as well
    before: Any = None  # of a scene
    state: Any = None  # of a scene and the answer: what there is afterwards, in a word or two
    value: Any = None  # what an answer that is OK has
    skip: int = 0  # exchanges before that operation's first
    seconds: int = 30  # no call may last longer
    patience_ms: int = 300  # with an exchange that gets no answer
    big: bool = False  # it costs seconds of work: spared what tells nothing new
    bodiless: bool = False  # its answer cannot have a body
    rules: tuple = ()  # further ones of the proxy, each a fault and what it is about
    server: Any = None  # of a response: as AWS would have answered
    garbled: bool = False  # a malformed answer is none of HTTP: there is no body, or it may be anything


def deleted_as_aws(response):
    """ministack has an error for a message that is gone already, SQS has none."""
    if response.status != 400:
        return response
    return Response([("Content-Type", "application/x-amz-json-1.0")], b"", 200, "OK")


def put(scene, **options):
    return {"call": "PutObject", "key": scene.key, "text": TEXT, "repeat": 1, **options}


def put_big(scene):
    return put(scene, text="x" * 1024, repeat=BIG, if_absent=1)


def object_and_uploads(scene, _):
    left = scene.uploads()
    return scene.stored() + (f", {left} left" if left else "")


def store(scene):
    scene.made.s3.put_object(Bucket=scene.made.image_bucket, Key=scene.key, Body=TEXT.encode())


def received(scene, answer):
    visible, hidden, _ = scene.depth()
    got = answer.get("value", 0)
    return f"{got} received" if hidden == got else f"{got} received, {hidden} hidden"


def write(scene, **options):
    return {"call": "WriteItem", "pk": scene.key, "mark": scene.mark, **options}


def written(scene, answer):
    """The number in the item; and, when the call says it was not applied, whose item it says is there."""
    item = scene.item()
    state = "absent" if item is None or "n" not in item else f"n={item['n']['N']}"
    if answer["code"] != "OK" or answer["applied"]:
        return state
    return state + (", told as its own" if answer["ours"] else ", told as another's")


# Parts: 30 s, and a second for each MiB both ways, in a try; three answers of "completed" may be doubted.
UPLOAD_SECONDS = 30 + 2 * (30 + 2 * 8) + 30 + 3 * 300 + 30 + 30

CALLS = {
    "GetObject, whole": Call(
        "s3", "GetObject", lambda scene: {"call": "GetObject", "key": "read/0", "max_bytes": 100_000},
        value=TEXT, garbled=True),
    "GetObject, range": Call(
        "s3", "GetObject", lambda scene: {"call": "GetObject", "key": "read/0", "offset": 8, "len": 16},
        value=TEXT[8:24], garbled=True),
    "HeadObject": Call(
        "s3", "HeadObject", lambda scene: {"call": "HeadObject", "key": "read/0"}, also=("GetObject",),
        value=len(TEXT), garbled=True, bodiless=True, seconds=90),
    "ListObjectsV2": Call(
        "s3", "ListObjectsV2", lambda scene: {"call": "ListObjectsV2", "prefix": "read/", "limit": 10},
        value=["read/0", "read/1", "read/2"], seconds=30 + 2 * 8),
    "PutObject": Call("s3", "PutObject", put, state=lambda scene, _: scene.stored(), garbled=True),
    "PutObject, If-None-Match": Call(
        "s3", "PutObject", lambda scene: put(scene, if_absent=1), garbled=True, seconds=60,
        state=lambda scene, _: scene.stored()),
    "CreateMultipartUpload": Call(
        "s3", "CreateMultipartUpload", put_big, state=object_and_uploads, big=True,
        seconds=UPLOAD_SECONDS),
    "UploadPart": Call(
        "s3", "UploadPart", put_big, state=object_and_uploads, big=True, skip=1, patience_ms=2500,
        garbled=True, seconds=UPLOAD_SECONDS),
    "CompleteMultipartUpload": Call(
        "s3", "CompleteMultipartUpload", put_big, state=object_and_uploads, big=True, skip=4,
        seconds=UPLOAD_SECONDS),
    "AbortMultipartUpload": Call(
        "s3", "AbortMultipartUpload", put_big, state=object_and_uploads, big=True, skip=2,
        garbled=True, bodiless=True,
        rules=((faults.access_denied(), "UploadPart"),), seconds=UPLOAD_SECONDS),
    "DeleteObject": Call(
        "s3", "DeleteObject", lambda scene: {"call": "DeleteObject", "key": scene.key}, before=store,
        state=lambda scene, _: {"stored": "there", "absent": "gone"}[scene.stored()], garbled=True,
        bodiless=True),
    "SendMessageBatch": Call(
        "sqs", "SendMessageBatch", lambda scene: {"call": "SendMessageBatch", "count": MESSAGES},
        state=lambda scene, _: f"{scene.depth()[0]} sent"),
    "ReceiveMessage": Call(
        "sqs", "ReceiveMessage",
        lambda scene: {"call": "ReceiveMessage", "max": 10, "visibility_s": 600, "wait_ms": 0},
        before=lambda scene: scene.send(MESSAGES), state=received),
    "ChangeMessageVisibility": Call(
        "sqs", "ChangeMessageVisibility",
        lambda scene: {"call": "ChangeMessageVisibility", "receipt": scene.receipt, "visibility_s": 0},
        before=Scene.receive_one,
        state=lambda scene, _: "given back" if scene.depth()[0] == 1 else "held"),
    "DeleteMessage": Call(
        "sqs", "DeleteMessage", lambda scene: {"call": "DeleteMessage", "receipt": scene.receipt},
        before=Scene.receive_one, server=deleted_as_aws,
        state=lambda scene, _: "gone" if sum(scene.depth()) == 0 else "there"),
    "GetQueueAttributes": Call(
        "sqs", "GetQueueAttributes", lambda scene: {"call": "GetQueueAttributes"},
        before=lambda scene: scene.send(MESSAGES), value=MESSAGES),
    "GetItem": Call("dynamodb", "GetItem", lambda scene: {"call": "GetItem", "pk": "read/1"}, value=1),
    "BatchGetItem": Call(
        "dynamodb", "BatchGetItem",
        lambda scene: {"call": "BatchGetItem", "pks": ["read/1", "read/2", "nobody"]}, value=3, seconds=45),
    "PutItem": Call("dynamodb", "PutItem", lambda scene: write(scene, put=1), state=written, seconds=60),
    "UpdateItem": Call("dynamodb", "UpdateItem", write, state=written, seconds=60),
    "Query": Call(
        "dynamodb", "Query", lambda _: {"call": "Query", "partition": PARTITION, "limit": 10},
        value=["read/1", "read/2"]),
}


def furnish(made):
    """What the calls that read find."""
    for number in range(3):
        made.s3.put_object(Bucket=made.image_bucket, Key=f"read/{number}", Body=TEXT.encode())
    for number in (1, 2):
        made.dynamodb.put_item(TableName=made.table, Item={
            "pk": {"S": f"read/{number}"}, "n": {"N": str(number)}, "obs": {"N": str(PARTITION)},
            "obd": {"N": str(number)}})
