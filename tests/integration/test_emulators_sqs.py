# SPDX-License-Identifier: Apache-2.0
"""What the SQS servers do as the real service does. LACKS says what a server does not do: each of
these tests must fail there, so the table stays true. Neither has the service's limit of 120,000
messages in flight, its throttling, its duplicates or its reordering: that is for the proxy."""
import concurrent.futures
import json

import pytest
from botocore.exceptions import ClientError

import aws_env
from emulators import Credentials

LACKS = {
    ("ministack", "deleting_twice_is_harmless"): "the handle is invalid; the service answers 200",
    ("elasticmq", "deleting_twice_is_harmless"): "the handle is invalid; the service answers 200",
    ("ministack", "a_visibility_of_over_12_hours_is_refused"): "it takes any number",
    ("elasticmq", "a_visibility_of_over_12_hours_is_refused"): "it takes any number",
    ("ministack", "messages_move_back_from_the_dead_letter_queue"): "no StartMessageMoveTask",
    ("elasticmq", "an_error_names_its_code_for_old_clients"): "x-amzn-query-error is another text",
    ("elasticmq", "an_empty_batch_is_refused"): "it takes it",
    ("elasticmq", "a_wrong_secret_is_refused"): "it does not check signatures",
}


@pytest.fixture(autouse=True)
def known_lacks(request, sqs_server):
    name = request.node.originalname.removeprefix("test_")
    if (sqs_server.name, name) in LACKS:
        request.applymarker(pytest.mark.xfail(strict=True, reason=LACKS[sqs_server.name, name]))


@pytest.fixture
def made(emulators, sqs_server):
    ministack = emulators.get("ministack")
    return aws_env.create({"s3": ministack, "sqs": sqs_server, "dynamodb": ministack},
                          visibility_seconds=1, max_receive_count=2)


@pytest.fixture
def queue(made):
    return Queue(made.sqs, made.queue_url, made.dlq_url)


class Queue:
    def __init__(self, client, url, dlq_url):
        self.client = client
        self.url = url
        self.dlq_url = dlq_url

    def send(self, body="{}", **more):
        return self.client.send_message(QueueUrl=self.url, MessageBody=body, **more)

    def receive(self, seconds=0, url=None, **more):
        return self.client.receive_message(
            QueueUrl=url or self.url, MaxNumberOfMessages=10, WaitTimeSeconds=seconds,
            AttributeNames=["All"], **more).get("Messages", [])

    def show(self, message, seconds):
        self.client.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds)

    def delete(self, message):
        self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])


def refusal(call, *arguments, **named):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    return caught.value.response


def receives(message):
    return int(message["Attributes"]["ApproximateReceiveCount"])


def test_a_wrong_secret_is_refused(sqs_server):
    wrong = Credentials(sqs_server.credentials.access_key, "wrong")
    answer = refusal(sqs_server.client("sqs", wrong).list_queues)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"]["Code"] == "SignatureDoesNotMatch"


def test_a_message_is_unseen_until_its_time_is_over(queue):
    queue.send('{"a":"ü"}')
    (first,) = queue.receive()
    assert (first["Body"], receives(first)) == ('{"a":"ü"}', 1)
    assert queue.receive() == []
    (again,) = queue.receive(seconds=5)
    assert again["MessageId"] == first["MessageId"] and receives(again) == 2
    assert again["ReceiptHandle"] != first["ReceiptHandle"]


def test_a_longer_time_keeps_it_unseen(queue):
    queue.send()
    (message,) = queue.receive()
    queue.show(message, 30)
    assert queue.receive(seconds=2) == []


def test_a_released_message_is_seen_at_once(queue):
    queue.send()
    (message,) = queue.receive(VisibilityTimeout=30)
    queue.show(message, 0)
    assert [receives(seen) for seen in queue.receive()] == [2]


def test_a_handle_from_before_a_redelivery_extends_nothing(queue):
    queue.send()
    (old,) = queue.receive(VisibilityTimeout=0)
    (new,) = queue.receive(seconds=5)
    answer = refusal(queue.show, old, 30)
    assert answer["Error"]["Code"].endswith(("ReceiptHandleIsInvalid", "InvalidParameterValue"))
    queue.delete(new)


def test_after_its_last_receive_a_message_is_dead(queue):
    queue.send("poison")
    for _ in range(2):
        assert len(queue.receive(VisibilityTimeout=0)) == 1
    assert queue.receive(seconds=1) == []
    (dead,) = queue.receive(seconds=1, url=queue.dlq_url)
    assert dead["Body"] == "poison"


