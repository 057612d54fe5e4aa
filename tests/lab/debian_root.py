"""The Debian root that all hosts of all labs share: made once by debootstrap, cached, read-only afterwards.

The mirror, its keyring and pip's index are whatever this machine itself uses, read when the root is built.
"""

from __future__ import annotations

import configparser
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.lab.machine import LabError, command, outside_environment
from tests.lab.state import LABS

CACHE: Final = Path("/var/cache/nagios-failover-lab")
CHECKOUT: Final = Path(__file__).resolve().parents[2]
KEPT: Final = 2
VENV: Final = "/opt/nagios-failover"
#: raise it whenever a step of the recipe below changes what the root holds
RECIPE: Final = "2"

PACKAGES: Final = (
    "nagios4-core", "monitoring-plugins-basic", "monitoring-plugins-standard", "mariadb-server", "openssh-server", "rsync",
    "sudo", "python3", "python3-venv", "msmtp", "msmtp-mta", "bsd-mailx", "iptables", "iproute2", "iputils-ping",
    "python3-aiosmtpd", "procps", "cron", "psmisc", "less", "faketime", "nagios4-cgi", "openssl", "keepalived", "fence-agents",
    "etcd-server", "etcd-client",
)  # fmt: skip

#: Debian starts services at installation; inside this root nothing may start
POLICY_RC_D: Final = "#!/bin/sh\nexit 101\n"

Say = Callable[[str], None]


class AptSource(NamedTuple):
    """Where this machine gets Debian from."""

    uri: str
    keyring: str | None


def requirements(checkout: Path = CHECKOUT) -> list[str]:
    """The suite's run-time libraries, from setup.cfg; the one that draws plots, too."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(checkout / "setup.cfg")
    lines = parser.get("options", "install_requires", fallback="nagiosplugin\nPyMySQL\nfabric").splitlines()
    lines += parser.get("options.extras_require", "plot", fallback="").splitlines()
    return [line.strip() for line in lines if line.strip()]


def root_key(needs: list[str]) -> str:
    """Changes when the package list, the libraries or the recipe do."""
    return hashlib.sha256("\n".join([RECIPE, *PACKAGES, *needs]).encode()).hexdigest()[:12]


def ensure_root(suite: str, say: Say) -> Path:
    """The cached root of this suite; built first where it is missing (one builder at a time)."""
    needs = requirements()
    root = CACHE / f"{suite}-{root_key(needs)}"
    if root.is_dir():
        root.touch()
        return root
    CACHE.mkdir(parents=True, exist_ok=True)
    with exclusive(CACHE / f"{suite}.lock", say, f"another process is building the {suite} root; waiting for it"):
        if not root.is_dir():
            _build(suite, root, needs, say)
            _prune(suite)
    return root


def _prune(suite: str) -> None:
    """Keep the roots used last, and any that a lab stands on."""
    in_use = {str(json.loads(settings.read_text()).get("root")) for settings in LABS.glob("*/lab.json")}
    roots = [path for path in CACHE.glob(f"{suite}-*") if path.is_dir() and path.suffix != ".building"]
    for path in sorted(roots, key=lambda entry: entry.stat().st_mtime, reverse=True)[KEPT:]:
        if str(path) not in in_use:
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def exclusive(path: Path, say: Say, waiting: str) -> Iterator[None]:
    """Hold an flock on `path`; the kernel drops it however the holder ends."""
    with path.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(suite: str, root: Path, needs: list[str], say: Say) -> None:
    """Build beside, rename at the end: a killed build is never taken for a root."""
    source = apt_source(machine_apt_sources(), machine_codename())
    say(
        f"building the lab's Debian root ({suite}) in {root}, once: debootstrap, then {len(PACKAGES)} packages "
        f"({', '.join(PACKAGES[:5])}, ...) and the libraries {', '.join(needs)}; about two minutes and 900 MB"
    )
    aside = root.with_name(root.name + ".building")
    shutil.rmtree(aside, ignore_errors=True)
    debs = CACHE / "debs" / suite
    debs.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    keyring = [f"--keyring={source.keyring}"] if source.keyring else []
    in_private_mounts(f'exec debootstrap --variant=minbase --cache-dir="{debs}" "$@"', *keyring, suite, str(aside), source.uri)
    say(f"debootstrap done after {time.monotonic() - started:.0f} s; installing packages")
    (aside / "usr/sbin/policy-rc.d").write_text(POLICY_RC_D)
    (aside / "usr/sbin/policy-rc.d").chmod(0o755)
    in_private_mounts(_INSTALL, str(aside), str(debs), *PACKAGES)
    say(f"packages installed after {time.monotonic() - started:.0f} s; installing the Python libraries")
    handed_in = pip_mounts()
    in_private_mounts(_VENV, str(aside), VENV, *handed_in, "--", *needs)
    _remove_mount_points(aside, handed_in)
    _prepare(aside)
    aside.rename(root)
    say(f"root built in {time.monotonic() - started:.0f} s")


def in_private_mounts(script: str, *arguments: str) -> None:
    """Run a script whose mounts vanish with it, and which ends with its caller, together with all that it started."""
    unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv = ["setpriv", "--pdeathsig", "KILL", *unshare, "/bin/sh", "-ec", script, "sh", *arguments]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=_build_environment(), check=False
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise LabError(f"building the lab's root failed (exit code {done.returncode}):\n{tail}")


def _build_environment() -> dict[str, str]:
    """The machine's environment (it may hold pip's index and the certificates), plus apt's proxy for debootstrap's wget."""
    environment = outside_environment()
    proxy = re.search(r'^Acquire::http::Proxy "([^"]+)";', command(["apt-config", "dump"], check=False).stdout, re.M)
    if proxy:
        environment.setdefault("http_proxy", proxy.group(1))
    return {**environment, "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}


_INSTALL: Final = """
root="$1" debs="$2"; shift 2
mount -t proc proc "$root/proc"
mount --bind "$debs" "$root/var/cache/apt/archives"
touch "$root/etc/resolv.conf"; mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount --bind /etc/hosts "$root/etc/hosts" 2>/dev/null || true
if [ -d /etc/apt/apt.conf.d ]; then mount --bind /etc/apt/apt.conf.d "$root/etc/apt/apt.conf.d"; fi
options="-o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 -q"
chroot "$root" apt-get $options update
chroot "$root" apt-get $options -o APT::Keep-Downloaded-Packages=true -y --no-install-recommends install "$@"
"""

# Whatever pip needs from this machine (its settings, certificates, local wheels) is mounted for this moment only.
_VENV: Final = """
root="$1" venv="$2"; shift 2
mount -t proc proc "$root/proc"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount --bind /etc/hosts "$root/etc/hosts" 2>/dev/null || true
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root$(dirname "$1")"; [ -e "$root$1" ] || : > "$root$1"; fi
    mount --bind "$1" "$root$1"; shift
