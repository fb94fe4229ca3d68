# SPDX-License-Identifier: Apache-2.0
"""A service that answers as it is told: one function a request, in turn."""
import http.server
import json
import threading

JOB = "a" * 26
CUT = object()  # an answer that breaks off


class ScriptedServer:
    """server.answers: functions of the request that give (status, headers, body) or CUT; the last
    one goes on for ever. server.requests: (method, path, headers, body) of each request."""

    def __init__(self):
        self.answers = []
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.requests.append((self.command, self.path, dict(self.headers), body))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                outer.reply(self, answer)

            do_GET = do_POST = handle_any

            def log_message(self, *unused):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *unused):
        self.http.shutdown()
        self.http.server_close()

    @staticmethod
    def reply(handler, answer):
        if answer is CUT:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"results\":[{\"i")
            handler.close_connection = True
            return
        status, headers, body = answer
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(text)


def job(status, **progress):
    counts = {"total": 3, "succeeded": 0, "failed": 0, "skipped": 0, "pending": 3, **progress}
    return (200, {}, {"job_id": JOB, "status": status, "progress": counts,
                      "created_at": "2026-01-01T00:00:00.000Z", "started_at": None,
                      "ended_at": None, "eta_seconds": None})


def page(rows, cursor, status=200):
    return (status, {}, {"job_id": JOB, "status": "succeeded", "results": rows,
                         "next_cursor": cursor})


def error(status, code, message, field=None, **headers):
    body = {"code": code, "message": message, "request_id": "r"}
    if field is not None:
        body["field"] = field
    return (status, {name.replace("_", "-"): value for name, value in headers.items()},
            {"error": body})
