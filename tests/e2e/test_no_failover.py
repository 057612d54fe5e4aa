"""What is no death, not confirmed, paused or refused: the handlers are called, and nothing is switched."""

from __future__ import annotations

import time

import pytest

from tests.e2e.pair import BIN, STATE, Pair, kill, looks_of, mend, outcome, passive, role_of, runs_of, with_hooks
from tests.lab import why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def test_a_pre_hook_that_says_no_puts_everything_back(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    before = {key: value for key, value in role_of(new).items() if key in ("role", "master")}
    with_hooks(new, pre="/bin/false", post="")
    began = time.time()
    kill(pair.lab, old)
    try:
        pair.lab.wait(lambda: any(outcome(run) == "aborted" for run in runs_of(new, since=began)), 40, "the run aborts")
        pair.lab.wait(lambda: role_of(new)["role"] == "standby", 5, "the role is put back")
        assert {key: value for key, value in role_of(new).items() if key in before} == before
        assert passive(new)
        time.sleep(8)
        assert len(pair.mails_since(began, "Master Nagios is CRITICAL")) == 1, "an abort at each check is one mail"
        assert len(runs_of(new, since=began)) <= 2, "nor does it fill the history"
    finally:
        with_hooks(new, pre="", post="")
    pair.lab.wait(lambda: role_of(new)["role"] == "master", 40, "the next check tries again")
    mend(pair.lab, old)


def test_a_full_disk_under_the_journal_is_mailed_and_fails_over_as_soon_as_there_is_room(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    began = time.time()
    new.fill()
    try:
        kill(pair.lab, old)
        pair.lab.wait(lambda: pair.mails_since(began, "Master Nagios is CRITICAL"), 40, "it is mailed")
        body = next(mail.body for mail in pair.lab.mails("Master Nagios is CRITICAL") if mail.arrived >= began)
        assert "No space left on device" in body, body
        assert role_of(new)["role"] == "standby" and passive(new)
        time.sleep(5)
        assert len(pair.mails_since(began, "Master Nagios is CRITICAL")) == 1
    finally:
        new.unfill()
    pair.lab.wait(lambda: role_of(new)["role"] == "master", 40, "with room on the disk the next check fails over")
    mend(pair.lab, old)


@pytest.mark.parametrize("fault", ["database", "ssh and database", "frozen host", "own network"])
def test_what_is_no_death_is_not_failed_over(pair: Pair, fault: str) -> None:
    master, standby = pair.master, pair.standby
    services = [master.service("mariadbd"), *([master.service("sshd")] if fault.startswith("ssh") else [])]
    began = time.time()
    try:
        if fault == "frozen host":
            master.freeze()
        elif fault == "own network":
            pair.lab.cut(standby)
        else:
            for service in services:
                service.stop()
        pair.lab.wait(lambda: looks_of(standby)[-1]["state"] in ("WARNING", "UNKNOWN"), 25, "the standby sees it")
        time.sleep(12)
        assert role_of(standby)["role"] == "standby" and passive(standby)
        assert not [run for run in runs_of(standby, since=began) if outcome(run) != "refused"]
    finally:
        master.thaw()
        pair.lab.mend(standby)
        for service in services:
            if service.pid() is None:
                service.start()


def test_a_paused_pair_does_not_fail_over_until_it_is_resumed(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    new.run([f"{BIN}/nagios-failover", "pause", "--reason", "maintenance"])
    began = time.time()
    kill(pair.lab, old)
    pair.lab.wait(lambda: looks_of(new)[-1]["state"] == "CRITICAL", 20, "the standby sees it")
    time.sleep(12)
    assert role_of(new)["role"] == "standby" and passive(new)
    mails = [mail for mail in pair.lab.mails("Master Nagios is CRITICAL") if mail.arrived >= began]
    assert len(mails) == 1 and "paused until resumed by" in mails[0].body and "maintenance" in mails[0].body
    assert len(runs_of(new, since=began)) == 1
    new.run([f"{BIN}/nagios-failover", "resume"])
    pair.lab.wait(lambda: role_of(new)["role"] == "master", 30, "the next check fails over")
    mend(pair.lab, old)


@pytest.mark.parametrize(("word", "code"), [("WARNING", 1), ("UNKNOWN", 3)])
def test_three_others_and_then_one_critical_result_do_not_fail_over(pair: Pair, word: str, code: int) -> None:
    """Nagios calls that HARD CRITICAL; the run's own looks say otherwise."""
    new = pair.standby
    plugin = f"{BIN}/check_master_nagios"
    began = time.time()
    script = f"""#!/bin/sh
n=$(cat /tmp/count 2>/dev/null || echo 0); echo $((n + 1)) > /tmp/count
[ $n -lt 3 ] && {{ echo made-up {word}; exit {code}; }}
[ $n -lt 4 ] && {{ echo made-up CRITICAL; exit 2; }}
exec {plugin}.real "$@"
"""
    new.run(f"rm -f /tmp/count; cp {plugin} {plugin}.real")
    new.write(plugin + ".new", script, mode=0o755)
    new.run(f"mv {plugin}.new {plugin}")
    refused = lambda: [run for run in runs_of(new, since=began) if outcome(run) == "refused"]  # noqa: E731
    runs = pair.lab.wait(refused, 40, "a run looks and refuses")
    new.run(f"mv {plugin}.real {plugin}")
    assert len(runs) == 1
    assert runs[0][-1]["sentence"].startswith(f"not confirmed: {pair.master.name}: Nagios (PID "), runs[0][-1]
    assert "CRITICAL;HARD;3" in new.run("grep 'Master Nagios' /var/log/nagios4/nagios.log").stdout
    assert role_of(new)["role"] == "standby" and passive(new) and not new.exists(f"{STATE}/failover.lock")


@pytest.mark.parametrize("broken", [f"{BIN}/check_master_nagios", f"{BIN}/python3"])
def test_a_broken_installation_here_does_not_fail_over(pair: Pair, broken: str) -> None:
    new = pair.standby
    began = int(time.time())
    new.run(f"mv {broken} {broken}.away")
    time.sleep(14)
    new.run(f"mv {broken}.away {broken}")
    alerts = new.run("grep 'SERVICE EVENT HANDLER: nagios-failover;Master Nagios;CRITICAL;HARD' /var/log/nagios4/nagios.log").stdout
    assert [line for line in alerts.splitlines() if int(line[1:11]) >= began], "Nagios took it for a HARD CRITICAL"
    time.sleep(6)
    assert role_of(new)["role"] == "standby" and passive(new)
    assert pair.master.name != new.name
