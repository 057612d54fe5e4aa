"""The client of etcd's HTTP gateway: who gets the lease, for how long, and what a member without an answer means."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from nagios_failover.config_sections import QuorumSection
from nagios_failover.config_values import Seconds
from nagios_failover.etcd import Etcd
from nagios_failover.lease import Away, Free, Held, Ours, Outranked, Word
from tests.fake_etcd import FakeEtcd

NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def server() -> Iterator[FakeEtcd]:
    with FakeEtcd() as server:
        yield server


def client(*urls: str, now: float = 100.0) -> Etcd:
    return Etcd(QuorumSection(etcd=urls, lease=Seconds(30), timeout=Seconds(3)), lambda: now)


def test_a_free_lease_is_taken_and_counted_from_before_it_was_asked_for_and_shorter_than_etcd_does(server: FakeEtcd) -> None:
    assert client(server.url).look() == Free()
    assert client(server.url).hold("yasu", 3) == Ours(128.0)
    assert isinstance(client(server.url).look(), Held)


def test_one_that_is_held_is_renewed_for_its_holder_and_refused_to_others(server: FakeEtcd) -> None:
    client(server.url).hold("yasu", 3)
    assert client(server.url, now=110.0).hold("yasu", 3) == Ours(138.0)
    refused = client(server.url).hold("nabira", 3)
    assert isinstance(refused, Held) and refused.holder == "yasu" and 28 <= refused.left <= 30
    assert len(server.leases) == 1, "what was granted for nothing is revoked"


def test_one_that_ended_is_taken_anew(server: FakeEtcd) -> None:
    client(server.url).hold("yasu", 3)
    server.expire()
    assert client(server.url, now=200.0).hold("nabira", 3) == Ours(228.0)


def test_a_renewal_alone_proves_nothing(server: FakeEtcd) -> None:
    """A leader that was cut off may still renew what is another host's by now."""
    client(server.url).hold("yasu", 3)

    def changes_hands() -> None:
        server.expire()
        client(server.url).hold("nabira", 3)

    server.after_renewal = changes_hands
    refused = client(server.url).hold("yasu", 3)
    assert isinstance(refused, Held) and refused.holder == "nabira"


def test_it_is_given_back_by_its_holder_alone(server: FakeEtcd) -> None:
    client(server.url).hold("yasu", 3)
    kept = client(server.url).release("nabira")
    assert isinstance(kept, Held) and kept.holder == "yasu"
    assert client(server.url).release("yasu") == Free()
    assert client(server.url).look() == Free()


def test_a_term_that_a_master_has_reigned_with_is_never_gone_below(server: FakeEtcd) -> None:
    """The thawed master of term 3, beside that of term 4 whose lease ran out."""
    client(server.url).hold("yasu", 3, reign=True)
    server.expire()
    assert client(server.url).hold("nabira", 4) == Ours(128.0)
    server.expire()
    assert client(server.url).hold("yasu", 3, reign=True) == Ours(128.0), "that run was aborted: it never reigned"
    server.expire()
    client(server.url).hold("nabira", 4)
    assert client(server.url).hold("nabira", 4, reign=True) == Ours(128.0), "recorded by who has the lease"
    assert client(server.url).hold("yasu", 3, reign=True) == Outranked(4, "nabira")
    server.expire()
    assert client(server.url).hold("yasu", 3, reign=True) == Outranked(4)
    assert client(server.url).look() == Free(4)
    assert client(server.url).hold("nabira", 4, reign=True) == Ours(128.0)
    kept = client(server.url).look()
    assert isinstance(kept, Held) and (kept.holder, kept.term) == ("nabira", 4)


def test_of_two_standbys_that_take_over_with_the_same_term_the_second_does_not_get_what_the_first_has_reigned_with(
    server: FakeEtcd,
) -> None:
    """nabira is the master, but too busy to renew its lease; witness's run is still on its way."""
    client(server.url).hold("nabira", 4)
    assert client(server.url).hold("nabira", 4, reign=True) == Ours(128.0)
    server.expire()
    assert client(server.url).hold("witness", 4) == Outranked(4)
    assert client(server.url).hold("witness", 4, reign=True) == Outranked(4)
    assert client(server.url).hold("nabira", 4, reign=True) == Ours(128.0)
    assert client(server.url).hold("witness", 4) == Outranked(4, "nabira")
    server.expire()
    assert client(server.url).hold("witness", 5) == Ours(128.0)
    assert client(server.url).hold("witness", 5, reign=True) == Ours(128.0)
    assert client(server.url).hold("nabira", 5) == Outranked(5, "witness")