done
shift
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
chroot "$root" /usr/bin/python3 -m venv "$venv"
chroot "$root" "$venv/bin/python" -m pip install -q --no-cache-dir setuptools wheel "$@"
"""


def pip_mounts() -> list[str]:
    """Files and directories outside that pip's own settings point to."""
    settings = ["/etc/pip.conf", "/root/.pip/pip.conf", "/root/.config/pip/pip.conf", os.environ.get("PIP_CONFIG_FILE", "")]
    texts = [Path(path).read_text() for path in settings if path and Path(path).is_file()]
    texts += [value for name, value in os.environ.items() if _is_pips(name)]
    paths = [word.removeprefix("file://") for text in texts for word in re.split(r"[\s=]+", text)]
    wanted = dict.fromkeys(path for path in [*settings, *paths] if path.startswith("/") and Path(path).exists())
    return [path.removesuffix("/simple") for path in wanted if path not in ("/", "/etc", "/usr")]


def _remove_mount_points(root: Path, paths: list[str]) -> None:
    """What was handed in leaves no trace, not even an empty directory of its name."""
    for path in paths:
        place = root / path.lstrip("/")
        with contextlib.suppress(OSError):
            if place.is_file() and place.stat().st_size == 0:
                place.unlink()
                place = place.parent
            while place != root:
                place.rmdir()
                place = place.parent


def _is_pips(name: str) -> bool:
    return name.startswith("PIP_") or name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def _prepare(root: Path) -> None:
    """Leave the root as every host wants to find it, so that a bring-up has little to do."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):  # each host makes its own
        key.unlink()
    (root / "etc/resolv.conf").write_text("")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    shutil.rmtree(root / "usr/share/doc", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)
    for directory in ("srv/monitored", "srv/checked", "srv/mail", "lab"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    # InnoDB's log is 96 MB as packaged; every host would copy it at its first write
    settings = root / "etc/mysql/mariadb.conf.d/90-lab-size.cnf"
    settings.write_text("[mysqld]\ninnodb_log_file_size=8M\ninnodb_buffer_pool_size=32M\ninnodb_fast_shutdown=1\n")
    shutil.rmtree(root / "var/lib/mysql", ignore_errors=True)
    in_private_mounts(_PREPARE, str(root))


_PREPARE: Final = """
root="$1"
mount -t proc proc "$root/proc"
chroot "$root" useradd --create-home --shell /bin/sh --groups adm,www-data --password '*' hb
chroot "$root" install -d -o mysql -g mysql -m 0755 /var/lib/mysql /run/mysqld
chroot "$root" install -d -o mysql -g adm -m 2750 /var/log/mysql
chroot "$root" mariadb-install-db --user=mysql --datadir=/var/lib/mysql --force --skip-test-db \
    --auth-root-authentication-method=socket
"""


def apt_source(texts: list[str], codename: str) -> AptSource:
    """The main archive among the machine's apt sources (one-line or deb822 format): the one that carries `codename`."""
    for text in texts:
        for stanza in re.split(r"\n\s*\n", text):
            fields = {
                match.group(1).lower(): match.group(2).split() for match in re.finditer(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.M)
            }
            if codename in fields.get("suites", []) and "main" in fields.get("components", []):
                return AptSource(fields["uris"][0], next(iter(fields.get("signed-by", [])), None))
        for match in re.finditer(r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$", text, re.M):
            options, uri, suite, components = match.groups()
            if suite == codename and "main" in components.split():
                signed = re.search(r"signed-by=(\S+)", options or "")
                return AptSource(uri, signed.group(1) if signed else None)
    raise LabError(
        f"no apt source of this machine carries {codename} main (looked in /etc/apt/sources.list and sources.list.d): "
        "the lab takes its Debian from where the machine takes its own"
    )


def machine_apt_sources() -> list[str]:
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    return [place.read_text(errors="replace") for place in places if place.suffix in (".list", ".sources") and place.is_file()]


def machine_codename() -> str:
    match = re.search(r'^VERSION_CODENAME="?(\w+)', Path("/etc/os-release").read_text(), re.M)
    if not match:
        raise LabError("/etc/os-release names no VERSION_CODENAME: the lab builds its root on Debian only")
    return match.group(1)
