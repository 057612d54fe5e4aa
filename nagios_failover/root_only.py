"""What root trusts (files that nobody else could have changed), and how it reads what it does not trust."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nagios_failover.errors import Failed, Refused, UsageError


def require_roots_own(path: Path) -> None:
    """Refuse a file that somebody else than root could change, or whose directories somebody else could."""
    try:
        for place in (path, *path.parents):
            status = place.lstat()
            if stat.S_ISLNK(status.st_mode):
                raise Refused(f"{place} is a symbolic link", hint="put the file itself there")
            others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if status.st_uid != 0 or (others and not status.st_mode & stat.S_ISVTX):
                raise Refused(
                    f"{place} is not root's alone to change (owner uid {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o})",
                    hint=f"chown root {place}; chmod go-w {place}",
                )
    except FileNotFoundError as error:
        raise UsageError(f"configuration file {path} does not exist", hint="copy nagios-failover.cfg.sample there") from error
    except OSError as error:
        raise Failed(f"{path} cannot be looked at: {error.strerror}") from error


@contextmanager
def rights_of(account: pwd.struct_passwd) -> Iterator[None]:
    """Root with no more rights than this user's, for a while: a link that he has laid leads to nothing that he could not read."""
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
