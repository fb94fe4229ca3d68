# SPDX-License-Identifier: Apache-2.0
"""What the DynamoDB servers do as the real service does, of what the job store relies on. LACKS
says what a server does not do: each of these tests must fail there, so the table stays true. None
of them throttles, loses a reply or answers a query with stale items: that is for the proxy."""
import time
import zlib

import pytest
import races
from botocore.exceptions import ClientError

import aws_env
from emulators import Credentials

LACKS = {
    ("ministack", "a_batch_read_over_16_mb_comes_in_parts"): "it returns all at once",
    ("moto", "a_batch_write_of_26_is_refused"): "it takes any number",
    ("moto", "a_set_has_no_member_twice"): "it takes the set as it is",
    ("moto", "an_index_key_of_another_type_is_refused"): "it checks the table's own key only",
    ("moto", "read_capacity_is_reported_by_size"): "it reports a constant",
    ("moto", "write_capacity_is_reported_by_size"): "it reports a constant",
    ("ministack", "read_capacity_is_reported_by_size"): "it reports a constant",
    ("moto", "a_wrong_secret_is_refused"): "it does not check signatures",
    ("dynoxide", "a_wrong_secret_is_refused"): "it does not check signatures",
}


@pytest.fixture(autouse=True)
def known_lacks(request, dynamodb_server):
    name = request.node.originalname.removeprefix("test_")
    if (dynamodb_server.name, name) in LACKS:
        request.applymarker(pytest.mark.xfail(strict=True,
                                              reason=LACKS[dynamodb_server.name, name]))


@pytest.fixture(scope="module")
def made(emulators, dynamodb_server):
    ministack = emulators.get("ministack")
    return aws_env.create({"s3": ministack, "sqs": ministack, "dynamodb": dynamodb_server})


@pytest.fixture
def table(made, request):
    """The table for one test, whose items have names of its own."""
    return Table(made.dynamodb, made.table, request.node.originalname)


class Table:
    def __init__(self, client, name, prefix):
        self.client = client
        self.name = name
        self.prefix = prefix

    def key(self, pk):
        return {"pk": {"S": f"{self.prefix}#{pk}"}}

    def put(self, pk, item=None, **more):
        return self.client.put_item(TableName=self.name, Item={**self.key(pk), **(item or {})},
                                    **more)

    def update(self, pk, expression, values, **more):
        return self.client.update_item(
            TableName=self.name, Key=self.key(pk), UpdateExpression=expression,
            ExpressionAttributeValues=values, **more)

    def get(self, pk):
        return self.client.get_item(TableName=self.name, Key=self.key(pk),
                                    ConsistentRead=True).get("Item")

    def query(self, index, condition, values, **more):
        return self.client.query(TableName=self.name, IndexName=index, **more,
                                 KeyConditionExpression=condition, ExpressionAttributeValues=values)

    def refused(self, method, *arguments, code="ValidationException", **named):
        with pytest.raises(ClientError) as caught:
            method(*arguments, **named)
        assert caught.value.response["Error"]["Code"] == code, caught.value
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        return caught.value.response


def text(value):
    return {"S": value}


def number(value):
    return {"N": str(value)}


CONDITION_FAILED = "ConditionalCheckFailedException"


def commit(table, segment, chunk):
    """The ledger write of a chunk (RELIABILITY's commit): once, however often it is tried."""
    return table.update(
        segment, "SET c.#k = :v ADD nd :one, ok :ok", {
            ":v": text("attempt,5,0"), ":one": number(1), ":ok": number(5), ":open": text("OPEN")},
        ConditionExpression="st = :open AND attribute_not_exists(c.#k)",
        ExpressionAttributeNames={"#k": chunk}, ReturnValues="ALL_NEW",
        ReturnValuesOnConditionCheckFailure="ALL_OLD")


def open_segment(table, pk="segment"):
    table.put(pk, {"st": text("OPEN"), "nd": number(0), "c": {"M": {}}})
    return pk


