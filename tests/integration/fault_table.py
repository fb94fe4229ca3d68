#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Renders the table of faults as docs/faults.md; test_fault_table.py makes every cell true.

    tests/integration/fault_table.py > docs/faults.md"""
from fault_calls import CALLS
from fault_columns import FAULTS, OTHERS
from fault_expected import EXPECTED

TITLES = {"s3": "S3", "sqs": "SQS", "dynamodb": "DynamoDB"}
HEAD = """# Faults of AWS

What the adapters (`lib/store`, over `lib/aws`) make of faults in the calls of S3, SQS and DynamoDB.
Written by `tests/integration/fault_table.py`; `tests/integration/test_fault_table.py` makes every cell
true: the adapters' own code makes the call through a proxy that injects the fault, before a server
that checks signatures, and what is there afterwards is looked at without them.

A cell has two outcomes: when the fault passes after one request / when it lasts. An outcome is the code
(`DIC_E_…`), how many requests of the operation were sent, and in brackets what is there afterwards. An error
names the operation, and AWS's own code and request id where the answer has them. Deadlines are those of
production: a try has 10 s and a call 30 s, more for larger bodies, and no call was longer than its
deadline; waits between the tries are counted, though the test does not wait for them.

What a service was asked twice is in effect done once:

- **PutObject, If-None-Match** and **CompleteMultipartUpload** know their own object again by an id that is
  stored with it. Without the condition the second PUT stores the same bytes.
- **CreateMultipartUpload** whose answer was lost leaves an upload without parts ("1 left"), of which nobody
  knows the name: the bucket's lifecycle rule ends it. So it does with one whose Abort failed, which is
  logged (`upload_left_behind`).
- **SendMessageBatch** whose answer was lost is in the queue twice ("6 sent" of 3). A message names work, and
  who finds it done deletes it.
- **ReceiveMessage** whose answer was lost has hidden messages ("0 received, 3 hidden"). They come again after
  their visibility timeout.
- **PutItem** and **UpdateItem** are sent under a condition that they make false. The second finds it so, and
  the caller is told that it was not applied and which item is there ("told as its own"): the ledger
  recognises its own mark. Nothing was added twice (n=1).
"""
OTHERS_HEAD = """
## Answers that are none

The same for answers that AWS does not give, but what stands between may. Two of them cannot be told from
the truth: a 200 that is empty where the right answer is empty too (DeleteObject, DeleteMessage,
ChangeMessageVisibility: the object stays, the message comes again), and an object that was cut on the way
together with its Content-Length; over https neither can happen unseen. "–": the answer cannot have a
body, or an upload in parts would tell nothing new.
"""


def cells(row, columns):
    return [row.get(name, "–").replace(" / ", "<br>/ ") for name in columns]


def line(fields):
    return f"| {' | '.join(fields)} |"


def tables(columns):
    for service, title in TITLES.items():
        shown = [name for name, fault in columns.items() if service in fault.services]
        yield f"\n### {title}\n"
        yield line(["call", *shown])
        yield line(["---"] * (len(shown) + 1))
        for name, call in CALLS.items():
            if call.service == service:
                yield line([name, *cells(EXPECTED[name], shown)])


def legend(columns):
    for name, fault in columns.items():
        yield f"- **{name}**: {fault.text}"


def render():
    return "\n".join([HEAD, *legend(FAULTS), *tables(FAULTS), OTHERS_HEAD, *legend(OTHERS),
                      *tables(OTHERS), ""])


if __name__ == "__main__":
    print(render(), end="")
