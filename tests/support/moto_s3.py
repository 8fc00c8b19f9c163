"""S3 on loopback: moto's own server, which can be made to answer wrongly."""

import threading
from collections.abc import Callable
from contextlib import contextmanager

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}
Chooses = Callable[[str, str], bool]
"""Takes method and path of a request; returns whether this one goes wrong."""


def never(_method, _path):
    return False


class _Quiet(MotoRequestHandler):
    def log(self, *_arguments, **_more):
        pass


class Server:
    """One at a time: moto looks and then writes, where S3 does both at once."""

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self._disturbances = never, never, never
        self.requests: list[tuple[str, str]] = []
        self._one = threading.RLock()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def client(self):
        """One of our own, whatever the environment says."""
        keys = {name.lower(): value for name, value in ENVIRONMENT.items() if "KEY" in name}
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", **keys)

    @contextmanager
    def disturbed(self, *, refuses: Chooses = never, denies: Chooses = never, loses: Chooses = never):
        """For a while answer 503 to the requests that ``refuses`` chooses, 403 to those of ``denies``, and execute those of ``loses`` but answer 500."""
        self._disturbances = refuses, denies, loses
        try:
            yield
        finally:
            self._disturbances = never, never, never

    @property
    def environment(self):
        return ENVIRONMENT | {"AWS_ENDPOINT_URL": self.endpoint}

    def _answer(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._one:
            refuses, denies, loses = self._disturbances
            self.requests.append((method, path))
            for wrong, status, code in ((refuses, 503, "SlowDown"), (denies, 403, "AccessDenied")):
                if wrong(method, path):
                    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                    return _error(status, code)(environ, start_response)
            if loses(method, path):
                list(self.moto(environ, lambda *_: None))
                return _error(500, "InternalError")(environ, start_response)
            return list(self.moto(environ, start_response))


def _error(status, code):
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>please</Message></Error>"
    return Response(text, status, content_type="application/xml")
