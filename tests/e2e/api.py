# SPDX-License-Identifier: Apache-2.0
"""The API by the load balancer's name, which no name server knows: as curl --resolve NAME:80:127.0.0.1 asks it."""
import csv
import re
import secrets
import subprocess
import urllib.parse

from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from deployment import SAMPLES, ApiClient

LOAD_BALANCER = "127.0.0.1"
# While tasks are replaced the load balancer may ask one that has just ended. Submits have an Idempotency-Key.
AGAIN = Retry(total=12, connect=0, read=0, status=12, status_forcelist=(502,), allowed_methods={"GET", "POST"},
              backoff_factor=0.1, backoff_max=2)


class LoadBalancerClient(ApiClient):
    def __init__(self, url):
        super().__init__(f"http://{LOAD_BALANCER}")
        self.http.trust_env = False  # no proxy
        self.http.headers["Host"] = urllib.parse.urlsplit(url).hostname
        self.http.mount("http://", HTTPAdapter(max_retries=AGAIN))

    def submit(self, headers=None, **members):
        return super().submit({"Idempotency-Key": secrets.token_hex(16), **(headers or {})}, **members)

    def version(self):
        answer = self.get("/version")
        assert answer.status_code == 200, answer.text
        return answer.json()["version"]


def expected_labels():
    """{key: label} of the sample photos whose label is known."""
    with (SAMPLES / "expected.csv").open() as file:
        return {("test/" if row["file"] == "image.jpg" else "samples/") + row["file"]: row["label"]
                for row in csv.DictReader(file)}


def check_rows(client, job, keys):
    """One row an image, in order, none failed, labels right."""
    rows = client.rows(job)
    assert [row["s3_key"] for row in rows] == keys
    failed = [row for row in rows if "error" in row]
    assert not failed, failed[:5]
    labels = expected_labels()
    wrong = [row for row in rows if row["label"] != labels.get(row["s3_key"], row["label"])]
    assert not wrong, wrong[:5]


def shell(commands, endpoint):
    """Runs a shell's commands as they are written, with curl finding the load balancer; returns what they print."""
    name = urllib.parse.urlsplit(endpoint).hostname
    finds = f'curl() {{ command curl -sS --fail --noproxy "*" --resolve "{name}:80:{LOAD_BALANCER}" "$@"; }}\n'
    done = subprocess.run(["bash", "-euc", finds + commands], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout


def readme_calls(readme):
    """The three curl commands of README.md, "Try it": submit, status, result."""
    block = next(block for block in re.findall(r"```sh\n(.*?)```", readme, re.S) if "/submit" in block)
    calls = [part for part in re.split(r"^(?=curl )", block, flags=re.M) if part.startswith("curl ")]
    assert [re.search(r"\$\{ALB_ENDPOINT\}/(\w+)", call).group(1) for call in calls] == ["submit", "status", "result"]
    return calls
