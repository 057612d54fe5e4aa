"""`nagios-failover incidents` as a subprocess: its whole output and its exit code, from the files of two hosts."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from nagios_failover.copies import Copies, CopyRecord
from nagios_failover.journal import Journal
from nagios_failover.run_record import Outcome
from nagios_failover.words import Role
from tests.doors.cli_site import HERE, Site, said
from tests.unit.snapshots import comment, contact, host, info, program, service

NOW = int(time.time()) - 100
DIED, ACTIVE = NOW - 320, NOW - 300
STATUS = "".join(
    [
        info(NOW),
        program(),
        host("web1"),
        service("web1", "HTTP", 2, last_time_ok=NOW - 600, current_notification_number=1, last_notification=NOW - 590),
        service("web2", "HTTP", 1, last_time_ok=NOW - 500, problem_has_been_acknowledged=1, current_notification_number=0),
        service("nagios-failover", "Master Nagios", 2),
        contact(),
        comment("web2", "HTTP", 7, entry_type=4, text="known"),
    ]
)
OBJECTS = "".join(
    f"define service {{\n\thost_name\t{name}\n\tservice_description\tHTTP\n\tcheck_interval\t1.0\n\tnotification_interval\t60.0\n"
    "\tcontacts\toncall\n\t}\n\n"
    for name in ("web1", "web2", "web3", "web4")
) + (
    "define contact {\n\tcontact_name\toncall\n\temail\toncall@example.com\n"
    "\tservice_notification_options\tr,w,u,c\n\thost_notification_options\tr,d,u\n\t}\n"
)


def mailed(at: int, name: str, state: str = "CRITICAL") -> str:
    line = f"[{at}] SERVICE NOTIFICATION: oncall;{name};HTTP;{state};mail;it says\n"
    return line + f"[{at}] SERVICE ALERT: {name};HTTP;{state};HARD;3;it says\n"


def clock(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def hour(at: int) -> str:
    return clock(at)[11:]


TWICE = f"by yasu at {hour(NOW - 590)}, by {HERE} at {hour(NOW - 250)}"
YASU = mailed(NOW - 590, "web1") + mailed(NOW - 580, "web3") + f"[{DIED}] Caught SIGTERM, shutting down...\n"
HERES = f"[{ACTIVE}] EXTERNAL COMMAND: ENABLE_NOTIFICATIONS;nagios-failover\n" + mailed(NOW - 200, "web3", "OK")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """This host took over from yasu."""
    site = Site(tmp_path)
    site.role(Role.MASTER)
    (tmp_path / "status.dat").write_text(STATUS)
    (tmp_path / "nagios.log").write_text(HERES)
    (tmp_path / "objects.cache").write_text(OBJECTS)
    copies = Copies(site.state.directory, "yasu")
    copies.make()
    copies.status.write_text(STATUS.replace(f"created={NOW}", f"created={NOW - 10}"))
    (copies.incoming / "nagios.log").write_text(YASU)
    copies.write_record(CopyRecord(float(DIED), DIED, 0.0, 0.1, len(STATUS), len(YASU), "nagios.log", "archives"))
    run = Journal(site.state.directory, clock=lambda: float(ACTIVE)).open("failover", 3, HERE)
    run.note("active_at", float(ACTIVE))
    run.note("fetched", True)
    run.close(Outcome.DONE, "done")
    return site


def test_the_open_incidents_and_who_was_told(site: Site) -> None:
    code, output, errors = said(site.run("incidents"))
    assert (code, errors) == (0, "")
    assert [re.split("  +", line) for line in output.splitlines()] == [
        [f"2 open incidents of {HERE}"],
        [f"as of its status.dat of {clock(NOW)}"],
        [""],
        ["OBJECT", "STATE", "TYPE", "SINCE", "NOTIFIED", "MARKS", "OUTPUT"],
        ["web1/HTTP", "CRITICAL", "HARD", clock(NOW - 600), f"oncall {clock(NOW - 590)} by yasu", "-", "it says; a lot"],
        ["web2/HTTP", "WARNING", "HARD", clock(NOW - 500), "nobody", "acknowledged by me: known", "it says; a lot"],
    ]


def test_bytes_that_are_no_text_do_no_harm(site: Site) -> None:
    latin = STATUS.replace("it says; a lot", "caf\udce9").encode("utf-8", "surrogateescape")
    (site.directory / "status.dat").write_bytes(latin)
    assert site.run("incidents").stdout.count("caf\ufffd\n") == 2
    assert json.loads(site.run("incidents", "--json").stdout)["incidents"][0]["output"] == "caf\udce9"


def test_a_standby_shows_its_copy(site: Site) -> None:
    site.role(Role.STANDBY)
    code, output, _ = said(site.run("incidents"))
    assert code == 0
    assert output.startswith(
        f"2 open incidents of yasu\nas of its status.dat of {clock(NOW - 10)} (this standby's copy)\n\nOBJECT "
    )


def test_a_standby_without_a_copy_says_what_makes_one(site: Site) -> None:
    site.role(Role.STANDBY)
    Copies(site.state.directory, "yasu").status.unlink()
    assert said(site.run("incidents")) == (
        1,
        "",
        f"error: {HERE}: this host is the standby, and has no copy of yasu's status.dat\n"
        "hint: [sync] watch = yes and the service State sync make one\n",
    )


def test_incidents_as_json_have_stable_keys(site: Site) -> None:
    seen = json.loads(site.run("incidents", "--json").stdout)
    assert (seen["master"], seen["created"], seen["copied"]) == (HERE, NOW, False)
    assert seen["incidents"][0] == {
        "host": "web1",
        "service": "HTTP",
        "state": "CRITICAL",
        "type": "HARD",
        "since": NOW - 600,
        "notifications": 1,
        "last_notification": NOW - 590,
        "notified": [{"time": NOW - 590, "contact": "oncall", "host": "yasu"}],
        "acknowledged": None,
        "in_downtime": False,
        "flapping": False,
        "notifications_enabled": True,
        "output": "it says; a lot",
    }


def test_a_clean_audit(site: Site) -> None:
    assert said(site.run("incidents", "--audit", "--since", clock(NOW - 3600))) == (
        0,
        "every notification went out once\n"
        f"{HERE:<8}  0 PROBLEM, 1 RECOVERY; its log is known until {clock(NOW - 200)}\n"
        f"yasu      2 PROBLEM, 0 RECOVERY; its log is known until {clock(DIED)}\n"
        f"since     {clock(NOW - 3600)}\n"
        f"failover  {clock(ACTIVE)} to {HERE}\n",
        "",
    )


def test_an_audit_names_what_went_wrong(site: Site) -> None:
    with (site.directory / "nagios.log").open("a") as log:
        log.write(mailed(NOW - 250, "web1"))
        log.write(f"[{NOW - 240}] SERVICE ALERT: web4;HTTP;CRITICAL;HARD;3;it says\n")
    output = site.run("incidents", "--audit", "--since", clock(NOW - 1000))
    assert output.returncode == 1
    lines = output.stdout.splitlines()
    assert lines[0] == "1 more than once, 1 not at all, 0 in doubt"
    assert [re.split("  +", line) for line in lines[-3:]] == [
        ["WHAT", "NOTIFICATION", "OBJECT", "CONTACT", "WHEN", "WHY"],
        ["more than once", "PROBLEM", "web1/HTTP", "oncall", clock(NOW - 250), TWICE],
        ["not at all", "PROBLEM", "web4/HTTP", "-", clock(NOW - 240), f"HARD CRITICAL since {hour(NOW - 240)}, as {HERE} logged"],
    ]
    seen = json.loads(site.run("incidents", "--audit", "--json", "--since", "1h").stdout)
    assert sorted(seen) == ["failovers", "findings", "logs_known_until", "notes", "sent", "since"]
    assert seen["findings"][0] == {
        "what": "more than once",
        "notification": "PROBLEM",
        "host": "web1",
        "service": "HTTP",
        "contact": "oncall",
        "time": NOW - 250,
        "why": TWICE,
        "sent": [{"time": NOW - 590, "host": "yasu"}, {"time": NOW - 250, "host": HERE}],
    }


def test_an_audit_compares_with_a_mail_log(site: Site) -> None:
    log = site.directory / "mails"
    mails = [(NOW - 590, "web1"), (NOW - 580, "web3"), (NOW - 100, "web9")]
    subjects = [{"time": at, "to": "oncall@example.com", "subject": f"PROBLEM {name}/HTTP"} for at, name in mails]
    log.write_text("".join(json.dumps(one) + "\n" for one in subjects))
    output = site.run("incidents", "--audit", "--since", "1h", "--mail-log", str(log))
    assert output.returncode == 1
    assert output.stdout.splitlines()[-1].endswith(
        f"logged by {HERE} at {clock(NOW - 200)[11:]}, and the mail log has no mail to oncall@example.com"
    )


def test_without_a_copy_the_audit_says_so(site: Site) -> None:
    copies = Copies(site.state.directory, "yasu")
    copies.record_path.unlink()
    (site.directory / "objects.cache").unlink()
    notes = [line for line in site.run("incidents", "--audit", "--since", "1h").stdout.splitlines() if line.startswith("note ")]
    assert notes == [
        f"note      {site.directory}/objects.cache cannot be read: when a notification may come again is not known",
        "note      there is no copy of yasu's event log: only this host's own was read",
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--since", "2h"), "error: --since and --mail-log go with --audit\nhint: nagios-failover incidents --audit\n"),
        (
            ("--audit", "--since", "soon"),
            "error: argument --since: 'soon' is no time; hint: 2h, 2026-11-25 or '2026-11-25 15:00'\n"
            "hint: nagios-failover incidents --help\n",
        ),
        (
            ("--audit", "--mail-log", "/nowhere"),
            "error: /nowhere cannot be read: No such file or directory\nhint: as the Nagios user; --mail-log names a file\n",
        ),
        (
            ("--audit", "--mail-log", "/dev/null"),
            "error: /dev/null holds no line of a mail that was sent\n"
            'hint: lines of msmtp, of postfix, or {"time": ..., "to": ..., "subject": ...}\n',
        ),
    ],
)
def test_wrong_usage(site: Site, arguments: tuple[str, ...], error: str) -> None:
    assert said(site.run("incidents", *arguments)) == (2, "", error)
