"""nagios-failover-root: fixed verbs, a configuration that is root's alone, nothing of the caller's environment."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nagios_failover.config_file import parse
from nagios_failover.errors import UsageError
from nagios_failover.root_helper import command, services

THIS = socket.gethostname().partition(".")[0]
DOOR = Path(sys.executable).parent / "nagios-failover-root"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
TEXT = f"""[host {THIS}]
nagios_service = nagios4
[host the-other-one]
[witness]
addresses = none
[mail]
to = a@b
[run]
perfdata_services = one, two@x.service
"""


def door(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run([DOOR, *arguments], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def with_config(path: Path, *arguments: str) -> tuple[int, str, str]:
    """The door with another configuration file, which only a test can give it."""
    script = (
        "import sys; from pathlib import Path; from nagios_failover.root_helper import main; main(sys.argv[2:], Path(sys.argv[1]))"
    )
    argv = [sys.executable, "-c", script, str(path), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, env={**os.environ, "SOME_SECRET": "x"})
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [(), ("start",), ("start-nagios", "now"), ("--help",), ("-C", "/tmp/x"), ("start-nagios\n",), ("version", "version")],
)
def test_anything_but_one_verb_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    code, output, error = door(*arguments)
    assert (code, output) == (2, "")
    assert error.startswith("error: not a verb of nagios-failover-root: ")
    assert error.endswith(
        "hint: exactly one of start-nagios, start-perfdata, stop-perfdata, install-config, restore-config, database-source, "
        "database-held, database-replica, database-settings, start-database, restart-database, version\n"
    )


def test_the_version_needs_no_rights_and_no_configuration() -> None:
    assert door("version") == (0, "nagios-failover-root 0.1.0\n", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="not as root")
def test_another_user_is_refused() -> None:
    code, _, error = door("start-nagios")
    assert code == 3
    assert error.startswith("error: nagios-failover-root must run as root\n")


@ROOT_ONLY
def test_a_missing_configuration_is_said(tmp_path: Path) -> None:
    code, _, error = with_config(tmp_path / "none.cfg", "start-nagios")
    assert code == 2
    assert error.startswith(f"error: configuration file {tmp_path}/none.cfg does not exist\n")


@ROOT_ONLY
@pytest.mark.parametrize(("mode", "owner"), [(0o664, 0), (0o646, 0), (0o640, 1)])
def test_a_configuration_that_others_can_change_is_refused(tmp_path: Path, mode: int, owner: int) -> None:
    path = tmp_path / "nagios-failover.cfg"
    path.write_text(TEXT)
    path.chmod(mode)
    os.chown(path, owner, 0)
    code, output, error = with_config(path, "start-nagios")
    assert (code, output) == (3, "")
    assert error == (
        f"error: {path} is not root's alone to change (owner uid {owner}, mode {mode:04o})\n"
        f"hint: chown root {path}; chmod go-w {path}\n"
    )


@ROOT_ONLY
def test_a_directory_above_it_that_others_can_change_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d" / "nagios-failover.cfg"
    path.parent.mkdir()
    path.write_text(TEXT)
    path.chmod(0o640)
    path.parent.chmod(0o777)
    code, _, error = with_config(path, "start-nagios")
    assert code == 3
    assert error.startswith(f"error: {path.parent} is not root's alone to change")


@ROOT_ONLY
def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real.cfg").write_text(TEXT)
    (tmp_path / "nagios-failover.cfg").symlink_to(tmp_path / "real.cfg")
    assert with_config(tmp_path / "nagios-failover.cfg", "start-nagios")[0] == 3


@ROOT_ONLY
def test_a_service_that_is_not_there_is_a_failure_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "nagios-failover.cfg"
    path.write_text(TEXT.replace("nagios4", "no-such-service-anywhere"))
    path.chmod(0o640)
    code, output, error = with_config(path, "start-nagios")
    assert (code, output) == (1, "")
    assert error.startswith(f"error: {THIS}: ")
    assert "no-such-service-anywhere" in error
    assert "Traceback" not in error


@ROOT_ONLY
def test_the_database_s_role_is_one_of_two_fixed_files(tmp_path: Path) -> None:
    path, drop_in = tmp_path / "nagios-failover.cfg", tmp_path / "zz-nagios-failover.cnf"
    path.write_text(f"{TEXT}[replication]\ndrop_in = {drop_in}\n")
    path.chmod(0o640)
    for part, read_only in (("replica", "ON"), ("source", "OFF")):
        assert with_config(path, f"database-{part}") == (0, f"{THIS}: {drop_in} says {part}\n", "")
        assert f"\nread_only = {read_only}\n" in drop_in.read_text()
        assert drop_in.stat().st_mode & 0o777 == 0o644, "mysqld reads it as its own user"


@ROOT_ONLY
def test_the_settings_of_a_pair_s_server_are_one_fixed_file_beside_the_role_s(tmp_path: Path) -> None:
    path, role = tmp_path / "nagios-failover.cfg", tmp_path / "zz-nagios-failover.cnf"
    path.write_text(f"{TEXT}[replication]\ndrop_in = {role}\ntls_ca = /etc/mysql/nagios-failover/ca.pem\n")
    path.chmod(0o640)
    written = tmp_path / "90-nagios-failover.cnf"
    assert with_config(path, "database-settings") == (0, f"{THIS}: wrote {written}\n", "")
    text = written.read_text()
    assert "\nserver-id = 1\n" in text and "\nread-only = ON\n" in text
    assert "\nssl-key = /etc/mysql/nagios-failover/key.pem\n" in text
    assert not role.exists()


@ROOT_ONLY
def test_a_drop_in_is_not_written_where_others_can_write(tmp_path: Path) -> None:
    path, directory = tmp_path / "nagios-failover.cfg", tmp_path / "d"
    directory.mkdir()
    directory.chmod(0o777)
    path.write_text(f"{TEXT}[replication]\ndrop_in = {directory}/role.cnf\n")
    path.chmod(0o640)
    code, output, error = with_config(path, "database-source")
    assert (code, output) == (3, "")
    assert error.startswith(f"error: {directory} is not root's alone to change")
    assert list(directory.iterdir()) == []


@ROOT_ONLY
def test_without_a_drop_in_the_verb_says_what_to_set(tmp_path: Path) -> None:
    path = tmp_path / "nagios-failover.cfg"
    path.write_text(TEXT)
    path.chmod(0o640)
    code, _, error = with_config(path, "database-replica")
    assert code == 2
    assert error.startswith("error: [replication] drop_in is not set\nhint: ")


def test_the_verbs_are_the_services_of_the_configuration() -> None:
    config = parse(TEXT, hostname=THIS)
    assert services(config, "start-nagios") == [("nagios4", "start")]
    assert services(config, "start-perfdata") == [("one", "start"), ("two@x.service", "start")]
    assert services(config, "restart-database") == [("mariadb", "restart")]
    assert services(config, "stop-perfdata") == [("two@x.service", "stop"), ("one", "stop")]


@pytest.mark.parametrize("name", ["-x", "'a b'", "../x", "x;y", "$(z)"])
def test_a_name_that_is_no_service_is_refused_before_anything_is_started(name: str) -> None:
    config = parse(TEXT.replace("two@x.service", name), hostname=THIS)
    with pytest.raises(UsageError):
        services(config, "start-perfdata")


def test_one_command_starts_a_service() -> None:
    assert command("nagios4", "start", systemd=True) == ("systemctl", "start", "--", "nagios4")
    assert command("nagios4", "start", systemd=False) == ("service", "nagios4", "start")