def test_messages_move_back_from_the_dead_letter_queue(queue):
    queue.send("poison")
    for _ in range(2):
        queue.receive(VisibilityTimeout=0)
    assert queue.receive() == []
    arn = queue.client.get_queue_attributes(
        QueueUrl=queue.dlq_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    queue.client.start_message_move_task(SourceArn=arn)
    assert [message["Body"] for message in queue.receive(seconds=5)] == ["poison"]


def test_a_long_poll_ends_when_a_message_comes(queue):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.receive, 20)
        assert not waiting.done()
        queue.send("late")
        assert [message["Body"] for message in waiting.result(timeout=10)] == ["late"]


def test_a_delayed_message_comes_later(queue):
    queue.send("later", DelaySeconds=1)
    assert queue.receive() == []
    assert [message["Body"] for message in queue.receive(seconds=5)] == ["later"]


def test_deleting_twice_is_harmless(queue):
    queue.send()
    (message,) = queue.receive()
    queue.delete(message)
    queue.delete(message)


def test_a_visibility_of_over_12_hours_is_refused(queue):
    queue.send()
    (message,) = queue.receive()
    queue.show(message, 43200)
    assert refusal(queue.show, message, 43201)["Error"]["Code"] == "InvalidParameterValue"


def test_a_batch_reports_each_entry(queue):
    sent = queue.client.send_message_batch(QueueUrl=queue.url, Entries=[
        {"Id": "good", "MessageBody": "fine"}, {"Id": "bad", "MessageBody": "\x01"}])
    assert [entry["Id"] for entry in sent["Successful"]] == ["good"]
    assert [(entry["Id"], entry["SenderFault"]) for entry in sent["Failed"]] == [("bad", True)]
    (message,) = queue.receive()
    handles = {"good": message["ReceiptHandle"], "bad": "no such handle"}
    for change in (
            lambda entries: queue.client.change_message_visibility_batch(
                QueueUrl=queue.url, Entries=[{**e, "VisibilityTimeout": 30} for e in entries]),
            lambda entries: queue.client.delete_message_batch(QueueUrl=queue.url, Entries=entries)):
        answer = change([{"Id": k, "ReceiptHandle": v} for k, v in handles.items()])
        assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
        assert [entry["Code"] for entry in answer["Failed"]] == ["ReceiptHandleIsInvalid"]


def test_a_batch_has_10_entries_of_different_names(queue):
    def entries(names):
        return [{"Id": name, "MessageBody": "x"} for name in names]

    def send(names):
        return queue.client.send_message_batch(QueueUrl=queue.url, Entries=entries(names))

    assert len(send("0123456789")["Successful"]) == 10
    assert refusal(send, "0123456789a")["Error"]["Code"].endswith("TooManyEntriesInBatchRequest")
    assert refusal(send, "00")["Error"]["Code"].endswith("BatchEntryIdsNotDistinct")


def test_an_empty_batch_is_refused(queue):
    answer = refusal(queue.client.send_message_batch, QueueUrl=queue.url, Entries=[])
    assert answer["Error"]["Code"].endswith("EmptyBatchRequest")


def test_a_message_has_at_most_1_mib(queue):
    queue.send("x" * (1 << 20))
    refusal(queue.send, "x" * ((1 << 20) + 1))


def test_a_standard_queue_takes_a_message_group_for_fairness(queue):
    queue.send("x", MessageGroupId="tenant")
    assert len(queue.receive()) == 1


def test_a_queue_that_is_not_there_is_named(queue):
    answer = refusal(queue.client.send_message, QueueUrl=queue.url + "x", MessageBody="x")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["Error"]["Code"] in ("QueueDoesNotExist",
                                       "AWS.SimpleQueueService.NonExistentQueue")


def test_an_error_names_its_code_for_old_clients(queue):
    answer = refusal(queue.client.send_message, QueueUrl=queue.url + "x", MessageBody="x")
    header = answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-query-error"]
    assert header == "AWS.SimpleQueueService.NonExistentQueue;Sender"


def test_the_queue_counts_what_it_holds(made, queue):
    for _ in range(3):
        queue.send()
    queue.send(DelaySeconds=30)
    assert made.queue_depth() == (3, 0, 1)
    queue.client.receive_message(QueueUrl=queue.url, VisibilityTimeout=30)
    assert made.queue_depth() == (2, 1, 1)


def test_the_job_queue_has_its_policy(emulators, sqs_server):
    ministack = emulators.get("ministack")
    made = aws_env.create({"s3": ministack, "sqs": sqs_server, "dynamodb": ministack})
    attributes = made.sqs.get_queue_attributes(QueueUrl=made.queue_url,
                                               AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "120"
    policy = json.loads(attributes["RedrivePolicy"])
    assert int(policy["maxReceiveCount"]) == 10
    assert policy["deadLetterTargetArn"].endswith(made.names["dlq"])
