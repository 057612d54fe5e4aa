"""The lab's network: a bridge in a namespace of its own, a cable to each host, and what is wrong with them.

The outside's network namespace sees nothing of it: both ends of every cable live in namespaces of the lab.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

from tests.lab.cgroup import Cgroup
from tests.lab.machine import LabError, command, outside_environment
from tests.lab.processes import start_time
from tests.lab.relay import MARK
from tests.lab.state import ADDRESSES, HOSTS, PREFIX_LENGTH, Links, Store, write_atomically

#: a slowed link delays these services
SLOWED_PORTS = (22, 3306)
EVERYTHING = "all"

#: kept so that this process, while it lives, reaps what it started
_spawned: list[subprocess.Popen[bytes]] = []


def pairs(a: str, b: str, one_way: bool) -> frozenset[tuple[str, str]]:
    """(from, to) pairs of a cut; `all` means every other host."""
    others = [host for host in HOSTS if host != a] if b == EVERYTHING else [b]
    forth = {(a, other) for other in others}
    return frozenset(forth if one_way else forth | {(other, a) for other in others})


def relay_port(a: str, b: str) -> int:
    """The port in a's namespace on which the relay to b listens."""
    return 40000 + 10 * HOSTS.index(a) + HOSTS.index(b)


def mac(host: str) -> str:
    """A host keeps its network card over a power cycle; with another one its peers would not find it for a while."""
    return "02:00:" + ":".join(f"{int(part):02x}" for part in ADDRESSES[host].split("."))


def filter_rules(host: str, links: Links) -> str:
    """iptables-restore input for one host: drops what a cut link would not bring, turns slowed connections to the relay."""
    drops = [f"-A INPUT -s {ADDRESSES[sender]} -j DROP" for sender, receiver in sorted(links.cuts) if receiver == host]
    turns = [
        f"-A OUTPUT -p tcp -d {ADDRESSES[b]} --dport {port} -m mark ! --mark {MARK} -j REDIRECT --to-ports {relay_port(a, b)}"
        for (a, b, _), port in itertools.product(links.slow, SLOWED_PORTS)
        if a == host
    ]
    return "\n".join(["*filter", *drops, "COMMIT", "*nat", *turns, "COMMIT", ""])


def start_bridge(store: Store) -> None:
    """Make the lab's bridge; it lives as long as the process that holds its namespace."""
    group = Cgroup(store.name, "net").create()
    argv = group.entering(["unshare", "--net", "--", "sleep", "infinity"])
    holder = spawn(argv, store.path / "bridge.log")
    wait_for_namespace(holder)
    write_atomically(store.path / "bridge.json", json.dumps({"pid": holder, "start": start_time(holder)}))
    for words in ("link set lo up", "link add lab type bridge forward_delay 0", "link set lab up"):
        command(["nsenter", "--target", str(holder), "--net", "ip", *words.split()])


def plug_in(store: Store, host: str, pid: int) -> None:
    """A new cable from the bridge to the host whose first process is `pid`; cuts hold from the first packet on."""
    in_bridge = ["nsenter", "--target", str(_bridge_pid(store)), "--net", "ip"]
    command([*in_bridge, "link", "delete", host], check=False)  # a cable that the kernel has not yet taken away
    command([*in_bridge, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", str(pid)])
    command([*in_bridge, "link", "set", host, "master", "lab", "up"])
    apply_filter(host, pid, store.links())
    address = f"{ADDRESSES[host]}/{PREFIX_LENGTH}"
    steps = f"link set lo up\nlink set eth0 address {mac(host)}\naddress add {address} dev eth0\nlink set eth0 up\n"
    command(["nsenter", "--target", str(pid), "--net", "ip", "-batch", "-"], stdin=steps)


def _bridge_pid(store: Store) -> int:
    """The process that holds the bridge's namespace, if it is still the one that was started."""
    recorded = json.loads((store.path / "bridge.json").read_text())
    if start_time(int(recorded["pid"])) != recorded["start"]:
        raise LabError(f"the network of lab '{store.name}' is gone (was the machine restarted?): bring the lab up anew")
    return int(recorded["pid"])


def apply_filter(host: str, pid: int, links: Links) -> None:
    """Make the host's packet filter say what `links` says, in one stroke."""
    command(["nsenter", "--target", str(pid), "--net", "iptables-restore"], stdin=filter_rules(host, links))


def start_relays(store: Store, host: str, pid: int) -> None:
    """The relays of this host's slowed links; a relay that runs is left alone if its delay is right."""
    links = store.links()
    for other in HOSTS:
        group = Cgroup(store.name, f"relay-{host}-{other}")
        delay = next((delay for a, b, delay in links.slow if (a, b) == (host, other)), None)
        group.remove()
        if delay is None:
            continue
        program = str(Path(__file__).with_name("relay.py"))
        options = ["--port", str(relay_port(host, other)), "--delay", str(delay)]
        argv = ["nsenter", "--target", str(pid), "--net", sys.executable, "-I", program, *options]
        log = store.path / f"relay-{host}-{other}.log"
        log.write_text("")
        spawn(group.create().entering(argv), log)
        _wait_for_word(log, "ready")


def stop_relays(store: Store, host: str) -> None:
    """A host without power relays nothing; its namespace must not be kept alive either."""
    for other in HOSTS:
        Cgroup(store.name, f"relay-{host}-{other}").remove()


def spawn(argv: list[str], log: Path) -> int:
    """Start a process that outlives this one; its words go to `log`. Returns its process id."""
    for ended in [child for child in _spawned if child.poll() is not None]:
        _spawned.remove(ended)
    with log.open("a") as out:
        started = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=outside_environment(), cwd="/"
        )
    _spawned.append(started)
    return started.pid


def wait_for_namespace(pid: int) -> None:
    """Wait until the process has left the outside's network namespace."""
    ours = Path("/proc/self/ns/net").readlink()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/ns/net").readlink() == ours:
        if time.monotonic() > deadline:
            raise LabError(f"process {pid} made no network namespace within 10 s")
        time.sleep(0.005)


def _wait_for_word(log: Path, word: str) -> None:
    deadline = time.monotonic() + 10
    while word not in log.read_text():
        if time.monotonic() > deadline:
            raise LabError(f"{log.name}: not '{word}' within 10 s: {log.read_text()[-500:]}")
        time.sleep(0.01)