def test_a_wrong_secret_is_refused(dynamodb_server):
    wrong = Credentials(dynamodb_server.credentials.access_key, "wrong")
    with pytest.raises(ClientError) as caught:
        dynamodb_server.client("dynamodb", wrong).list_tables()
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_a_put_that_comes_second_learns_of_the_first(table):
    table.put("job", {"req": text("hash")}, ConditionExpression="attribute_not_exists(pk)")
    answer = table.refused(table.put, "job", {"req": text("other")}, code=CONDITION_FAILED,
                           ConditionExpression="attribute_not_exists(pk)",
                           ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert answer["Item"] == {**table.key("job"), "req": text("hash")}


def test_a_chunk_counts_once(table):
    segment = open_segment(table)
    assert commit(table, segment, "3")["Attributes"]["nd"] == number(1)
    answer = table.refused(commit, table, segment, "3", code=CONDITION_FAILED)
    assert answer["Item"]["c"] == {"M": {"3": text("attempt,5,0")}}
    assert (answer["Item"]["nd"], answer["Item"]["ok"]) == (number(1), number(5))


def test_nothing_is_made_by_an_update_whose_condition_needs_it(table):
    answer = table.refused(commit, table, "absent", "3", code=CONDITION_FAILED)
    assert "Item" not in answer
    assert table.get("absent") is None


def test_of_many_racing_puts_exactly_one_wins(table):
    def put(turn, writer):
        try:
            table.put(f"race{turn}", {"w": number(writer)},
                      ConditionExpression="attribute_not_exists(pk)")
        except ClientError as lost:
            assert lost.response["Error"]["Code"] == CONDITION_FAILED
            return False
        return True

    assert races.winners_per_round(put) == [1] * races.ROUNDS


def test_of_many_racing_commits_of_a_chunk_exactly_one_counts(table):
    segment = open_segment(table)

    def try_commit(turn, _):
        try:
            commit(table, segment, str(turn))
        except ClientError as lost:
            assert lost.response["Error"]["Code"] == CONDITION_FAILED
            return False
        return True

    assert races.winners_per_round(try_commit) == [1] * races.ROUNDS
    item = table.get(segment)
    assert (item["nd"], item["ok"]) == (number(races.ROUNDS), number(5 * races.ROUNDS))
    assert len(item["c"]["M"]) == races.ROUNDS


def test_a_number_set_counts_each_member_once(table):
    table.put("tally")
    for member in ("0", "1", "1", "0"):
        table.update("tally", "ADD sd :s", {":s": {"NS": [member]}},
                     ConditionExpression="attribute_exists(pk)")
    table.refused(table.update, "tally", "SET x = :n", {":n": number(3)}, code=CONDITION_FAILED,
                  ConditionExpression="size(sd) = :n")
    table.update("tally", "SET x = :n", {":n": number(2)}, ConditionExpression="size(sd) = :n")
    assert sorted(table.get("tally")["sd"]["NS"]) == ["0", "1"]


def test_a_state_moves_only_from_those_named(table):
    table.put("job", {"st": text("ACCEPTED")})
    values = {":a": text("ACCEPTED"), ":p": text("PLANNING"), ":z": number(0), ":t": number(10)}
    moved = table.update("job", "SET st = :p, cur = if_not_exists(cur, :z) + :t", values,
                         ConditionExpression="st IN (:a, :p)", ReturnValues="UPDATED_NEW")
    assert moved["Attributes"] == {"st": text("PLANNING"), "cur": number(10)}
    table.refused(table.update, "job", "SET st = :p", {":p": text("x"), ":a": text("ACCEPTED")},
                  code=CONDITION_FAILED, ConditionExpression="st IN (:a)")


def test_the_outbox_holds_only_what_is_due_by_key(table):
    shard = {":s": number(zlib.crc32(table.prefix.encode()))}
    for job, due in (("late", 300), ("soon", 100), ("next", 200)):
        table.put(job, {"obs": shard[":s"], "obd": number(due), "st": text("RUNNING")})
    found = table.query("outbox", "obs = :s AND obd < :now", {**shard, ":now": number(250)})
    assert [item["obd"] for item in found["Items"]] == [number(100), number(200)]
    assert found["Items"][0] == {**table.key("soon"), "obs": shard[":s"], "obd": number(100)}
    table.client.update_item(TableName=table.name, Key=table.key("soon"),
                             UpdateExpression="REMOVE obs, obd")
    left = table.query("outbox", "obs = :s", shard)
    assert [item["pk"] for item in left["Items"]] == [table.key("next")["pk"],
                                                      table.key("late")["pk"]]


def test_the_listing_is_read_newest_first_in_pages(table):
    owner = {":l": text(table.prefix)}
    for i in range(5):
        table.put(i, {"lst": owner[":l"], "crt": text(f"2026-01-0{i}"), "st": text("X"),
                      "big": text("not in the index")})
    seen, start = [], {}
    while True:
        page = table.query("listing", "lst = :l", owner, Limit=2, ScanIndexForward=False, **start)
        seen += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert [item["crt"]["S"][-1] for item in seen] == list("43210")
    assert set(seen[0]) == {"pk", "lst", "crt", "st"}


def test_an_index_is_not_read_consistently(table):
    table.refused(table.query, "listing", "lst = :l", {":l": text("x")}, ConsistentRead=True)


def test_a_query_ends_its_page_at_1_mb(table):
    owner = {":l": text(table.prefix)}
    for i in range(6):
        table.put(i, {"lst": owner[":l"], "crt": text(str(i)), "st": text("x" * 300_000)})
    page = table.query("listing", "lst = :l", owner)
    assert 3 <= page["Count"] < 6 and "LastEvaluatedKey" in page


def test_an_index_key_of_another_type_is_refused(table):
    table.refused(table.put, "x", {"obs": text("1"), "obd": number(1)})


def test_a_set_has_no_member_twice(table):
    table.refused(table.put, "x", {"s": {"NS": ["1", "1"]}})


@pytest.mark.parametrize("item", [{"s": {"NS": []}}, {"x": {"S": "x" * (400 * 1024)}}],
                         ids=["an empty set", "over 400 KB"])
def test_an_item_that_cannot_be_is_refused(table, item):
    table.refused(table.put, "x", item)


def test_expressions_are_checked(table):
    table.put("x")
    for expression, values in (("SET status = :v", {":v": number(1)}),  # a reserved word
                               ("SET x = :v", {":v": number(1), ":unused": number(2)}),
                               ("SET m.k = :v", {":v": number(1)})):  # m is not there
        table.refused(table.update, "x", expression, values)


def test_numbers_keep_38_digits(table):
    digits = "12345678901234567890123456789012345678"
    table.put("x", {"n": {"N": digits}})
    assert table.get("x")["n"] == {"N": digits}


def test_a_batch_read_names_each_key_once(table):
    for i in range(3):
        table.put(i)
    keys = [table.key(i) for i in range(3)]
    found = table.client.batch_get_item(RequestItems={table.name: {"Keys": keys}})
    assert len(found["Responses"][table.name]) == 3 and not found["UnprocessedKeys"]
    table.refused(table.client.batch_get_item, RequestItems={table.name: {"Keys": keys[:1] * 2}})


def test_a_batch_read_of_101_is_refused(table):
    keys = [table.key(i) for i in range(101)]
    table.refused(table.client.batch_get_item, RequestItems={table.name: {"Keys": keys}})


def test_a_batch_read_over_16_mb_comes_in_parts(table):
    keys = [table.key(i) for i in range(45)]
    for i in range(45):
        table.put(i, {"x": text("x" * 400_000)})
    found = table.client.batch_get_item(RequestItems={table.name: {"Keys": keys}})
    left = found["UnprocessedKeys"][table.name]["Keys"]
    assert left and len(found["Responses"][table.name]) + len(left) == 45


def test_a_batch_write_of_26_is_refused(table):
    puts = [{"PutRequest": {"Item": table.key(i)}} for i in range(26)]
    written = table.client.batch_write_item(RequestItems={table.name: puts[:25]})
    assert not written["UnprocessedItems"]
    table.refused(table.client.batch_write_item, RequestItems={table.name: puts})


def test_a_transaction_is_all_or_nothing(table):
    put = {"TableName": table.name, "ConditionExpression": "attribute_not_exists(pk)",
           "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    first = {"Put": {**put, "Item": table.key("a")}}
    table.client.transact_write_items(TransactItems=[first])
    answer = table.refused(
        table.client.transact_write_items, code="TransactionCanceledException",
        TransactItems=[first, {"Put": {"TableName": table.name, "Item": table.key("b")}}])
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == [
        "ConditionalCheckFailed", "None"]
    assert answer["CancellationReasons"][0]["Item"] == table.key("a")
    assert table.get("b") is None


def test_an_expired_item_may_still_be_read(table):
    """The service deletes within days; the API must look at ttl itself."""
    table.put("old", {"ttl": number(int(time.time()) - 10)})
    assert table.get("old") is not None


def test_read_capacity_is_reported_by_size(table):
    table.put("x", {"x": text("x" * 5000)})
    read = table.client.get_item(TableName=table.name, Key=table.key("x"), ConsistentRead=True,
                                 ReturnConsumedCapacity="TOTAL")
    assert read["ConsumedCapacity"]["CapacityUnits"] == 2.0  # 4 KB each


def test_write_capacity_is_reported_by_size(table):
    table.put("x", {"x": text("x" * 4500)})
    written = table.update("x", "SET y = :v", {":v": number(1)}, ReturnConsumedCapacity="TOTAL")
    assert written["ConsumedCapacity"]["CapacityUnits"] == 5.0  # 1 KB each, of the whole item


def test_a_table_that_is_not_there_is_named(table):
    table.refused(table.client.get_item, TableName="none", Key=table.key("x"),
                  code="ResourceNotFoundException")


def test_replies_carry_a_checksum(table, dynamodb_server):
    seen = {}

    def note(http_response, **_):
        seen.update(crc=http_response.headers["x-amz-crc32"], body=http_response.content)

    client = table.client
    client.meta.events.register("after-call.dynamodb.GetItem", note)
    try:
        table.get("anything")
    finally:
        client.meta.events.unregister("after-call.dynamodb.GetItem", note)
    assert int(seen["crc"]) == zlib.crc32(seen["body"])
