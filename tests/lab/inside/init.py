"""A host's first process: starts the services that /etc/lab/services names, reaps what ends, and is the host's power.

Its end is the host's end: the kernel kills everything else in the host at that moment.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SERVICES = Path("/etc/lab/services")
NETWORK_WAIT_SECONDS = 10.0


def network_is_up() -> bool:
    """Whether the outside has plugged the cable in and given the address."""
    return "eth0" in Path("/proc/net/route").read_text()


def wait_for_network() -> None:
    deadline = time.monotonic() + NETWORK_WAIT_SECONDS
    while not network_is_up() and time.monotonic() < deadline:
        time.sleep(0.01)


def names() -> list[str]:
    return SERVICES.read_text().split() if SERVICES.exists() else []


def start_all() -> None:
    """Start them side by side, as a boot does."""
    started = [subprocess.Popen(["/lab/service", name, "start"]) for name in names()]
    for process in started:
        process.wait()


def stop_all(*_: object) -> None:
    """A clean shutdown: the services in reverse order, then the power."""
    for name in reversed(names()):
        subprocess.run(["/lab/service", name, "stop"], check=False)
    os.sync()
    sys.exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, stop_all)
    wait_for_network()
    start_all()
    print("init: up", flush=True)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.05)


main()
