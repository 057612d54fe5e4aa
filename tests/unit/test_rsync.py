from datetime import date
from pathlib import Path

from nagios_failover import rsync
from nagios_failover.shell import Output

SOURCES = (Path("/var/log/nagios4/nagios.log"), Path("/var/lib/nagios4/status.dat"))


def command(**changes: object) -> tuple[str, ...]:
    given = {
        "transport": ("ssh", "-T", "-o", 'ControlPath="/a b/x"', "-l", "hb"),
        "address": "192.0.2.11",
        "archives": Path("/var/log/nagios4/archives"),
        **changes,
    }
    days = rsync.recent_days(date(2026, 1, 1), 2)
    return rsync.command(
        given["transport"],  # type: ignore[arg-type]
        str(given["address"]),
        SOURCES,
        Path("/state/in"),
        archives=given["archives"],  # type: ignore[arg-type]
        days=days,
        timeout=30,
    )


def test_one_rsync_copies_the_log_the_status_and_the_newest_archives() -> None:
    assert command() == (
        *("rsync", "--recursive", "--times", "--append", "--compress", "--protect-args", "--chmod=D700,F600", "--timeout=30"),
        "--rsh=ssh -T -o 'ControlPath=\"/a b/x\"' -l hb",
        "--filter=+ /archives/",
        "--filter=+ /archives/nagios-01-02-2026-*.log",
        "--filter=+ /archives/nagios-01-01-2026-*.log",
        "--filter=+ /archives/nagios-12-31-2025-*.log",
        "--filter=- /archives/**",
        "192.0.2.11:/var/log/nagios4/nagios.log",
        "192.0.2.11:/var/lib/nagios4/status.dat",
        "192.0.2.11:/var/log/nagios4/archives",
        "/state/in/",
    )


def test_links_are_neither_copied_nor_followed() -> None:
    assert not {"--links", "--copy-links", "--archive", "-a", "-l", "-L"} & set(command())


def test_an_ipv6_address_is_bracketed_and_a_pattern_in_a_name_is_a_name() -> None:
    argv = command(address="2001:db8::1", archives=Path("/log/arch*"))
    assert "[2001:db8::1]:/log/arch*" in argv and "--filter=+ /arch\\*/" in argv


def test_what_went_wrong_is_one_line() -> None:
    assert rsync.explain(Output(None, "", "", timed_out=True, seconds=30.0)) == "rsync did not end within 30 s"
    assert rsync.explain(Output(127, "", "rsync: No such file or directory")) == "rsync is not installed on this host"
    assert rsync.explain(Output(12, "", "sh: 1: rsync: not found\nrsync: broken")) == "rsync is not installed on the other host"
    assert rsync.explain(Output(11, "", "rsync: write failed: No space left\nmore")).startswith(
        "rsync ended with exit code 11: 'rsync"
    )
    assert rsync.explain(Output(12, "", "")) == "rsync ended with exit code 12: it says nothing"


def test_the_waiting_files_of_a_directory_and_nothing_below_it() -> None:
    argv = rsync.files_command(
        ("ssh", "-l", "hb"), "fd00::1", Path("/s/perfdata/queue"), Path("/s/perfdata/from-yasu"), timeout=7.6
    )
    assert argv == (
        *("rsync", "--dirs", "--times", "--compress", "--protect-args", "--chmod=D750,F640", "--timeout=8", "--rsh=ssh -l hb"),
        *("[fd00::1]:/s/perfdata/queue/", "/s/perfdata/from-yasu/"),
    )
