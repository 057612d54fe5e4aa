"""A pair whose incidents are watched from outside: what its Nagios says of an object, and each mail counted at the sink."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from tests.lab import Host, Lab
from tests.lab.suite import COMMAND, CONFIG, STATE

COMMAND_FILE = "/var/lib/nagios4/rw/nagios.cmd"
LOG = "/var/log/nagios4/nagios.log"
ARCHIVES = "/var/log/nagios4/archives"
OBJECTS = "/etc/nagios4/conf.d/monitored.cfg"
SINK = "/tmp/mail.jsonl"

Block = dict[str, str]


class Site:
    """The pair, its mails and what its Nagios says of an object. Objects have names: `web1/HTTP`, and `web1/HOST` for a host."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.began = time.time()
        self.logged: Counter[str] = Counter()
        """Every line about a monitored object that either host has logged by itself, as often as it did."""
        self.lasting: str = ""
        """An object whose incident stays open when everything else is made well."""

    def mails(self, name: str) -> Counter[str]:
        """The mails about an object since the beginning: `PROBLEM by yasu`, `PROBLEM to second by yasu` -> how many."""
        found: Counter[str] = Counter()
        for mail in self.lab.mails(f" {name} is "):
            to = mail.to[0].partition("@")[0]
            if mail.arrived >= self.began:
                words = mail.subject.split()
                found[f"{words[0]}{'' if to == 'oncall' else f' to {to}'} by {words[-1]}"] += 1
        return found

    def wait_mail(self, name: str, what: str, seconds: float = 30) -> None:
        self.lab.wait(lambda: self.mails(name)[what], seconds, f"{what} about {name}; so far {self.mails(name)}")

    def set(self, state: str, *names: str, output: str = "") -> None:
        for name in names:
            host, service = name.split("/")
            self.lab.set_state(host, service, state, output or None)

    def command(self, on: Host, *texts: str) -> None:
        now = int(time.time())
        on.run(f"cat > {COMMAND_FILE}", stdin="".join(f"[{now}] {text}\n" for text in texts))

    def check_now(self, on: Host, *names: str) -> None:
        now = int(time.time())
        objects = [name.split("/") for name in names]
        forced = [f"HOST_CHECK;{host}" if service == "HOST" else f"SVC_CHECK;{host};{service}" for host, service in objects]
        if forced:
            self.command(on, *(f"SCHEDULE_FORCED_{check};{now}" for check in forced))

    def is_hard(self, on: Host, name: str, state: int) -> bool:
        row = of(on, name)
        return (row["current_state"], row["state_type"]) == (str(state), "1")

    def role(self, host: Host) -> str:
        return dict(line.split("=", 1) for line in host.read(f"{STATE}/role").splitlines())["role"]

    def roles(self) -> tuple[Host, Host]:
        """The master, the standby."""
        lab = self.lab
        return (lab.yasu, lab.nabira) if self.role(lab.yasu) == "master" else (lab.nabira, lab.yasu)

    def wait_copy(self, new: Host, old: Host) -> None:
        """A copy that has all that is so now, by its status.dat, which is written every second: a pull that is on its way has an
        older one."""
        moment = time.time() + 1  # Nagios has done by then what it was told just now

        def has_all() -> bool:
            if known_until(new, old) > moment:
                return True
            self.copy_now(new)
            return False

        time.sleep(2)
        self.lab.wait(has_all, 40, f"{new.name} has copied {old.name}'s state", poll=1)

    def copy_now(self, standby: Host) -> None:
        """Its next copy is not waited for: Nagios is told to run State sync at once."""
        self.command(standby, f"SCHEDULE_FORCED_SVC_CHECK;nagios-failover;State sync;{int(time.time())}")

    def audit(self, on: Host, *, mail_log: bool = True) -> dict[str, Any]:
        """What `incidents --audit` finds since the beginning, the sink's mails counted too; its exit code agrees."""
        since = datetime.fromtimestamp(int(self.began), UTC).isoformat()
        argv = [COMMAND, "incidents", "--audit", "--json", "--since", since]
        if mail_log:
            mails = [{"time": mail.arrived, "to": mail.to, "subject": mail.subject} for mail in self.lab.mails()]
            on.write(SINK, "".join(json.dumps(mail) + "\n" for mail in mails))
            argv += ["--mail-log", SINK]
        done = on.run(argv, check=False)
        assert done.stdout.startswith("{"), done.stderr
        seen: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == bool(seen["findings"]), done.stderr
        return seen

    def audit_of(self, host: Host) -> str:
        """What the audit says, for people."""
        return host.run([COMMAND, "incidents", "--audit"], check=False, timeout=60).stdout

    def found(self, on: Host, *, until: float = 0, mail_log: bool = True) -> list[tuple[str, str, str]]:
        """What, which notification, which object; of what happened until then."""
        findings = self.audit(on, mail_log=mail_log)["findings"]
        return [(one["what"], one["notification"], name_of(one)) for one in findings if not until or begin_of(one) < int(until)]

    def incidents(self, on: Host) -> dict[str, dict[str, Any]]:
        """`incidents --json`, by the object's name."""
        said = json.loads(on.run([COMMAND, "incidents", "--json"]).stdout)
        return {name_of(one): one for one in said["incidents"]}


