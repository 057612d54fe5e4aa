"""etcd, by its HTTP gateway (v3 JSON) and the standard library: a key, bound to a lease, that names the master, and
two that stay: the highest term under which a master has reigned, and which host that was. Each standby has a key, too, bound to a
lease of its own.

Every answer that counts went through etcd's quorum: reads are linearizable, writes and renewals need the leader. Members are asked
one after the other, the one that answered last first, until [quorum] timeout is over.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from nagios_failover.config_sections import ETCD_ELECTION_SECONDS, QuorumSection
from nagios_failover.errors import CouldNotLook
from nagios_failover.frozen import frozen
from nagios_failover.lease import Away, Free, Held, Ours, Outranked, Word


@frozen
class _Found:
    """All keys, as they were at one moment. `holder` is "" where nobody has the lease; `reigned` is whose `term` it is, "" where
    that is not known; `revision` is the term key's; `standbys` are those that looked of late, each with the lease of its key."""

    holder: str = ""
    lease: str = ""
    term: int = 0
    reigned: str = ""
    revision: str = "0"
    standbys: Mapping[str, str] = field(default_factory=dict, compare=False)

    def passes(self, name: str, term: int) -> bool:
        """Has another master reigned with a higher term, or with this very one?"""
        return self.term > term or (self.term == term and self.reigned not in ("", name))


