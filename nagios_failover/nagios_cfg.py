"""Nagios's main configuration file, read as Nagios reads it. Pure: nagios_files.py opens the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from nagios_failover.errors import ConfigError
from nagios_failover.frozen import frozen

_FALLBACKS = {
    # where the build put them: Debian's nagios4-core, FreeBSD's port, and Nagios's own `configure`
    "/etc/nagios4": ("/var/lib/nagios4", "/var/run/nagios4/nagios4.pid"),
    "/usr/local/etc/nagios": ("/var/spool/nagios", "/var/spool/nagios/nagios.lock"),
    "": ("/usr/local/nagios/var", "/run/nagios.lock"),
}


@frozen
class NagiosCfg:
    """`settings` holds the last value of each variable; `lists` every value of those that may come more than once
    (cfg_file, cfg_dir, broker_module). Paths are absolute; a relative one counts from the file's own directory."""

    path: Path
    settings: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]

    def text(self, name: str, default: str = "") -> str:
        return self.settings.get(name, default)

    def number(self, name: str, default: int) -> int:
        """The value as Nagios's atoi takes it: what follows the digits is ignored. `default` where the file does not say."""
        if name not in self.settings:
            return default
        value = self.settings[name].strip()
        digits = len(value) - len(value.lstrip("+-"))
        while digits < len(value) and value[digits] in "0123456789":
            digits += 1
        try:
            return int(value[:digits])
        except ValueError:
            return 0

    @property
    def log_file(self) -> Path:
        return self._file("log_file", "nagios.log")

    @property
    def log_archive_path(self) -> Path:
        return self._file("log_archive_path", "archives")

    @property
    def status_file(self) -> Path:
        return self._file("status_file", "status.dat")

    @property
    def command_file(self) -> Path:
        return self._file("command_file", "rw/nagios.cmd")

    @property
    def state_retention_file(self) -> Path:
        return self._file("state_retention_file", "retention.dat")

    @property
    def object_cache_file(self) -> Path:
        """The objects that the running Nagios has read: templates and groups resolved."""
        return self._file("object_cache_file", "objects.cache")

    @property
    def lock_file(self) -> Path:
        return self._file("lock_file", _fallback(self.path)[1])

    @property
    def status_update_interval(self) -> int:
        """Seconds between two writings of status.dat."""
        return max(self.number("status_update_interval", 60), 1)

    @property
    def logs_external_commands(self) -> bool:
        """Is an EXTERNAL COMMAND line of nagios.log to be expected for each command?"""
        return self.number("log_external_commands", 1) != 0

    @property
    def keeps_flags(self) -> bool:
        """Do flags that external commands set survive a restart?"""
        return self.number("retain_state_information", 0) != 0 and self.number("use_retained_program_state", 1) != 0

    def _file(self, name: str, fallback: str) -> Path:
        directory = _fallback(self.path)[0]
        value = self.settings.get(name)
        return self.path.parent / value if value else Path(directory) / fallback


def parse_nagios_cfg(text: str, path: Path = Path("/usr/local/nagios/etc/nagios.cfg")) -> NagiosCfg:
    """The settings of nagios.cfg. Comments are whole lines; a backslash at a line's end joins the next to it.

    Raises ConfigError for a line that Nagios itself would stop at."""
    settings: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for number, line in _lines(text):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise ConfigError(f"{path} line {number} is no setting: {line[:80]!r}", hint="each line is name=value")
        settings[name] = value
        lists.setdefault(name, []).append(value)
    return NagiosCfg(path, settings, {name: tuple(values) for name, values in lists.items()})


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The logical lines that say something, with the number of the line on which each begins."""
    joined, began = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        began = began or number
        joined += line.lstrip(" \t") if joined else line
        if joined.endswith("\\") and not joined.endswith("\\\\") and len(joined) > 1:
            joined = joined[:-1]
            continue
        stripped = joined.strip()
        if stripped and not stripped.startswith("#"):
            yield began, stripped
        joined, began = "", 0
    if joined.strip() and not joined.strip().startswith("#"):
        yield began, joined.strip()


def _fallback(path: Path) -> tuple[str, str]:
    """What Nagios was built with, told from where its configuration file lies."""
    for prefix, places in _FALLBACKS.items():
        if str(path.parent) == prefix:
            return places
    return _FALLBACKS[""]
