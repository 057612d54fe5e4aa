"""One member of an etcd, as its HTTP gateway answers what nagios_failover/etcd.py asks: keys, leases, transactions. What the
real one does, tests/e2e/test_quorum.py sees; this one is for doors and units, and can be told to say something wrong."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

MASTER, TERM, REIGNED = (
    base64.b64encode(f"nagios-failover/nagios/{key}".encode()).decode() for key in ("master", "term", "reigned")
)


class FakeEtcd:
    """`with FakeEtcd() as etcd:` listens on `etcd.url`. `says` (status, body) is answered instead, `after_renewal` called once."""

    def __init__(self) -> None:
        self.key: tuple[str, str] | None = None  # value and lease, encoded as on the wire
        self.term: tuple[str, int] | None = None  # value, encoded, and revision
        self.reigned: tuple[str, int] | None = None
        self.standbys: dict[str, tuple[str, str]] = {}  # by key: value and lease
        self.leases: dict[str, tuple[float, int]] = {}
        self.says: tuple[int, bytes] | None = None
        self.after_renewal: Any = None
        self.asked: list[str] = []
        self._ids, self._revisions, self._lock = itertools.count(7587), itertools.count(2), threading.Lock()
        handler = type("Handler", (_Handler,), {"etcd": self})
        self._server = _Server(("127.0.0.1", 0), handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def expire(self) -> None:
        """All leases end now."""
        self.leases.clear()

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.asked.append(path)
            self._forget()
            answered: dict[str, Any] = getattr(self, "_" + path.replace("/", "_"))(body)
        if path == "lease/keepalive" and self.after_renewal:
            self.after_renewal()
            self.after_renewal = None
        return answered

    def _forget(self) -> None:
        self.leases = {lease: kept for lease, kept in self.leases.items() if kept[0] > time.monotonic()}
        if self.key and self.key[1] not in self.leases:
            self.key = None
        self.standbys = {key: kept for key, kept in self.standbys.items() if kept[1] in self.leases}

    def _left(self, lease: str) -> str:
        return str(int(self.leases[lease][0] - time.monotonic())) if lease in self.leases else "-1"

    def _kv_range(self, body: dict[str, Any]) -> dict[str, Any]:
        found = [{"key": MASTER, "value": self.key[0], "lease": self.key[1]}] if self.key else []
        found.extend({"key": key, "value": value, "lease": lease} for key, (value, lease) in self.standbys.items())
        for key, kept in ((TERM, self.term), (REIGNED, self.reigned)):
            if kept:
                found.append({"key": key, "value": kept[0], "mod_revision": str(kept[1])})
        return {"kvs": found} if found else {"header": {}}

    def _kv_put(self, body: dict[str, Any]) -> dict[str, Any]:
        assert base64.b64decode(body["key"]).startswith(b"nagios-failover/nagios/standby/")
        self.standbys[body["key"]] = (body["value"], body["lease"])
        return {"header": {}}

    def _kv_txn(self, body: dict[str, Any]) -> dict[str, Any]:
        if not all(self._holds(question) for question in body["compare"]):
            return {"responses": [{"response_range": self._kv_range(one["request_range"])} for one in body.get("failure", [])]}
        revision = next(self._revisions)  # of all that one transaction puts
        for put in (one["request_put"] for one in body["success"]):
            if put["key"] == TERM:
                self.term = (put["value"], revision)
            elif put["key"] == REIGNED:
                self.reigned = (put["value"], revision)
            else:
                self.key = (put["value"], put["lease"])
        return {"succeeded": True}

    def _holds(self, question: dict[str, Any]) -> bool:
        asked = (question["key"], question["target"])
        if asked == (TERM, "MOD"):
            return int(question["mod_revision"]) == (self.term[1] if self.term else 0)
        if asked == (MASTER, "VALUE"):
            return self.key is not None and self.key[0] == question["value"]
        assert asked == (MASTER, "CREATE")
        return self.key is None

    def _lease_grant(self, body: dict[str, Any]) -> dict[str, Any]:
        lease, seconds = str(next(self._ids)), int(body["TTL"])
        self.leases[lease] = (time.monotonic() + seconds, seconds)
        return {"ID": lease, "TTL": str(seconds)}

    def _lease_keepalive(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["ID"] not in self.leases:
            return {"result": {"ID": body["ID"]}}
        seconds = self.leases[body["ID"]][1]
        self.leases[body["ID"]] = (time.monotonic() + seconds, seconds)
        return {"result": {"ID": body["ID"], "TTL": str(seconds)}}

    def _lease_timetolive(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"ID": body["ID"], "TTL": self._left(body["ID"])}

    def _lease_revoke(self, body: dict[str, Any]) -> dict[str, Any]:
        self.leases.pop(body["ID"], None)
        self._forget()
        return {"header": {}}


class _Server(ThreadingHTTPServer):
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    etcd: ClassVar[FakeEtcd]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.etcd.says or (200, json.dumps(self.etcd.answer(self.path.removeprefix("/v3/"), body)).encode())
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass
