"""A loopback stand-in for service and gateway that keeps events by id and can misbehave in chosen ways."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what half of these tests are about."""


class FakeService:
    def __init__(self, port: int = 0) -> None:
        self.mode = "ok"
        self.kept: dict[str, dict[str, Any]] = {}
        self.arrivals: Counter[str] = Counter()
        self.requests: list[tuple[str, str, Any]] = []
        self.refused_ids: set[str] = set()
        self.assignment: Any = {
            "arm": "adapter", "model": "m-adapter", "reason": "split", "epoch": 3, "bucket": 7, "unit": "r_x",
            "eligible": ["adapter"],
        }  # fmt: skip
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.retry_after = "0.05"
        self._lock = threading.Lock()
        self._server = Server(("127.0.0.1", port), self._handler())
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        with self._lock:
            return [event for event in self.kept.values() if not kind or event.get("kind") == kind]

    def store(self, event: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.arrivals[event["id"]] += 1
            if event["id"] in self.refused_ids:
                return {"id": event["id"], "status": 422, "detail": "not accepted"}
            if event["id"] not in self.kept:
                self.kept[event["id"]] = event
                return {"id": event["id"], "status": 201}
            return {"id": event["id"], "status": 200 if self.kept[event["id"]] == event else 409}

    def _handler(service) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def answer(self, status: int, body: Any, **headers: str) -> None:
                raw = json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def serve(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                path = self.path.partition("?")[0]
                service.requests.append((self.command, self.path, body))
                if (self.command, path) in service.answers:
                    return self.answer(*service.answers[self.command, path])
                if service.mode == "hang":
                    time.sleep(30)
                if service.mode == "drip":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    for _ in range(100):
                        self.wfile.write(b"X")
                        self.wfile.flush()
                        time.sleep(0.02)
                if service.mode == "busy":
                    return self.answer(503, {"detail": "the queue is full"}, Retry_After=service.retry_after)
                if service.mode == "no token":
                    return self.answer(401, {"detail": "no such token"})
                if service.mode == "junk":
                    return self.answer(200, ["what", 1])
                if path == "/v1/assignments":
                    return self.answer(200, service.assignment)
                if path in ("/v1/calls", "/v1/outcomes") and isinstance(body, list):
                    if service.mode == "too large" and len(body) > 1:
                        return self.answer(413, {"detail": "too large"})
                    items = [service.store(event) for event in body]
                    if service.mode == "lost answer":
                        service.mode = "ok"
                        self.close_connection = True
                        return None
                    distinct = {item["status"] for item in items}
                    return self.answer(distinct.pop() if len(distinct) == 1 else 207, {"items": items})
                return self.answer(404, {"detail": "no such page"})

            do_GET = do_POST = do_DELETE = serve

        return Handler


@contextmanager
def fake_service(port: int = 0) -> Iterator[FakeService]:
    service = FakeService(port)
    try:
        yield service
    finally:
        service.stop()
