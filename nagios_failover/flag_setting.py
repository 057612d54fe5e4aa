"""Setting flags in this host's running Nagios: sent, seen, and kept over a restart and a power cut."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nagios_failover.command_file import send, tagged
from nagios_failover.config import Config
from nagios_failover.errors import CouldNotLook, Failed, NoReader
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_nagios_cfg, read_program_status, read_retained_flags, sync_file, version_of
from nagios_failover.role import Flags, describe_flags, differing
from nagios_failover.words import TURN_OFF, TURN_ON

POLL_SECONDS = 0.05
SEND_AGAIN_SECONDS = 3.0
"""After a kill -9 a left-over worker of the old Nagios may swallow what is written first: send until Nagios shows it. Each time
twice as long is waited: a large Nagios stands still for every SAVE_STATE_INFORMATION, and shows it the later for that."""
READER_GRACE_SECONDS = 3.0
"""A Nagios that reloads makes its command file anew; so long it may be missing."""
SAVE_GRACE_SECONDS = 5.0
"""How long to wait for retention.dat once status.dat shows the flags."""


def set_flags(config: Config, flags: Flags, *, ahead: Sequence[str] = (), verify_timeout: float | None = None) -> list[str]:
    """Set these flags in this host's running Nagios, save them over a restart, and see both done. Idempotent.

    `ahead` are commands that Nagios obeys before these, once: in one write with them, so they and these fit into PIPE_BUF.

    Returns notes: what a person should know though the flags are set. Raises NoReader when nobody takes the commands, Failed when
    status.dat does not show the flags within `verify_timeout` seconds (default [nagios] verify_timeout)."""
    cfg = read_nagios_cfg(config.this.nagios_cfg)
    limit = config.nagios.verify_timeout if verify_timeout is None else verify_timeout
    commands = [tagged((TURN_ON if on else TURN_OFF)[flag]) for flag, on in flags.items()]
    return _Setting(config.this.name, cfg, flags, [*commands, tagged("SAVE_STATE_INFORMATION")], limit, ahead).until_seen()


class _Setting:
    """Commands on their way: sent, sent again, until status.dat shows the flags and retention.dat keeps them."""

    def __init__(self, host: str, cfg: NagiosCfg, flags: Flags, commands: list[str], limit: float, ahead: Sequence[str]) -> None:
        self.host, self.cfg, self.flags, self.commands, self.limit = host, cfg, flags, commands, limit
        self.ahead = ahead
        self.began = time.monotonic()
        self.began_at = int(time.time())
        self.saved_before = version_of(cfg.state_retention_file)
        self.saved = False
        self.shown_at: float | None = None

    def until_seen(self) -> list[str]:
        sent_at, patience = self._send(), SEND_AGAIN_SECONDS
        while not self._done():
            if self._elapsed() >= self.limit:
                break
            if time.monotonic() - sent_at >= patience:
                sent_at, patience = self._send(), 2 * patience
            time.sleep(POLL_SECONDS)
        if self.shown_at is None:
            raise Failed(
                f"Nagios was not seen to set {describe_flags(self.flags)} within {self.limit:g} s",
                host=self.host,
                detail=self._what_is_shown(),
                hint="is Nagios hung, or the disk full? it must write status.dat well within [nagios] verify_timeout",
            )
        if not self.cfg.keeps_flags:
            return [
                f"{self.host}: nagios.cfg does not keep flags over a restart (retain_state_information, use_retained_program_state)"
            ]
        return (
            [] if self.saved else [f"{self.host}: Nagios did not save {self.cfg.state_retention_file}: a restart would undo this"]
        )

    def _send(self) -> float:
        while True:
            try:
                send(self.cfg.command_file, [*self.ahead, *self.commands], now=int(time.time()))
                self.ahead = ()
                return time.monotonic()
            except NoReader as error:
                busy = self.ahead and "is full" in error.what  # with what came before it: the way is long for 50,000 services
                if self._elapsed() >= (self.limit if busy else min(READER_GRACE_SECONDS, self.limit)):
                    error.host = self.host
                    raise
            time.sleep(POLL_SECONDS)

    def _done(self) -> bool:
        """Saved first, and brought to the disk at once: a power cut may come one second after the activation."""
        self.saved = self.saved or self._save_seen()
        if self.shown_at is None and self._flags_shown():
            self.shown_at = time.monotonic()
        if self.shown_at is None:
            return False
        return self.saved or not self.cfg.keeps_flags or time.monotonic() - self.shown_at >= SAVE_GRACE_SECONDS

    def _save_seen(self) -> bool:
        path = self.cfg.state_retention_file
        if version_of(path) in (None, self.saved_before):
            return False
        try:
            kept = read_retained_flags(path)
        except CouldNotLook:
            return False
        if kept is None or differing(self.flags, kept):
            return False
        sync_file(path)
        return True

    def _flags_shown(self) -> bool:
        """A status.dat that showed them before counts only once Nagios has been seen to obey (it may be one that is dead)."""
        try:
            status = read_program_status(self.cfg.status_file)
        except CouldNotLook:
            return False
        return not differing(self.flags, status.flags) and (self.saved or status.created > self.began_at)

    def _what_is_shown(self) -> str:
        try:
            status = read_program_status(self.cfg.status_file)
        except CouldNotLook as error:
            return str(error)
        return f"status.dat is {time.time() - status.created:.0f} s old and shows {describe_flags(status.flags)}"

    def _elapsed(self) -> float:
        return time.monotonic() - self.began
