"""This host's own certificate for its database server, and the authorities that both hosts trust.

Each host makes a small authority, lets it sign one certificate, and throws the authority's key away in the same breath: no key
ever travels from host to host, and none is kept that could sign anything else. What the other host needs is the authority's
certificate, which everybody may read, and fetches it over ssh, where host keys are verified. `bundle` is both authorities.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nagios_failover.errors import Failed
from nagios_failover.frozen import frozen
from nagios_failover.shell import run
from nagios_failover.state_files import sync_directory, write_atomically

DAYS = 3650
OPENSSL_SECONDS = 20.0
ONE_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n")


@frozen
class Place:
    """Where the files are. `server_user` is who the server runs as: the key is its alone."""

    directory: Path
    server_user: str = "mysql"

    @property
    def bundle(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def certificate(self) -> Path:
        return self.directory / "cert.pem"

    @property
    def key(self) -> Path:
        return self.directory / "key.pem"

    def authority(self, host: str) -> Path:
        """The certificate of a host's own authority, this one's or the other one's."""
        return self.directory / f"ca-{host}.pem"


def make(place: Place, host: str, addresses: Sequence[str]) -> str:
    """Make authority, key and certificate for this host where they are missing; a sentence, "" where all are there.

    `addresses` are all names and addresses by which the other host may reach this one. Needs root. Raises Failed."""
    there = (place.key, place.certificate, place.authority(host), place.bundle)
    if all(path.is_file() for path in there):
        return ""
    try:
        owner = pwd.getpwnam(place.server_user)
    except KeyError:
        raise Failed(
            f"no user is called {place.server_user}: the server's key cannot be given to it",
            hint="is the database server installed here?",
        ) from None
    try:
        place.directory.mkdir(mode=0o755, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.directory, prefix=".new-") as name:  # 0700
            new = Path(name)
            _issue(new, host, addresses)
            os.chown(new / "key.pem", owner.pw_uid, owner.pw_gid)
            # The key last: while it is missing, the next call begins anew.
            _install(new / "authority.pem", place.authority(host), 0o644)
            _install(new / "cert.pem", place.certificate, 0o644)
            _bundle(place)
            _install(new / "key.pem", place.key, 0o600)
    except OSError as error:
        raise Failed(f"{place.directory}: the certificate cannot be written: {error.strerror or error}") from error
    return f"made a key and a certificate for {host} in {place.directory}, good for {DAYS // 365} years"


def _issue(new: Path, host: str, addresses: Sequence[str]) -> None:
    (new / "openssl.cnf").write_text(settings(host, addresses), encoding="ascii")
    common = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256", "-days", str(DAYS))
    for argv in (
        (
            "-extensions",
            "authority",
            "-subj",
            f"/O=nagios-failover/CN=authority of {host}",
            "-keyout",
            "authority.key",
            "-out",
            "authority.pem",
        ),
        (
            *("-CA", "authority.pem", "-CAkey", "authority.key", "-extensions", "server"),
            *("-subj", f"/O=nagios-failover/CN={host}", "-keyout", "key.pem", "-out", "cert.pem"),
        ),
    ):
        said = run(("openssl", "req", "-x509", "-config", "openssl.cnf", *common, *argv), timeout=OPENSSL_SECONDS, cwd=new)
        if not said.well:
            reason = "no answer" if said.timed_out else " ".join(said.stderr.split())[-300:]
            raise Failed(f"openssl could not make a certificate: {reason}", hint="apt-get install openssl (3.0 or later)")
    (new / "key.pem").chmod(0o600)


def settings(host: str, addresses: Sequence[str]) -> str:
    """openssl's configuration, so that the system's own has no say. Pure."""
    numeric = re.compile(r"[0-9.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*")
    names = dict.fromkeys(f"{'IP' if numeric.fullmatch(name) else 'DNS'}:{name}" for name in (host, *addresses))
    return "\n".join(
        [
            "[req]",
            "distinguished_name = nobody",
            "prompt = no",
            "string_mask = utf8only",
            "[nobody]",
            "[authority]",
            "basicConstraints = critical, CA:TRUE, pathlen:0",
            "keyUsage = critical, keyCertSign, cRLSign",
            "subjectKeyIdentifier = hash",
            "[server]",
            "basicConstraints = critical, CA:FALSE",
            "keyUsage = critical, digitalSignature",
            "extendedKeyUsage = serverAuth, clientAuth",
            "subjectKeyIdentifier = hash",
            "authorityKeyIdentifier = keyid",
            f"subjectAltName = {', '.join(names)}",
            "",
        ]
    )


def _install(new: Path, target: Path, mode: int) -> None:
    new.chmod(mode)
    shutil.move(new, target)
    sync_directory(target.parent)


def trust(place: Place, host: str, pem: str) -> str:
    """Take the other host's authority into the bundle; a sentence, "" where it is there already. Raises Failed for what is no
    certificate, and for one that differs from the one that is trusted: that is for a person to decide."""
    if not ONE_CERTIFICATE.fullmatch(pem):
        raise Failed(f"what {host} gave is no certificate", hint=f"run on {host}, as root: nagios-failover init-database")
    kept = place.authority(host)
    try:
        if kept.is_file():
            if kept.read_text(encoding="ascii") != pem:
                raise Failed(
                    f"{host} has another certificate authority than the one that is trusted here ({kept})",
                    hint=f"if it was made anew there: rm {kept}, and give the command again",
                )
            if pem in place.bundle.read_text(encoding="ascii"):
                return ""
        write_atomically(kept, pem, 0o644)
        _bundle(place)
    except OSError as error:
        raise Failed(f"{kept}: {error.strerror or error}") from error
    return f"the authority of {host} is trusted now ({place.bundle})"


def _bundle(place: Place) -> None:
    """All authorities in one file; it is made anew from the others, so that it can be lost."""
    found = sorted(place.directory.glob("ca-*.pem"))
    write_atomically(place.bundle, "".join(path.read_text(encoding="ascii") for path in found), 0o644)


_TLS_WORDS = (
    (
        r"has expired",
        "its certificate has expired",
        "make a new one there: rm DIR/key.pem, nagios-failover init-database --restart",
    ),
    (r"not yet valid", "its certificate is not yet valid", "compare the two hosts' clocks"),
    (
        r"[Mm]ismatch|not valid for|doesn't match|certificate validation failure|Validation of SSL server certificate failed",
        "its certificate is for another name",
        "compare [host] address with the names in the certificate: openssl x509 -noout -ext subjectAltName -in DIR/cert.pem",
    ),
    (
        r"self.signed|unable to get (local )?issuer|unable to verify|unknown (CA|ca)|certificate verify failed",
        "its certificate is signed by an authority that is not trusted here",
        "compare its authority with ours; nagios-failover setup-standby fetches it",
    ),
    (
        r"doesn't support it|does not support (it|SSL)|SSL is required, but the server|but the server does not|TLS is required",
        "it speaks no TLS",
        "run there, as root: nagios-failover init-database --restart",
    ),
)


def why_not_verified(text: str, directory: Path) -> tuple[str, str] | None:
    """What OpenSSL, PyMySQL or the server's client library said of a connection, in words: reason and hint; None where it is not
    about TLS. Pure."""
    for pattern, reason, hint in _TLS_WORDS:
        if re.search(pattern, text):
            return reason, hint.replace("DIR", str(directory))
    return None
