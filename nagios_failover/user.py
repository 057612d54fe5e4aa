"""Everything that touches the state is done as the Nagios user, root's commands too: a file that became root's would keep
Nagios's own handler out, when it is needed."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nagios_failover.config import Config
from nagios_failover.errors import ConfigError, UsageError

UMASK = 0o027
_ROOTS_OWN = ("SSH_AUTH_SOCK", "SSH_AGENT_PID", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "MAIL", "KRB5CCNAME")


def become_nagios(config: Config, *, root_again: bool = False) -> None:
    """Make this process the Nagios user's: groups, ids, HOME, umask 0027, a directory it may be in.

    Root switches for good, or with `root_again` so that `as_root` can switch back (only root may ask for that); the Nagios user
    stays; anybody else gets a UsageError. Call it before any state is touched."""
    account, name = account_of(config), config.nagios.user
    if root_again and os.geteuid() != 0:
        raise UsageError(f"this must run as root, not as {_name_of(os.geteuid())}", hint="sudo COMMAND")
    if os.geteuid() == 0 and account.pw_uid != 0:
        _drop_to(account, kept=0 if root_again else account.pw_uid)
    elif os.geteuid() != account.pw_uid:
        raise UsageError(
            f"this must run as root or as {name}, not as {_name_of(os.geteuid())}",
            hint=f"sudo -u {name} COMMAND, or run it as root: it becomes {name} by itself",
        )
    os.umask(UMASK)
    os.environ["HOME"] = account.pw_dir
    if not _usable_directory():
        os.chdir("/")


def account_of(config: Config) -> pwd.struct_passwd:
    """The Nagios user. Raises ConfigError where there is none."""
    name = config.nagios.user
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(
            f"configuration file {config.path}: [nagios] user: no user is called {name!r} on this host",
            hint="the user that Nagios runs as (nagios_user in nagios.cfg)",
        ) from None


def _drop_to(account: pwd.struct_passwd, *, kept: int) -> None:
    """Groups first: without root's rights they could not be changed any more. All three ids, so that there is no way back; but
    for the saved one where it is `kept`. Programs that are started do not inherit that one."""
    os.initgroups(account.pw_name, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, kept)
    for name in _ROOTS_OWN:
        os.environ.pop(name, None)
    os.environ.update(USER=account.pw_name, LOGNAME=account.pw_name, SHELL="/bin/sh")


@contextmanager
def as_root() -> Iterator[None]:
    """Root again for what is done inside, in a process that kept the way back. Files of the state are not touched inside."""
    before, umask = (os.getresuid(), os.getresgid(), os.getgroups()), os.umask(0o022)
    os.setresuid(0, 0, 0)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    try:
        yield
    finally:
        os.umask(umask)
        users, groups, others = before
        os.setgroups(others)
        os.setresgid(*groups)
        os.setresuid(*users)


def _usable_directory() -> bool:
    """May this user be where it is? (root's home is closed to it.)"""
    try:
        return os.access(Path.cwd(), os.X_OK | os.R_OK)
    except OSError:
        return False


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
