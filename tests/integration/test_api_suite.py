# SPDX-License-Identifier: Apache-2.0
"""The suite of the HTTP API, tests/api, against backend-service and ml-service: the same answers as
in local mode. What is about local mode's own process is left out there (its marker: local)."""
import os
import re
import subprocess
import sys

from deployment import ROOT, Deployment, sample_photos

SECONDS = 1800


def test_the_api_suite_passes_on_aws(aws, tmp_path):
    aws.put_images(sample_photos())
    with Deployment(aws, tmp_path, backend={"HEADER_TIMEOUT_MS": "1500"}) as deployment:
        backend = deployment.backends[0]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", ROOT / "tests/api",
             "-m", "not deep and not model and not local"],
            env={**os.environ, **aws.variables, "DIC_BASE_URL": backend.url,
                 "DIC_SERVICE_LOG": str(backend.log_path)},
            capture_output=True, text=True, timeout=SECONDS, check=False)
        print(done.stdout[-4000:])
        bad = re.findall(r"^(?:FAILED|ERROR) (?:.*tests/api/)?(\S+)", done.stdout, re.MULTILINE)  # for pytest's own last lines
        assert done.returncode == 0, "\n".join([", ".join(bad), done.stdout[-20000:], done.stderr[-2000:]])
        counted = dict((word, int(number)) for number, word in re.findall(
            r"(\d+) (passed|skipped|deselected)", done.stdout.splitlines()[-1]))
        assert counted["passed"] > 250 and counted.get("skipped", 0) < 10, counted
