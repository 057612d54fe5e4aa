"""A three-member etcd, one on each host of a lab, over TLS with client certificates; and the witness as a third Nagios host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.lab import suite, target
from tests.lab.files import Directory, File
from tests.lab.host import NAGIOS_CFG, Host
from tests.lab.lab import Lab
from tests.lab.state import ADDRESSES, HOSTS

TLS: Final = "/etc/nagios-failover/tls"
OPTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("quorum", "etcd"): ", ".join(f"https://{address}:2379" for address in ADDRESSES.values()),
    ("quorum", "tls_ca"): f"{TLS}/ca.pem",
    ("quorum", "tls_cert"): f"{TLS}/cert.pem",
    ("quorum", "tls_key"): f"{TLS}/key.pem",
    ("quorum", "lease"): "20",
    ("quorum", "renew"): "3",
    ("quorum", "timeout"): "1.5",
    ("fence", "user"): "nagios",
    ("fence", "timeout"): "2",
}

_MEMBER: Final = """name: {name}
data-dir: /var/lib/etcd/lab
listen-peer-urls: https://{address}:2380
initial-advertise-peer-urls: https://{address}:2380
listen-client-urls: https://{address}:2379
advertise-client-urls: https://{address}:2379
initial-cluster: {cluster}
initial-cluster-state: new
logger: zap
enable-grpc-gateway: true
client-transport-security: &tls
  cert-file: {tls}/cert.pem
  key-file: {tls}/key.pem
  client-cert-auth: true
  trusted-ca-file: {tls}/ca.pem
peer-transport-security: *tls
"""
_AUTHORITY: Final = """set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj '/CN=authority of the lab' \\
    -keyout /root/ca.key -out /root/ca.pem
"""
#: etcd's gateway is a client of its own member: its certificate is one for both
_CERTIFICATE: Final = """set -e
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} -keyout /root/{name}.key -out /root/{name}.csr
printf 'subjectAltName=IP:{address},DNS:{name}\\nextendedKeyUsage=serverAuth,clientAuth\\n' > /root/{name}.ext
openssl x509 -req -in /root/{name}.csr -CA /root/ca.pem -CAkey /root/ca.key -CAcreateserial -days 3650 -extfile /root/{name}.ext \\
    -out /root/{name}.pem
"""


def start(lab: Lab) -> None:
    """Certificates, configuration and daemon on each host; they come with its power from now on."""
    maker = lab.witness
    maker.run(_AUTHORITY)
    cluster = ",".join(f"{name}=https://{address}:2380" for name, address in ADDRESSES.items())
    for name in HOSTS:
        host = lab.host(name)
        maker.run(_CERTIFICATE.format(name=name, address=host.address))
        host.run("usermod -a -G nagios etcd")
        host.lay_down(
            [
                Directory("/etc/etcd"),
                Directory(TLS, group="nagios", mode=0o750),
                File(f"{TLS}/ca.pem", maker.read("/root/ca.pem"), group="nagios"),
                File(f"{TLS}/cert.pem", maker.read(f"/root/{name}.pem"), group="nagios"),
                File(f"{TLS}/key.pem", maker.read(f"/root/{name}.key"), group="nagios", mode=0o640),
                File("/etc/etcd/lab.yml", _MEMBER.format(name=name, address=host.address, cluster=cluster, tls=TLS)),
                File("/etc/lab/services", "".join(f"{one}\n" for one in ("etcd", *_services(name)))),
            ]
        )
    for name in HOSTS:
        lab.host(name).service("etcd").start()


def _services(name: str) -> tuple[str, ...]:
    started = target.services_of(name)
    return started if "nagios" in started else (*started, "nagios")


def third_nagios(lab: Lab) -> Host:
    """The witness monitors, too: Nagios and the suite as on the others (the lab has to be up with the suite on it), no database."""
    host, settings = lab.witness, lab.settings
    host.lay_down(
        entry
        for entry in target.nagios_host(host.name, settings)
        if isinstance(entry, File) and not entry.path.startswith("/etc/mysql")
    )
    assert host.exists(NAGIOS_CFG)
    suite.lay_down(host, settings)
    return host


def configuration(lab: Lab, options: Mapping[tuple[str, str], str]) -> str:
    """nagios-failover.cfg of three hosts that share a lease."""
    text = suite.with_options(suite.config_text(lab.settings), {**OPTIONS, **options})
    return f"{text}\n[host witness]\naddress = {ADDRESSES['witness']}\n"