def begin_of(finding: Mapping[str, Any]) -> int:
    """When it began: with the notification that was sent, or was due. Of a RECOVERY that nobody sent, with its PROBLEM: where no
    log tells the end, it is due at the last moment of all."""
    sent: list[dict[str, int]] = finding["sent"]
    return sent[0]["time"] if len(sent) == 1 else int(finding["time"])


def name_of(row: Mapping[str, Any]) -> str:
    return f"{row['host']}/{row['service'] or 'HOST'}"


def blocks(host: Host, kind: str) -> list[Block]:
    """The blocks of this kind in the host's status.dat."""
    found = []
    for block in host.read("/var/lib/nagios4/status.dat").split("\t}\n\n"):
        lines = block.strip("\n").split("\n")
        if f"{kind} {{" in lines:
            found.append(dict(line[1:].split("=", 1) for line in lines[lines.index(f"{kind} {{") + 1 :]))
    return found


def of(host: Host, name: str) -> Block:
    """The status of an object."""
    place, service = name.split("/")
    rows = blocks(host, "hoststatus" if service == "HOST" else "servicestatus")
    return next(row for row in rows if row["host_name"] == place and row.get("service_description", "HOST") == service)


def all_of(host: Host, kind: str, name: str) -> list[Block]:
    """The comments or downtimes of a service."""
    place, service = name.split("/")
    return [row for row in blocks(host, kind) if (row["host_name"], row["service_description"]) == (place, service)]


def monitored(host: Host) -> list[Block]:
    rows = [*blocks(host, "servicestatus"), *blocks(host, "hoststatus")]
    return [row for row in rows if row["host_name"].startswith("web")]


def called(row: Block) -> str:
    return f"{row['host_name']}/{row.get('service_description', 'HOST')}"


def pulled(new: Host, old: Host) -> float:
    """When the standby last pulled; 0 for never."""
    return float(_copy_record(new, old).get("pulled", 0))


def known_until(new: Host, old: Host) -> int:
    """Of which second the status.dat is that was pulled last: on a busy machine seconds before the pull has ended. 0 for none."""
    return int(_copy_record(new, old).get("created", 0))


def _copy_record(new: Host, old: Host) -> dict[str, str]:
    with suppress(FileNotFoundError):
        return dict(line.split("=", 1) for line in new.read(f"{STATE}/sync/{old.name}/record").splitlines())
    return {}


def flags(host: Host) -> dict[str, str]:
    return host.nagios_flags()


def passive(host: Host) -> bool:
    return flags(host)["enable_notifications"] == "0" and flags(host)["active_service_checks_enabled"] == "0"


