"""Servers of files on this machine, which count the bytes that they send."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


@dataclass
class Sent:
    """What a server sends.

    Attributes:
        address: Where it is.
        size: Bytes of content by name, over all requests.
        requests: Method, name and range of each request.
        failures: How many requests are still going to fail.
    """

    address: str
    size: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    failures: int = 0


@contextmanager
def web(folder: Path, *, ranges: bool = True) -> Iterator[Sent]:
    """Serve a folder over HTTP, with or without ranges of bytes."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(content=False)

        def do_GET(self) -> None:
            self._answer(content=True)

        def _answer(self, *, content: bool) -> None:
            name, asked = self.path.partition("?")[0].lstrip("/"), self.headers.get("Range", "")
            sent.requests.append((self.command, name, asked))
            path = folder / name
            if content and sent.failures:
                sent.failures -= 1
                self._head(503, 0)
                return
            if not path.is_file():
                self._head(404, 0)
                return
            data = path.read_bytes()
            bounds = re.fullmatch(r"bytes=(\d+)-(\d+)", asked) if ranges else None
            if bounds:
                first, last = int(bounds[1]), min(int(bounds[2]), len(data) - 1)
                self._head(206, last - first + 1, **{"Content-Range": f"bytes {first}-{last}/{len(data)}"})
                data = data[first : last + 1]
            else:
                self._head(200, len(data), **({"Accept-Ranges": "bytes"} if ranges else {"Accept-Ranges": "none"}))
            if content:
                sent.size[name] = sent.size.get(name, 0) + len(data)
                self.wfile.write(data)

        def _head(self, code: int, length: int, **headers: str) -> None:
            self.send_response(code)
            for key, value in {"Content-Length": str(length), **headers}.items():
                self.send_header(key, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        sent = Sent(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield sent
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def s3(files: dict[str, Path]) -> Iterator[Sent]:
    """Serve files as the objects of a bucket called `bucket`, by the S3 protocol; needs moto."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = DomainDispatcherApplication(create_backend_app)

    def counting(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name = environ["PATH_INFO"].removeprefix("/bucket/")
        sent.requests.append((environ["REQUEST_METHOD"], name, environ.get("HTTP_RANGE", "")))
        for piece in app(environ, start_response):
            if environ["REQUEST_METHOD"] == "GET":
                sent.size[name] = sent.size.get(name, 0) + len(piece)
            yield piece

    server = make_server("127.0.0.1", 0, counting, threaded=True)
    server.daemon_threads = True
    sent = Sent(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        import boto3

        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        client = boto3.client("s3", endpoint_url=sent.address, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="bucket")
        for name, path in files.items():
            client.put_object(Bucket="bucket", Key=name, Body=path.read_bytes())
        client.close()
        sent.requests.clear()
        yield sent
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
