"""What each option may say alone, but not together."""

from __future__ import annotations

import pytest

from tests.config_text import MINIMAL, QUORUM, mistakes, with_line


@pytest.mark.parametrize(
    ("section", "line", "said"),
    [
        ("pair", "preferred = tokyo", "[pair] preferred: 'tokyo' is not one of the hosts"),
        ("look", "status_warning = 90", "[look] status_warning: 90 s is above the critical age of 60 s"),
        ("heartbeat", "warning = 10m", "[heartbeat] warning: 600 s is above the critical age of 300 s"),
        ("heartbeat", "time_zone = '; DROP", '[heartbeat] time_zone: "\'; DROP" is not a time zone'),
        ("heartbeat", "prefix = a`b", "[heartbeat] prefix: 'a`b' does not begin a table's name"),
        ("look", "timeout = 3", "[look] timeout: 3 s is less than a look can take: 6 s"),
        ("replication", "watch = yes\n[pair]\nfailback = automatic", "[pair] failback: automatic cannot go with [replication]"),
    ],
)
def test_values_that_cannot_go_together_are_named_with_their_place(section: str, line: str, said: str) -> None:
    assert said in "\n".join(mistakes(with_line(section, line)))


@pytest.mark.parametrize("addresses", ["", "addresses =", "addresses = none, 10.0.0.1", "addresses = -f"])
def test_witnesses_are_named_or_renounced_in_writing(addresses: str) -> None:
    assert mistakes(MINIMAL.replace("addresses = none", addresses))[0].startswith("[witness] addresses: ")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("etcd = 10.0.0.1:2379", "[quorum] etcd: '10.0.0.1:2379' is no member's address; hint: https://192.0.2.21:2379, several"),
        ("etcd = https://a/b", "[quorum] etcd: 'https://a/b' is no member's address"),
        (
            "tls_cert = /c",
            "[quorum] tls_cert: a certificate and its key belong together; hint: set tls_cert and tls_key, or neither",
        ),
        ("etcd = http://a:1\ntls_cert = /c\ntls_key = /k", "[quorum] etcd: http has no use for tls_cert; hint: https://"),
        ("name = a/b", "[quorum] name: 'a/b' is no plain name; hint: letters, digits, - and _"),
        ("etcd = https://a:1", "[quorum] etcd: needs [fence] user, the account by which a master asks the other hosts"),
        (
            "etcd = https://a:1\nlease = 22",
            "[quorum] lease: 22 s is over before a master can have stood down; hint: more than 23 s",
        ),
        ("etcd = https://a:1\n[pair]\nfailback = automatic", "[quorum] etcd: cannot go with failback = automatic"),
    ],
)
def test_a_quorum_that_cannot_be_is_named(lines: str, said: str) -> None:
    assert said in "\n".join(mistakes(f"{MINIMAL}[quorum]\n{lines}\n"))


def test_more_than_two_hosts_are_not_replicated() -> None:
    text = f"{MINIMAL}[host tokyo]\n{QUORUM}[database]\nsocket = /s\n[replication]\nwatch = yes\n"
    assert mistakes(text) == ["[replication] watch: more than two hosts are not replicated; hint: watch = no, or two hosts"]
