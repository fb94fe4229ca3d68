# SPDX-License-Identifier: Apache-2.0
"""The small HTTP services that a task finds beside it on AWS, as real servers on 127.0.0.1:
credentials of a container (ECS), the instance metadata service (IMDSv2) and the ECS agent with task
protection and metadata. All record what they are asked, and misbehave when a script says so:

    with ContainerCredentials(issue, tmp_path) as agent:
        agent.misbehave(error(500), times=2)
        … run the program with agent.variables …
        agent.wait_for(3)

Sources. Container credentials: AWS SDKs and Tools Reference Guide, "Container credential provider"
(full URI, authorization token file); reply of the amazon-ecs-agent (RoleArn … Expiration; code,
message, HTTPErrorCode). IMDSv2: EC2 User Guide, "Use the Instance Metadata Service" (token of
1–21,600 s; 400, 401, 403). Task protection: ECS Developer Guide, "Task scale-in protection
endpoint", and the agent's handlers (400 InvalidParameterException, failure within a 200). Task
metadata: the same guide, "Task metadata endpoint version 4" (Limits of CPU are in vCPUs)."""
import datetime
import http.server
import json
import re
import secrets
import socket
import threading
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"
WAIT_SECONDS = 300
HUGE_BYTES = 64 << 20  # who has read so much has no ceiling
STAMP = "%Y-%m-%dT%H:%M:%SZ"


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)


@dataclass
class Asked:
    method: str
    path: str
    headers: dict  # names in lower case
    body: bytes
    status: int | None = None  # None if there was no proper answer


def document(content, status=200):
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def text(content, status=200, **headers):
    return Answer(status, content.encode(), {"Content-Type": "text/plain", **headers})


# Misbehaviour: a function of the Exchange (see below), in place of its good answer.


def error(status, body=b'{"code":"ServerError","message":"a test\'s error"}'):
    return lambda exchange: exchange.send(Answer(status, body))


def body(content, status=200):
    """Any body: not JSON, empty, with a NUL, with members missing."""
    return lambda exchange: exchange.send(Answer(status, content))


def without(*members):
    """The good answer less some members."""
    return changed(lambda content: [content.pop(name) for name in members])


def changed(change):
    """The good answer, a JSON object, as change(object) leaves it."""
    def act(exchange):
        answer = exchange.good_answer()
        content = json.loads(answer.body)
        change(content)
        exchange.send(document(content, answer.status))
    return act


def with_nul(exchange):
    """A NUL within the first string of the answer, escaped as JSON demands."""
    answer = exchange.good_answer()
    answer.body = answer.body.replace(b'": "', b'": "\\u0000', 1)
    exchange.send(answer)


