#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real servers that speak the protocols of S3, SQS and DynamoDB, for the integration tests.

    emulators.py --serve [--s3 NAME] [--sqs NAME] [--dynamodb NAME]

starts them for a person, makes the buckets, queues and table, prints the variables the programs
need, and ends them with Ctrl-C. What each server does and does not do as AWS does is in
README.md, and asserted in test_emulators_*.py."""
import argparse
import functools
import json
import pathlib
import shlex
import signal
import sys
import tempfile
import threading
from typing import NamedTuple

import boto3
from botocore.config import Config

import emulator_packages as packages
from server_process import LOOPBACK, ServerProcess
from signing import REGION

MAKING = threading.Lock()  # sessions, unlike clients, are for one thread at a time
# A small heap, one collector thread and no second compiler: quick to start, and two cores suffice.
JAVA_OPTIONS = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Djava.net.preferIPv4Stack=true"]


class Credentials(NamedTuple):
    access_key: str
    secret_key: str
    session_token: str | None = None

    def variables(self):
        """As the SDKs read them from the environment."""
        found = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        if self.session_token:
            found["AWS_SESSION_TOKEN"] = self.session_token
        return found


class Emulator(ServerProcess):
    services = ()
    verifies_signatures = False
    credentials = Credentials("any", "any")

    def client(self, service, credentials=None, **config):
        return client(service, self.url, credentials or self.credentials, **config)


def client(service, url, credentials, **config):
    """A boto3 client that tries once, so that a test sees the fault and not its repair. It may be
    used by several threads; equal ones are shared, as making one costs more than its requests."""
    return _client(service, url, credentials, json.dumps(config))


@functools.lru_cache(maxsize=None)
def _session():
    return boto3.session.Session()  # with the services' models, once they have been read


@functools.lru_cache(maxsize=None)
def _client(service, url, credentials, config):
    config = {"retries": {"total_max_attempts": 1}, "connect_timeout": 5, "read_timeout": 30,
              "signature_version": "v4" if service != "s3" else "s3v4", **json.loads(config)}
    if service == "s3":
        config.setdefault("s3", {"addressing_style": "path"})
    with MAKING:
        return _session().client(
            service, endpoint_url=url, region_name=REGION,
            aws_access_key_id=credentials.access_key, aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.session_token, config=Config(**config))


class Ministack(Emulator):
    """All three services. Requests of an IAM user are verified as AWS would: signature, time and
    token. Those of the root key are not, so it is used for nothing but to make that user."""

    name = "ministack"
    services = ("s3", "sqs", "dynamodb", "iam", "sts")
    verifies_signatures = True
    needs = (packages.python_environment,)
    health_path = "/_ministack/health"
    root = Credentials("root", "rootsecret")

    def command(self):
        return [packages.python_environment(), "-m", "ministack"]

    def environment(self):
        return {"GATEWAY_PORT": str(self.port), "BIND_HOST": LOOPBACK, "AUTH": "true",
                "SERVICES": ",".join(self.services), "LOG_LEVEL": "WARNING",
                # an MQTT listener on all addresses, otherwise
                "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0",
                "MINISTACK_REGION": REGION, "AWS_ACCESS_KEY_ID": self.root.access_key,
                "AWS_SECRET_ACCESS_KEY": self.root.secret_key}

    def wait(self):
        super().wait()
        iam = self.client("iam", self.root)
        iam.create_user(UserName="tester")
        everything = {"Version": "2012-10-17",
                      "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName="tester", PolicyName="all",
                            PolicyDocument=json.dumps(everything))
        key = iam.create_access_key(UserName="tester")["AccessKey"]
        self.credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
        return self

    def temporary_credentials(self, seconds=900):
        """With a session token, which every request must carry and sign."""
        issued = self.client("sts").get_session_token(DurationSeconds=seconds)["Credentials"]
        return Credentials(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])


class Moto(Emulator):
    """DynamoDB by other authors: splits big batches, closes the connection after each reply."""

    name = "moto"
    services = ("dynamodb",)
    needs = (packages.python_environment,)
    health_path = "/moto-api/"

    def command(self):
        return [packages.python_environment(), packages.RECIPES / "moto_server.py", self.port]


class Dynoxide(Emulator):
    """DynamoDB over SQLite, held to the real service's behaviour by a public conformance suite.
    It is compiled at the first use, so it serves only who asks for it (--dynamodb dynoxide)."""

    name = "dynoxide"
    services = ("dynamodb",)
    needs = (packages.dynoxide,)

    def command(self):
        return [packages.dynoxide(), "serve", "--host", LOOPBACK, "--port", self.port]


class ElasticMq(Emulator):
    """SQS. It would listen on all addresses if it were not told."""

    name = "elasticmq"
    services = ("sqs",)
    needs = (lambda: packages.jars("elasticmq"),)
    health_path = "/health"

    def command(self):
        # ElasticMQ's reference.conf: rest-sqs binds, node-address is what queue URLs show.
        settings = {"rest-sqs.bind-hostname": LOOPBACK, "rest-sqs.bind-port": self.port,
                    "rest-stats.enabled": "false", "node-address.host": LOOPBACK,
                    "node-address.port": self.port, "aws.region": REGION}
        return [packages.java(), *JAVA_OPTIONS, *(f"-D{k}={v}" for k, v in settings.items()),
                "-cp", packages.jars("elasticmq"), "org.elasticmq.server.Main"]


class S3Proxy(Emulator):
    """S3 in memory, whose authors wrote their own check of signatures. It knows one key pair."""

    name = "s3proxy"
    services = ("s3",)
    verifies_signatures = True
    needs = (lambda: packages.jars("s3proxy"),)

    def __init__(self, folder, credentials):
        super().__init__(folder)
        self.credentials = credentials

    def command(self):
        settings = {"s3proxy.endpoint": self.url, "s3proxy.authorization": "aws-v4",
                    "s3proxy.identity": self.credentials.access_key,
                    "s3proxy.credential": self.credentials.secret_key,
                    # SDKs send optional headers it has never heard of, as checksums
                    "s3proxy.ignore-unknown-headers": "true",
                    # unlike the store of files, this one holds any key: a//b, .., a/
                    "jclouds.provider": "transient", "jclouds.identity": "none",
                    "jclouds.credential": "none"}
        properties = self.folder / "s3proxy.properties"
        properties.write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
        return [packages.java(), *JAVA_OPTIONS,
                f"-Dlogback.configurationFile={packages.RECIPES / 'logback.xml'}",
                "-cp", packages.jars("s3proxy"), "org.gaul.s3proxy.Main",
                "--properties", properties]


CHOICES = {"s3": ("ministack", "s3proxy"), "sqs": ("ministack", "elasticmq"),
           "dynamodb": ("ministack", "moto", "dynoxide")}


class Emulators:
    """Servers by name, started when first asked for and ended together. One key pair serves all:
    ministack issues it, S3Proxy is told it, and the others take any."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.running = {}

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    def get(self, name):
        self.start(name)
        return self.running[name]

    def start(self, *names):
        """Those that are not running, side by side."""
        self._start([name for name in names if name != "s3proxy"])
        if "s3proxy" in names:
            self._start(["ministack"])
            self._start(["s3proxy"])

    def _start(self, names):
        launched = {name: self._make(name) for name in names if name not in self.running}
        try:
            for server in launched.values():
                server.launch()
            for server in launched.values():
                server.wait()
        except BaseException:
            for server in launched.values():
                server.stop()
            raise
        self.running.update(launched)

    def _make(self, name):
        folder = self.folder / name
        if name == "s3proxy":
            return S3Proxy(folder, self.running["ministack"].credentials)
        return {kind.name: kind for kind in (Ministack, Moto, Dynoxide, ElasticMq)}[name](folder)

    def stop(self):
        while self.running:
            self.running.popitem()[1].stop()


def serve(chosen):
    """Until a signal; prints what a shell needs to use the servers."""
    import aws_env  # it needs client() from here

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    with tempfile.TemporaryDirectory(prefix="emulators-") as folder, Emulators(folder) as emulators:
        try:
            emulators.start(*chosen.values())
            servers = {service: emulators.get(name) for service, name in chosen.items()}
            for name, value in aws_env.create(servers).variables.items():
                print(f"export {name}={shlex.quote(value)}")
            for server in dict.fromkeys(servers.values()):
                print(f"# {server.name}: {server.url}, log {server.log_path}")
            print("# running until Ctrl-C", flush=True)
            while True:
                signal.pause()
        except KeyboardInterrupt:
            print("# ending", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--serve", action="store_true", required=True,
                        help="start the servers, print their exports, run until Ctrl-C")
    for service, names in CHOICES.items():
        parser.add_argument(f"--{service}", choices=names, default=names[0],
                            help=f"who serves {service} (default {names[0]})")
    options = vars(parser.parse_args())
    options.pop("serve")
    try:
        serve(options)
    except packages.EmulatorError as failure:
        sys.exit(f"emulators: {failure}")


if __name__ == "__main__":
    main()
