"""A host's certificate is made once, and no authority's key is left; the other host's is trusted, and not replaced by itself."""

import os
import subprocess
from pathlib import Path

import pytest

from nagios_failover.certificates import Place, make, settings, trust, why_not_verified
from nagios_failover.errors import Failed

OURS = Path("/etc/mysql/nagios-failover")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the key is given to the server's user")


def place(directory: Path) -> Place:
    return Place(directory, "nobody")


@ROOT_ONLY
def test_a_certificate_is_made_once_and_the_authority_s_key_is_not_kept(tmp_path: Path) -> None:
    here = place(tmp_path / "tls")
    said = make(here, "yasu", ["192.0.2.11", "yasu.example"])
    assert said == f"made a key and a certificate for yasu in {tmp_path}/tls, good for 10 years"
    assert sorted(path.name for path in here.directory.iterdir()) == ["ca-yasu.pem", "ca.pem", "cert.pem", "key.pem"]
    assert here.key.stat().st_mode & 0o777 == 0o600 and here.key.owner() == "nobody"
    before = here.certificate.read_bytes()
    assert make(here, "yasu", ["192.0.2.11"]) == "" and here.certificate.read_bytes() == before


@ROOT_ONLY
@pytest.mark.parametrize(("options", "well"), [(["-verify_ip", "192.0.2.11"], True), (["-verify_hostname", "nabira"], False)])
def test_it_is_verified_strictly_by_address_and_name(tmp_path: Path, options: list[str], well: bool) -> None:
    here = place(tmp_path / "tls")
    make(here, "yasu", ["192.0.2.11"])
    argv = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        str(here.bundle),
        *options,
        str(here.certificate),
    ]
    assert (subprocess.run(argv, capture_output=True, check=False).returncode == 0) is well


@ROOT_ONLY
def test_the_other_host_is_trusted_once_and_not_replaced_by_itself(tmp_path: Path) -> None:
    here, there = place(tmp_path / "here"), place(tmp_path / "there")
    make(here, "yasu", ["192.0.2.11"])
    make(there, "nabira", ["192.0.2.12"])
    pem = there.authority("nabira").read_text()
    assert trust(here, "nabira", pem) == f"the authority of nabira is trusted now ({here.bundle})"
    assert trust(here, "nabira", pem) == ""
    assert here.bundle.read_text() == pem + here.authority("yasu").read_text()
    there.key.unlink()
    make(there, "nabira", ["192.0.2.12"])
    with pytest.raises(Failed, match="nabira has another certificate authority than the one that is trusted here"):
        trust(here, "nabira", there.authority("nabira").read_text())


@pytest.mark.parametrize("text", ["", "cat: no such file", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_certificate_is_not_trusted(tmp_path: Path, text: str) -> None:
    with pytest.raises(Failed, match="what nabira gave is no certificate"):
        trust(place(tmp_path), "nabira", text)


def test_a_host_without_a_database_server_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="no user is called no-such-user"):
        make(Place(tmp_path, "no-such-user"), "yasu", [])


def test_names_and_addresses_are_told_apart() -> None:
    assert "subjectAltName = DNS:yasu, IP:192.0.2.11, IP:2001:db8::1, DNS:yasu.example" in settings(
        "yasu", ["192.0.2.11", "2001:db8::1", "yasu.example", "yasu"]
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("certificate verify failed: certificate has expired (_ssl.c:992)", "its certificate has expired"),
        ("certificate verify failed: certificate is not yet valid", "its certificate is not yet valid"),
        (
            "certificate verify failed: IP address mismatch, certificate is not valid for '192.0.2.11'. (_ssl.c:992)",
            "its certificate is for another name",
        ),
        ("SSL connection error: Validation of SSL server certificate failed", "its certificate is for another name"),
        (
            "certificate verify failed: self-signed certificate in certificate chain",
            "its certificate is signed by an authority that is not trusted here",
        ),
        (
            "certificate verify failed: unable to get local issuer certificate",
            "its certificate is signed by an authority that is not trusted here",
        ),
        ("SSL is required but the server doesn't support it", "it speaks no TLS"),
        ("Can't connect to MySQL server on '192.0.2.11' (timed out)", None),
        ("Access denied for user 'x'@'y'", None),
    ],
)
def test_what_is_wrong_with_tls_is_said_in_words(text: str, reason: str | None) -> None:
    found = why_not_verified(text, OURS)
    assert (found[0] if found else None) == reason