def follow_incidents(lab: Lab) -> None:
    """[sync] watch = yes on both hosts."""
    for host in (lab.yasu, lab.nabira):
        text = host.read(CONFIG).replace("#watch = no\n# Of one pull", "watch = yes\n# Of one pull")
        host.write(CONFIG, text, owner="root", group="nagios", mode=0o640)


Directives = Mapping[str, Mapping[str, str]]


def change_objects(lab: Lab, changes: Directives, more: str = "", settings: Mapping[str, str] | None = None) -> None:
    """Give services other directives than the lab's (`web1/HTTP`; `contact` for the contact), add objects and settings of
    nagios.cfg; both hosts alike. Nagios reads them at once."""
    for host in (lab.yasu, lab.nabira):
        host.write(OBJECTS, with_directives(host.read(OBJECTS), changes) + more)
        added = "".join(f"{name}={value}\n" for name, value in (settings or {}).items())
        host.run(["sh", "-c", 'printf "%s" "$0" >> /etc/nagios4/nagios.cfg', added])
        host.run("kill -HUP $(sed -n 's/^.nagios_pid=//p' /var/lib/nagios4/status.dat)")
    time.sleep(3)


def with_directives(text: str, changes: Directives) -> str:
    def change(match: re.Match[str]) -> str:
        fields = dict(re.findall(r"^ +(\S+) +(.*)$", match[2], re.M))
        name = f"{fields.get('host_name', '')}/{fields.get('service_description', '')}"
        wanted = changes.get(name) or changes.get(fields.get("name", "")) or changes.get(match[1]) or {}
        kept = {**fields, **wanted}
        return "\n".join([f"define {match[1]} {{", *(f"    {key:<32} {value}" for key, value in kept.items()), "}"])

    return re.sub(r"define (\w+) \{\n(.*?)\n\}", change, text, flags=re.DOTALL)


def all_is_well(site: Site, master: Host) -> None:
    """Every incident is closed, every comment and downtime deleted."""
    site.set("OK", *(name for row in monitored(master) if (name := called(row)) != site.lasting))
    deletes = []
    for kind, number in (("svc_downtime", "downtime_id"), ("svc_comment", "comment_id"), ("host_comment", "comment_id")):
        rows = blocks(master, kind.replace("svc_", "service").replace("host_", "host"))
        deletes += [f"DEL_{kind.upper()};{row[number]}" for row in rows]
    if deletes:
        site.command(master, *deletes)
    site.check_now(master, *(f"{row['host_name']}/HOST" for row in blocks(master, "hoststatus") if row["current_state"] != "0"))
    site.lab.wait(
        lambda: all(row["current_state"] == "0" or called(row) == site.lasting for row in monitored(master)),
        60,
        "everything is well again",
    )


def join_again(site: Site, old: Host, new: Host, *, guard: bool = False) -> float:
    """Everything is well, the old master is repaired and copies the new one's state. Returns when its Nagios began to run again:
    until its first look at the other host it is active, and may mail what it finds, unless its start has a guard."""
    lab = site.lab
    all_is_well(site, new)
    mended = time.time()
    if not old.is_on():
        old.on()
    if old.nagios_pid():
        old.service("nagios").kill9()
    if guard:
        old.run([COMMAND, "guard"], timeout=60)
    old.service("nagios").start()
    is_passive = lambda: site.role(old) == "standby" and flags(old).get("enable_notifications") == "0"  # noqa: E731
    lab.wait(is_passive, 60, f"{old.name} joins as the standby")
    site.wait_copy(old, new)
    return mended


def kill(host: Host) -> None:
    host.service("nagios").kill9()


def freeze(host: Host) -> None:
    host.service("nagios").freeze()


def clean_stop(host: Host) -> None:
    host.service("nagios").stop()


def power_off(host: Host) -> None:
    host.off()


FAULTS = (kill, freeze, clean_stop, power_off)
"""For them all but the last, the master's disk stays readable."""
