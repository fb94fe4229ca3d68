# SPDX-License-Identifier: Apache-2.0
"""moto_server.py PORT: moto with one request at a time. Its own command runs them side by side
without locks, and then two conditional writes of one item can both succeed."""
import io
import sys
import threading

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication, MotoRequestHandler, create_backend_app)
from werkzeug.serving import run_simple


class OneAtATime:
    """Bodies are read before a request's turn, so that a slow client holds up nobody."""

    def __init__(self, application):
        self.application = application
        self.turn = threading.Lock()

    def __call__(self, environ, start_response):
        size = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(size))
        with self.turn:
            return list(self.application(environ, start_response))


run_simple("127.0.0.1", int(sys.argv[1]),
           OneAtATime(DomainDispatcherApplication(create_backend_app)), threaded=True,
           request_handler=MotoRequestHandler)