def truncated(exchange):
    answer = exchange.good_answer()
    answer.body = answer.body[:len(answer.body) // 2]
    exchange.send(answer)


def huge(exchange):
    """A body without end, until the client has enough."""
    exchange.begin(Answer(200, b"", {"Content-Length": str(1 << 40)}))
    for _ in range(HUGE_BYTES >> 16):
        exchange.write(b" " * (1 << 16))
    exchange.hang_up()


def slow(seconds):
    """The good answer, late; or none, if the client has left by then."""
    def act(exchange):
        if not exchange.client_leaves_within(seconds):
            exchange.send(exchange.good_answer())
    return act


def silent(exchange):
    """No answer at all."""
    exchange.client_leaves_within(WAIT_SECONDS)
    exchange.hang_up()


def hang_up(exchange):
    exchange.hang_up()


@dataclass
class _Rule:
    act: object
    path: str
    method: str | None
    left: int | None


class Exchange:
    """One request, for a misbehaviour to deal with."""

    def __init__(self, agent, handler, asked):
        self.agent = agent
        self.handler = handler
        self.asked = asked

    def good_answer(self):
        return self.agent.answer(self.asked)

    def begin(self, answer):
        self.asked.status = answer.status
        self.handler.send_response(answer.status)
        for name, value in answer.headers.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()

    def send(self, answer):
        answer.headers.setdefault("Content-Length", str(len(answer.body)))
        self.begin(answer)
        self.write(answer.body)

    def write(self, raw):
        self.handler.wfile.write(raw)

    def hang_up(self):
        self.handler.close_connection = True

    def client_leaves_within(self, seconds):
        """Also when the agent ends."""
        self.handler.connection.settimeout(seconds)
        try:
            return self.handler.connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.handler.connection.settimeout(None)


class Agent:
    """answer(asked) is what the service says when all is well."""

    def __init__(self):
        self.asked = []
        self._rules = []
        self._changed = threading.Condition()
        self._handlers = set()
        self._server = http.server.ThreadingHTTPServer((LOOPBACK, 0), self._handler_class())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True,
                                        kwargs={"poll_interval": 0.05})

    def answer(self, asked):
        raise NotImplementedError

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *unused):
        self.end()

    def end(self):
        """As if the agent were not there: connections are refused."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._server.server_close()
        for handler in list(self._handlers):
            try:
                handler.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended
        self._thread.join(WAIT_SECONDS)

    @property
    def url(self):
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def misbehave(self, act, times=1, path="", method=None):
        """For so many requests (None: all) whose path matches the regular expression."""
        with self._changed:
            self._rules.append(_Rule(act, path, method, times))

    def behave(self):
        with self._changed:
            self._rules.clear()

    def wait_for(self, count, path="", seconds=WAIT_SECONDS):
        with self._changed:
            reached = self._changed.wait_for(lambda: self._count(path) >= count, seconds)
            assert reached, f"{self._count(path)} of {count} requests to {path!r} in {seconds} s"

    def count(self, path=""):
        with self._changed:
            return self._count(path)

    def _count(self, path):
        return sum(1 for asked in self.asked if re.search(path, asked.path))

    def _serve(self, handler):
        size = int(handler.headers.get("Content-Length") or 0)
        asked = Asked(handler.command, handler.path,
                      {name.lower(): value for name, value in handler.headers.items()},
                      handler.rfile.read(size))
        exchange = Exchange(self, handler, asked)
        act = self._take(asked)
        if act is not None:
            act(exchange)
        else:
            exchange.send(self.answer(asked))

    def _take(self, asked):
        with self._changed:
            self.asked.append(asked)
            self._changed.notify_all()
            for rule in self._rules:
                if (re.search(rule.path, asked.path) and rule.left != 0 and
                        rule.method in (None, asked.method)):
                    rule.left = None if rule.left is None else rule.left - 1
                    return rule.act
        return None

    def _handler_class(agent):  # noqa: N805, pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                agent._handlers.add(self)

            def finish(self):
                agent._handlers.discard(self)
                try:
                    super().finish()
                except OSError:
                    pass  # the client left

            def do_GET(self):  # pylint: disable=invalid-name
                try:
                    agent._serve(self)
                except OSError:
                    self.close_connection = True  # the client left

            do_PUT = do_POST = do_GET

            def log_message(self, *unused):
                pass
        return Handler


def _now():
    return datetime.datetime.now(datetime.timezone.utc)


class _Issuer(Agent):
    """Hands out credentials; issue() makes a new set each time (an object with access_key,
    secret_key and session_token), which is said to be good for so many seconds."""

    def __init__(self, issue, seconds):
        super().__init__()
        self.issue = issue
        self.seconds = seconds
        self.issued = []

    def _credentials(self):
        made = self.issue()
        self.issued.append(made)
        return {"AccessKeyId": made.access_key, "SecretAccessKey": made.secret_key,
                "Token": made.session_token or "none",
                "Expiration": (_now() + datetime.timedelta(seconds=self.seconds)).strftime(STAMP)}


class ContainerCredentials(_Issuer):
    """Who asks shows the token that is in the file at the time; rotate_token() changes both."""

    PATH = "/v2/credentials/9e1ff9a2"

    def __init__(self, issue, folder, seconds=6 * 3600):
        super().__init__(issue, seconds)
        self.token_file = folder / "authorization-token"
        self.token = None
        self.rotate_token()

    def rotate_token(self):
        self.token = secrets.token_urlsafe(24)
        self.token_file.write_text(self.token)

    @property
    def variables(self):
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.url + self.PATH,
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self.token_file)}

    def answer(self, asked):
        if asked.path != self.PATH:
            return _agent_error(400, "InvalidIdInRequest",
                                "CredentialsV2Request: Credentials not found")
        if asked.headers.get("authorization") != self.token:
            return _agent_error(401, "Unauthorized", "the authorization token is not valid")
        return document({"RoleArn": "arn:aws:iam::000000000000:role/task", **self._credentials()})


def _agent_error(status, code, message):
    return document({"code": code, "message": message, "HTTPErrorCode": status}, status)


class InstanceMetadata(_Issuer):
    """Version 2 only: requests without a token are refused, as with HttpTokens=required."""

    TOKEN_PATH = "/latest/api/token"
    CREDENTIALS_PATH = "/latest/meta-data/iam/security-credentials/"

    def __init__(self, issue, seconds=6 * 3600, role="instance-role", region="us-east-1"):
        super().__init__(issue, seconds)
        self.role = role
        self.region = region
        self.interruption = None  # set to a datetime: a spot instance about to end
        self.tokens = {}

    @property
    def variables(self):
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url}

    def exceed_hop_limit(self):
        """The reply with the token has a TTL of one hop, so it never reaches a container."""
        self.misbehave(silent, times=None, path=self.TOKEN_PATH)

    def expire_tokens(self):
        self.tokens.clear()

    def answer(self, asked):
        if asked.path == self.TOKEN_PATH:
            return self._token(asked)
        expiry = self.tokens.get(asked.headers.get("x-aws-ec2-metadata-token"))
        if expiry is None or expiry < _now():
            return text("", 401)
        return self._data(asked)

    def _token(self, asked):
        seconds = asked.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if asked.method != "PUT":
            return text("", 405)
        if "x-forwarded-for" in asked.headers:
            return text("", 403)
        if not seconds.isdecimal() or not 1 <= int(seconds) <= 21600:
            return text("", 400)
        token = secrets.token_urlsafe(40)
        self.tokens[token] = _now() + datetime.timedelta(seconds=int(seconds))
        return text(token, **{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": seconds})

    def _data(self, asked):
        if asked.path in (self.CREDENTIALS_PATH, self.CREDENTIALS_PATH[:-1]):
            return text(self.role) if self.role else text("", 404)
        if self.role and asked.path == self.CREDENTIALS_PATH + self.role:
            return document({"Code": "Success", "LastUpdated": _now().strftime(STAMP),
                             "Type": "AWS-HMAC", **self._credentials()})
        if asked.path == "/latest/meta-data/placement/region":
            return text(self.region)
        if asked.path == "/latest/meta-data/spot/instance-action" and self.interruption:
            return document({"action": "terminate", "time": self.interruption.strftime(STAMP)})
        return text("", 404)


class EcsAgent(Agent):
    """Task protection, whose states says what was asked for, in order; and the task's metadata,
    where cpus is the limit of its definition (None: it has none)."""

    PATH = "/api/0f1e2d3c/task-protection/v1/state"
    METADATA_PATH = "/v4/0f1e2d3c"
    ARN = "arn:aws:ecs:us-east-1:000000000000:task/cluster/0123456789abcdef"

    def __init__(self):
        super().__init__()
        self.states = []  # (enabled, minutes or None)
        self.failure = None  # set to a reason: DEPLOYMENT_BLOCKED, TASK_NOT_VALID, …
        self.cpus = 2
        self._until = None

    @property
    def variables(self):
        return {"ECS_AGENT_URI": self.url + self.PATH.removesuffix("/task-protection/v1/state"),
                "ECS_CONTAINER_METADATA_URI_V4": self.url + self.METADATA_PATH}

    @property
    def protected(self):
        return self._until is not None and self._until > _now()

    def answer(self, asked):
        if asked.path == self.METADATA_PATH + "/task":
            limits = {"Limits": {"CPU": self.cpus, "Memory": 4096}} if self.cpus else {}
            return document({"Cluster": "cluster", "TaskARN": self.ARN, "Family": "worker",
                             "Revision": "1", "LaunchType": "FARGATE", **limits, "Containers": []})
        if asked.path != self.PATH:
            return text("404 page not found\n", 404)
        if asked.method == "GET":
            return self._state()
        if asked.method != "PUT":
            return text("", 405)
        try:
            wanted = json.loads(asked.body)
        except ValueError:
            wanted = None
        problem = self._problem_with(wanted)
        if problem:
            return document({"error": {"Arn": self.ARN, "Code": "InvalidParameterException",
                                       "Message": problem}}, 400)
        return self._set(wanted["ProtectionEnabled"], wanted.get("ExpiresInMinutes"))

    @staticmethod
    def _problem_with(wanted):
        if (not isinstance(wanted, dict) or
                set(wanted) - {"ProtectionEnabled", "ExpiresInMinutes"} or
                not isinstance(wanted.get("ProtectionEnabled", True), bool) or
                not isinstance(wanted.get("ExpiresInMinutes", 1), int)):
            return "UpdateTaskProtection: failed to decode request"
        if "ProtectionEnabled" not in wanted:
            return "Invalid request: does not contain 'ProtectionEnabled' field"
        if not 1 <= wanted.get("ExpiresInMinutes", 1) <= 2880:
            return "expiresInMinutes must be between 1 and 2880"
        return None

    def _set(self, enabled, minutes):
        with self._changed:
            self.states.append((enabled, minutes))
            self._changed.notify_all()
        if self.failure:
            return document({"failure": {"Arn": self.ARN, "Reason": self.failure}})
        self._until = _now() + datetime.timedelta(minutes=minutes or 120) if enabled else None
        return self._state()

    def wait_for_states(self, *states, seconds=WAIT_SECONDS):
        """Until the last states asked for (on or off) are these."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: tuple(enabled for enabled, _ in self.states[-len(states):]) == states,
                seconds), self.states

    def _state(self):
        protection = {"ProtectionEnabled": self.protected, "TaskArn": self.ARN}
        if self.protected:
            protection["ExpirationDate"] = self._until.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return document({"protection": protection})
