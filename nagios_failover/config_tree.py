"""The object configuration in directories of nagios.cfg, as sync-config copies it: path below the directory to content. Pure.

What comes from the other host is judged here before anything is done with it: names, sizes, and what it would change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nagios_failover.config import Config
from nagios_failover.errors import Refused
from nagios_failover.frozen import frozen
from nagios_failover.nagios_cfg import NagiosCfg

SIZE_LIMIT = 64 << 20
"""Bytes of all files of a directory together."""
COUNT_LIMIT = 20_000
DIFF_LINES = 20_000
"""A file of which more lines differ is not shown line by line."""
_NAME = re.compile(r"[^\x00-\x1f\x7f/]{1,255}")
_MACRO = re.compile(rb"^[ \t]*\$USER\d+\$[ \t]*=.*$", re.MULTILINE)


@frozen
class ConfigFile:
    """`mode` is the permission bits it has where it was read."""

    data: bytes
    mode: int


Tree = Mapping[str, ConfigFile]
"""Path below the directory (`hosts/web1.cfg`) to file."""


def is_left_alone(name: str, own: Sequence[str]) -> bool:
    """Files that are each host's own: those that are configured so, and hidden ones, which Nagios does not read either."""
    return name.startswith(".") or name in own


def refuse_name(name: str, where: str) -> None:
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise Refused(f"{where}: a file's name is not plain: {name[:80]!r}", hint="rename it: no control characters")


def directories(config: Config, cfg: NagiosCfg) -> tuple[Path, ...]:
    """The configured directories. Raises Refused where there are none, or Nagios reads nothing from one."""
    found = config.sync.config_dirs
    if not found:
        hint = "[sync] config_dirs = /etc/nagios4/conf.d in nagios-failover.cfg of both hosts"
        raise Refused("no directory is configured to be copied", host=config.this.name, hint=hint)
    read = [cfg.path.parent / value for name in ("cfg_dir", "cfg_file") for value in cfg.lists.get(name, ())]
    for directory in found:
        if not any(path == directory or directory in path.parents for path in read):
            raise Refused(
                f"{cfg.path} reads nothing from {directory} ([sync] config_dirs)",
                host=config.this.name,
                hint=f"cfg_dir={directory} in {cfg.path}, or take it out of config_dirs",
            )
    return found


def moved(text: str, cfg: NagiosCfg, places: Mapping[Path, Path], own: Sequence[Path], precache: Path) -> str:
    """nagios.cfg with the directories read from elsewhere, this host's `own` files from where they are, and the resolved objects
    written to `precache` (nagios -v -p). The last precached_object_file counts."""
    lines = []
    for line in text.splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        path = cfg.path.parent / value
        if equals and name in ("cfg_dir", "cfg_file", "resource_file") and not line.lstrip().startswith("#"):
            for directory, place in places.items():
                if path == directory or directory in path.parents:
                    path = place / path.relative_to(directory)
            if name != "cfg_file" or path not in own:
                lines.append(f"{name}={path}")
        else:
            lines.append(line)
    lines.extend(f"cfg_file={path}" for path in own)
    return "\n".join([*lines, f"precached_object_file={precache}", ""])


def changed_paths(old: Tree, new: Tree) -> list[str]:
    """Whose content is other, or who come or go."""
    return sorted(path for path in old.keys() | new.keys() if _data(old, path) != _data(new, path))


def changed_macros(old: Tree, new: Tree) -> bool:
    """Does a $USERn$ of a resource file change? Commands run what it says."""
    return any(
        sorted(_MACRO.findall(_data(old, path) or b"")) != sorted(_MACRO.findall(_data(new, path) or b"")) for path in {*old, *new}
    )


def unified(directory: Path, old: Tree, new: Tree, *, there: str) -> Iterator[str]:
    """The difference, line by line, safe to be printed on a terminal."""
    for path in changed_paths(old, new):
        before, after = _lines(_data(old, path)), _lines(_data(new, path))
        name = printable(f"{directory}/{path}")
        if max(len(before), len(after)) > DIFF_LINES:
            yield f"{name}: {len(before)} lines here, {len(after)} on {there}: too many to be shown"
            continue
        old_name = name if path in old else "/dev/null"
        new_name = f"{there}:{name}" if path in new else "/dev/null"
        for line in difflib.unified_diff(before, after, old_name, new_name, lineterm=""):
            yield printable(line)


def printable(text: str) -> str:
    """Without what moves a terminal's cursor."""
    return "".join(character if character.isprintable() or character == "\t" else repr(character)[1:-1] for character in text)


def _data(tree: Tree, path: str) -> bytes | None:
    return tree[path].data if path in tree else None


def _lines(data: bytes | None) -> list[str]:
    return (data or b"").decode("utf-8", "replace").splitlines()
