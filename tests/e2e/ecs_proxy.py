# SPDX-License-Identifier: Apache-2.0
"""Between Terraform and the emulator's ECS. ECS shows a deployment as long as it has tasks: once a failed one has
been taken back it is gone, and the service is stable. The emulator keeps it for good, so that whoever waits for a
stable service waits in vain. This leaves such a deployment out of what DescribeServices answers, and changes nothing
else."""
import http.client
import http.server
import json
import threading
import urllib.parse

SECONDS = 120
NOT_PASSED_ON = {"accept-encoding", "connection", "content-length", "host", "transfer-encoding"}


def without_ended_failures(document):
    """DescribeServices' answer less the failed deployments that have no task, where the primary one is complete."""
    for service in document.get("services", []):
        deployments = service.get("deployments", [])
        if not any(one["status"] == "PRIMARY" and one["rolloutState"] == "COMPLETED" for one in deployments):
            continue
        service["deployments"] = [
            one for one in deployments
            if one["status"] == "PRIMARY" or one["rolloutState"] != "FAILED"
            or one.get("runningCount", 0) + one.get("pendingCount", 0) > 0]
    return document


class EcsProxy:
    """with EcsProxy(endpoint) as proxy: … proxy.url"""

    def __init__(self, endpoint):
        upstream = urllib.parse.urlsplit(endpoint)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_PASSED_ON}
                connection = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=SECONDS)
                try:
                    connection.request("POST", self.path, body, {**headers, "Host": self.headers["Host"]})
                    answer = connection.getresponse()
                    self._answer(answer, answer.read())
                finally:
                    connection.close()

            def _answer(self, answer, body):
                action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                if action == "DescribeServices" and answer.status == 200:
                    body = json.dumps(without_ended_failures(json.loads(body))).encode()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in NOT_PASSED_ON | {"date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *unused):
        self.server.shutdown()
        self.server.server_close()