class Etcd:
    """One keeper's view. `now` is the boot clock."""

    def __init__(self, quorum: QuorumSection, now: Callable[[], float]) -> None:
        self._quorum, self._now = quorum, now
        self._members = list(quorum.etcd)
        self._connection: Any = None
        self._key = _encoded(f"nagios-failover/{quorum.name}/master")
        self._term_key = _encoded(f"nagios-failover/{quorum.name}/term")
        self._reigned_key = _encoded(f"nagios-failover/{quorum.name}/reigned")
        self._standby = f"nagios-failover/{quorum.name}/standby/"  # these two are between the others
        self._all = {"key": self._key, "range_end": _encoded(f"nagios-failover/{quorum.name}/term\0")}
        self._context: Any = None
        self._deadline = 0.0

    # --- what is wanted of it; each returns Away for an etcd without an answer ---

    def look(self, standby: str = "") -> Word:
        """Whose it is. `standby` is who looks; a master knows of it for one lease's time from now."""
        return self._answered(lambda: self._look(standby))

    def hold(self, name: str, term: int, *, reign: bool = False) -> Word:
        """Renew the lease if it is `name`'s, take it if it is nobody's; neither under a lower `term` than the highest of a master,
        nor under the same one as another host's. `reign`: it is a master that asks, so its term is one from now on."""
        return self._answered(lambda: self._hold(name, term, reign))

    def release(self, name: str) -> Word:
        """Give it back, if it is `name`'s; whose it is then."""
        return self._answered(lambda: self._release(name))

    def members(self) -> list[tuple[str, Word]]:
        """Each member with what it says by itself, asked side by side: Away for one that does not answer as part of a quorum."""
        from concurrent.futures import ThreadPoolExecutor

        urls = self._quorum.etcd
        with ThreadPoolExecutor(len(urls)) as pool:
            return list(zip(urls, pool.map(lambda url: Etcd(_only(self._quorum, url), self._now).look(), urls), strict=True))

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

    def _look(self, standby: str) -> Word:
        found = self._read()
        if standby and not self._renewed(found.standbys.get(standby, "")):
            put = {"key": _encoded(f"{self._standby}{standby}"), "value": _encoded("looks"), "lease": self._granted()[0]}
            self._ask("kv/put", put)
        return self._whose(found)

    def _whose(self, found: _Found) -> Held | Free:
        return Held(found.holder, self._left(found.lease), found.term) if found.holder else Free(found.term)

    def _read(self) -> _Found:
        return self._found(self._ask("kv/range", self._all))

    def _found(self, answer: dict[str, Any]) -> _Found:
        keys = {one["key"]: one for one in answer.get("kvs", [])}
        names = {_decoded(key): str(one.get("lease", "0")) for key, one in keys.items()}
        master, term, reigned = (keys.get(key) for key in (self._key, self._term_key, self._reigned_key))
        if term and reigned and reigned["mod_revision"] != term["mod_revision"]:
            reigned = None  # an older suite has written the term alone since
        return _Found(
            holder=_decoded(master["value"]) if master else "",
            lease=str(master.get("lease", "0")) if master else "",
            term=int(_decoded(term["value"])) if term else 0,
            reigned=_decoded(reigned["value"]) if reigned else "",
            revision=str(term["mod_revision"]) if term else "0",
            standbys={name[len(self._standby) :]: lease for name, lease in names.items() if name.startswith(self._standby)},
        )

    def _left(self, lease: str) -> float:
        return max(0.0, float(self._ask("lease/timetolive", {"ID": lease}).get("TTL", 0)))

    def _hold(self, name: str, term: int, reign: bool) -> Word:
        asked_at = self._now()
        found = self._read()
        if found.passes(name, term):
            return self._outranked(name, found)
        if found.holder == name:
            seconds = self._renewed(found.lease)
            # Read again: what an etcd leader that was cut off renews is no proof.
            if seconds > 0 and self._read() == found and self._recorded(name, found, term, reign):
                return Ours(asked_at + self._shorter(seconds), frozenset(found.standbys))
            found = self._read()
        if found.holder:
            return self._whose(found) if found.holder != name else Away("the lease ended while it was renewed")
        return self._take(name, found, term, reign)

    def _outranked(self, name: str, found: _Found) -> Outranked:
        if found.holder == name:
            self._ask("lease/revoke", {"ID": found.lease})
        return Outranked(found.term, found.holder if found.holder != name else "")

    def _recorded(self, name: str, found: _Found, term: int, reign: bool) -> bool:
        """Is the term of `name`, which has the lease, written down as far as it must be?"""
        if not reign or (term, name) == (found.term, found.reigned):
            return True
        is_mine = {"result": "EQUAL", "key": self._key, "target": "VALUE", "value": _encoded(name)}
        answer = self._ask("kv/txn", {"compare": [is_mine, self._same_term(found)], "success": self._put_term(name, term)})
        return bool(answer.get("succeeded"))

    def _take(self, name: str, found: _Found, term: int, reign: bool) -> Word:
        """Exactly one of several that try this at once gets it, and none whose term was passed meanwhile."""
        if found.passes(name, term):
            return self._outranked(name, found)
        asked_at = self._now()
        lease, seconds = self._granted()
        not_there = {"result": "EQUAL", "key": self._key, "target": "CREATE", "create_revision": "0"}
        puts = [{"request_put": {"key": self._key, "value": _encoded(name), "lease": lease}}]
        if reign and (term, name) != (found.term, found.reigned):
            puts.extend(self._put_term(name, term))
        both = {"compare": [not_there, self._same_term(found)], "success": puts, "failure": [{"request_range": self._all}]}
        answer = self._ask("kv/txn", both)
        if answer.get("succeeded"):
            return Ours(asked_at + self._shorter(seconds), frozenset(found.standbys))
        self._ask("lease/revoke", {"ID": lease})
        other = self._found(answer["responses"][0].get("response_range", {}))
        if other.passes(name, term):
            return self._outranked(name, other)
        return self._whose(other) if other.holder else Away("the lease changed hands while it was asked for")

    def _granted(self) -> tuple[str, float]:
        """A new lease, and its seconds."""
        granted = self._ask("lease/grant", {"TTL": str(int(self._quorum.lease))})
        return str(granted["ID"]), float(granted["TTL"])

    def _renewed(self, lease: str) -> float:
        """For how many seconds, 0 for one that is over, or none. It leaves no trace in etcd's history, as a put would."""
        return float(self._ask("lease/keepalive", {"ID": lease}).get("result", {}).get("TTL", 0)) if lease else 0.0

    def _same_term(self, found: _Found) -> dict[str, str]:
        return {"result": "EQUAL", "key": self._term_key, "target": "MOD", "mod_revision": found.revision}

    def _put_term(self, name: str, term: int) -> list[dict[str, Any]]:
        values = {self._term_key: str(term), self._reigned_key: name}
        return [{"request_put": {"key": key, "value": _encoded(value)}} for key, value in values.items()]

    def _shorter(self, seconds: float) -> float:
        return max(0.0, min(seconds, self._quorum.lease) - ETCD_ELECTION_SECONDS)

    def _release(self, name: str) -> Word:
        found = self._read()
        if found.holder == name:
            self._ask("lease/revoke", {"ID": found.lease})
            return Free(found.term)
        return self._whose(found)

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


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode(errors="replace")


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (
        " ".join(str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error).split())[:200]
        or type(error).__name__
    )