def test_a_term_that_an_older_suite_wrote_is_of_whoever_renews_next(server: FakeEtcd) -> None:
    """It wrote no name beside it; one that is there is of an older term."""
    client(server.url).hold("yasu", 3, reign=True)
    assert server.term is not None and server.reigned is not None
    server.term = (base64.b64encode(b"4").decode(), server.term[1] + 1)
    assert client(server.url).hold("yasu", 3, reign=True) == Outranked(4)
    assert client(server.url).hold("nabira", 4, reign=True) == Ours(128.0)
    assert client(server.url).hold("yasu", 4) == Outranked(4, "nabira")
    server.term = (server.term[0], server.term[1] + 1)
    assert client(server.url).hold("nabira", 4, reign=True) == Ours(128.0)
    assert client(server.url).hold("yasu", 4) == Outranked(4, "nabira"), "renewing writes it, too"


def test_a_lease_of_its_own_under_a_term_that_was_passed_is_revoked(server: FakeEtcd) -> None:
    client(server.url).hold("nabira", 4, reign=True)
    assert client(server.url).hold("nabira", 3) == Outranked(4)
    assert client(server.url).look() == Free(4) and server.leases == {}


def test_a_term_that_is_passed_while_the_lease_is_asked_for_does_not_get_it(
    server: FakeEtcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look and its transaction another one takes the lease, reigns and loses it."""
    slow = client(server.url)
    ask = slow._ask

    def late(path: str, body: dict[str, object]) -> dict[str, object]:
        if path == "lease/grant":
            client(server.url).hold("nabira", 4, reign=True)
            client(server.url).release("nabira")
        return ask(path, body)

    monkeypatch.setattr(slow, "_ask", late)
    assert slow.hold("yasu", 3, reign=True) == Outranked(4)
    assert server.key is None and server.leases == {}


def test_of_many_at_once_exactly_one_gets_it(server: FakeEtcd) -> None:
    names = [f"host{number}" for number in range(16)]
    with ThreadPoolExecutor(len(names)) as pool:
        words: list[Word] = list(pool.map(lambda name: client(server.url).hold(name, 3), names))
    assert sorted(type(word).__name__ for word in words) == ["Held"] * 15 + ["Ours"]


def test_a_standby_that_looks_is_known_to_the_master_for_one_lease_and_writes_but_once(server: FakeEtcd) -> None:
    client(server.url).hold("yasu", 3)
    for name in ("nabira", "witness", "nabira"):
        word = client(server.url).look(name)
        assert isinstance(word, Held) and word.holder == "yasu"
    assert server.asked.count("kv/put") == 2, "what is kept of each look would fill etcd one day"
    assert client(server.url).hold("yasu", 3) == Ours(128.0, frozenset({"nabira", "witness"}))
    server.expire()
    client(server.url).look("witness")
    assert client(server.url).hold("yasu", 3) == Ours(128.0, frozenset({"witness"}))


def test_a_dead_member_is_passed_over(server: FakeEtcd) -> None:
    assert client(NOBODY, server.url).hold("yasu", 3) == Ours(128.0)
    said = [(NOBODY, Away("127.0.0.1:1: Connection refused")), (server.url, Held("yasu", 29))]
    assert client(NOBODY, server.url).members() == said


def test_no_member_that_answers_is_an_etcd_that_is_away() -> None:
    assert client(NOBODY).hold("yasu", 3) == Away("127.0.0.1:1: Connection refused")
    assert client(NOBODY).look() == Away("127.0.0.1:1: Connection refused")
    assert client(NOBODY).release("yasu") == Away("127.0.0.1:1: Connection refused")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b'{"error": "etcdserver: request timed out", "code": 14}', "etcdserver: request timed out"),
        (200, b'{"error": {"message": "no leader"}}', "no leader"),
        (404, b"404 page not found", "it has no HTTP gateway (enable-grpc-gateway: true in its configuration file)"),
        (200, b"<html>", "Expecting value: line 1 column 1 (char 0)"),
        (200, b"[]", "HTTP 200"),
        (200, b"", "an answer that etcd does not give: KeyError 'ID'"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(server: FakeEtcd, status: int, body: bytes, reason: str) -> None:
    server.says = (status, body)
    word = client(server.url).hold("yasu", 3)
    assert isinstance(word, Away) and word.reason.endswith(reason), word
