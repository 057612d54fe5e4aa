"""etcd, by its HTTP gateway (v3 JSON) and the standard library: one key, bound to a lease, that names the master.

Every answer that counts went through etcd's quorum: reads are linearizable, writes and renewals need the leader. Members are asked
one after the other, the one that answered last first, until [quorum] timeout is over.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from nagios_failover.config import ETCD_ELECTION_SECONDS, QuorumSection
from nagios_failover.errors import CouldNotLook
from nagios_failover.lease import Away, Free, Held, Ours, Word


class Etcd:
    """One keeper's view. `now` is the boot clock."""

    def __init__(self, quorum: QuorumSection, now: Callable[[], float]) -> None:
        self._quorum, self._now = quorum, now
        self._members = list(quorum.etcd)
        self._connection: Any = None
        self._key = _encoded(f"nagios-failover/{quorum.name}/master")
        self._context: Any = None
        self._deadline = 0.0

    # --- what is wanted of it; each returns Away for an etcd without an answer ---

    def look(self) -> Word:
        """Whose it is."""
        return self._answered(lambda: self._held() or Free())

    def hold(self, name: str) -> Word:
        """Renew the lease if it is `name`'s, take it if it is nobody's."""
        return self._answered(lambda: self._hold(name))

    def release(self, name: str) -> Word:
        """Give it back, if it is `name`'s; whose it is then."""
        return self._answered(lambda: self._release(name))

    def members(self) -> list[tuple[str, str]]:
        """Each member with what is wrong with it, "" for one that answers as part of a quorum."""
        found = []
        for url in self._quorum.etcd:
            one = Etcd(_only(self._quorum, url), self._now)
            word = one.look()
            found.append((url, word.reason if isinstance(word, Away) else ""))
        return found

    # --- how ---

    def _answered(self, ask: Callable[[], Word]) -> Word:
        self._deadline = self._now() + self._quorum.timeout
        try:
            return ask()
        except CouldNotLook as error:
            return Away(error.what)
        except (LookupError, TypeError, ValueError) as error:
            return Away(f"an answer that etcd does not give: {type(error).__name__} {error}")
        finally:
            self._close()

    def _held(self) -> Held | None:
        found = self._read()
        return found and Held(found[0], self._left(found[1]))

    def _read(self) -> tuple[str, str] | None:
        """Holder and lease id."""
        return _first(self._ask("kv/range", {"key": self._key}))

    def _left(self, lease: str) -> float:
        return max(0.0, float(self._ask("lease/timetolive", {"ID": lease}).get("TTL", 0)))

    def _hold(self, name: str) -> Word:
        asked_at = self._now()
        found = self._read()
        if found and found[0] == name:
            seconds = float(self._ask("lease/keepalive", {"ID": found[1]}).get("result", {}).get("TTL", 0))
            # Read again: what an etcd leader that was cut off renews is no proof.
            if seconds > 0 and self._read() == found:
                return Ours(asked_at + self._shorter(seconds))
            found = self._read()
        if found:
            return Held(found[0], self._left(found[1])) if found[0] != name else Away("the lease ended while it was renewed")
        return self._take(name)

    def _take(self, name: str) -> Word:
        """Exactly one of several that try this at once gets it."""
        asked_at = self._now()
        granted = self._ask("lease/grant", {"TTL": str(int(self._quorum.lease))})
        lease, seconds = str(granted["ID"]), self._shorter(float(granted["TTL"]))
        not_there = {"result": "EQUAL", "key": self._key, "target": "CREATE", "create_revision": "0"}
        put = {"request_put": {"key": self._key, "value": _encoded(name), "lease": lease}}
        read = {"request_range": {"key": self._key}}
        answer = self._ask("kv/txn", {"compare": [not_there], "success": [put], "failure": [read]})
        if answer.get("succeeded"):
            return Ours(asked_at + seconds)
        self._ask("lease/revoke", {"ID": lease})
        other = _first(answer["responses"][0].get("response_range", {}))
        return Held(other[0], self._left(other[1])) if other else Away("the lease changed hands while it was asked for")

    def _shorter(self, seconds: float) -> float:
        return max(0.0, min(seconds, self._quorum.lease) - ETCD_ELECTION_SECONDS)

    def _release(self, name: str) -> Word:
        found = self._read()
        if found and found[0] == name:
            self._ask("lease/revoke", {"ID": found[1]})
            return Free()
        return Held(found[0], self._left(found[1])) if found else Free()

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One request, of the member that is connected or of the first that answers. Raises CouldNotLook."""
        if self._connection is not None:
            said = self._post(path, body)
            if isinstance(said, dict):
                return said
            self._members.append(self._members.pop(0))
            raise CouldNotLook(said)
        reasons = []
        for _ in self._quorum.etcd:
            url = self._members[0]
            said = self._connect(url) or self._post(path, body)
            if isinstance(said, dict):
                return said
            reasons.append(f"{url.rpartition('/')[2]}: {said}")
            self._close()
            self._members.append(self._members.pop(0))
        raise CouldNotLook(", ".join(reasons))

    def _connect(self, url: str) -> str:
        """What is wrong, "" for nothing."""
        import http.client
        import ssl
        from urllib.parse import urlsplit

        limit = self._limit()
        place = urlsplit(url)
        try:
            if place.scheme == "https":
                if self._context is None:
                    self._context = ssl.create_default_context(cafile=str(self._quorum.tls_ca) if self._quorum.tls_ca else None)
                    if self._quorum.tls_cert:
                        self._context.load_cert_chain(str(self._quorum.tls_cert), str(self._quorum.tls_key))
                made: Any = http.client.HTTPSConnection(
                    place.hostname or "", place.port or 2379, timeout=limit, context=self._context
                )
            else:
                made = http.client.HTTPConnection(place.hostname or "", place.port or 2379, timeout=limit)
            made.connect()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            return _words(error)
        self._connection = made
        return ""

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | str:
        """The answer, or what is wrong."""
        import http.client

        try:
            if self._connection.sock is not None:  # else it is opened anew
                self._connection.sock.settimeout(self._limit())
            self._connection.request("POST", f"/v3/{path}", json.dumps(body), {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            text = answer.read()
            if answer.status == 404:
                return "it has no HTTP gateway (enable-grpc-gateway: true in its configuration file)"
            told = json.loads(text.splitlines()[0] if text else b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _words(error)
        if answer.status != 200 or not isinstance(told, dict) or "error" in told:
            said = told.get("error", "") if isinstance(told, dict) else ""
            return (
                " ".join(str(said.get("message", said) if isinstance(said, dict) else said).split())[:200]
                or f"HTTP {answer.status}"
            )
        return told

    def _limit(self) -> float:
        """Seconds for one member: its part of the time, and no more than is left of the whole."""
        return max(0.05, min(self._quorum.timeout / len(self._quorum.etcd), self._deadline - self._now()))

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _only(quorum: QuorumSection, url: str) -> QuorumSection:
    from dataclasses import replace

    return replace(quorum, etcd=(url,))


def _first(answer: dict[str, Any]) -> tuple[str, str] | None:
    """Value and lease of the first key in a range's answer."""
    for found in answer.get("kvs", []):
        return base64.b64decode(found["value"]).decode(errors="replace"), str(found.get("lease", "0"))
    return None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (
        " ".join(str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error).split())[:200]
        or type(error).__name__
    )
