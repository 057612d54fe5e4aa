"""The suite's own read-only layer: a copy of the checkout installed into the root's virtual environment, cached by content."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.lab.debian_root import CACHE, CHECKOUT, VENV, Say, exclusive, in_private_mounts
from tests.lab.state import LABS

#: what pip needs of the checkout, and the samples that an administrator would copy from it
PARTS: Final = (
    "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "commands.cfg.sample",
    "nagios-failover.cfg.sample", "quorum.cfg.sample", "sudoers.sample", "guard-hook.sample", "guard-systemd.conf.sample",
    "plugins", "handlers", "nagios_failover",
)  # fmt: skip
KEPT: Final = 6


def layer_key(root: Path, checkout: Path = CHECKOUT) -> str:
    """Changes when a file that is installed changes, or the root below it."""
    digest = hashlib.sha256(root.name.encode())
    for path in source_files(checkout):
        digest.update(f"\0{path.relative_to(checkout)}\0{path.stat().st_mode & 0o111}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def source_files(checkout: Path) -> Iterator[Path]:
    """The checkout's files that make the layer, in a fixed order."""
    for part in PARTS:
        place = checkout / part
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        for path in found:
            if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path):
                yield path


def is_installable(checkout: Path = CHECKOUT) -> bool:
    """Whether the checkout holds a package at all."""
    return (checkout / "setup.cfg").exists() and (checkout / "nagios_failover" / "__init__.py").exists()


def ensure_layer(root: Path, say: Say, checkout: Path = CHECKOUT) -> Path | None:
    """The layer of this checkout on this root (made first where it is missing), or None while there is no package."""
    if not is_installable(checkout):
        return None
    layers = CACHE / "suites"
    layers.mkdir(parents=True, exist_ok=True)
    layer = layers / layer_key(root, checkout)
    if layer.is_dir():
        layer.touch()
        return layer
    with exclusive(CACHE / "suites.lock", say, "another process is installing the suite; waiting for it"):
        return _installed(root, layers, say, checkout)


def _installed(root: Path, layers: Path, say: Say, checkout: Path) -> Path:
    """Copy first and name the layer by the copy: the checkout may be edited meanwhile."""
    aside = layers / ".building"
    shutil.rmtree(aside, ignore_errors=True)
    source = aside / "source"
    for path in source_files(checkout):
        target = source / path.relative_to(checkout)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    layer = layers / layer_key(root, source)
    if not layer.is_dir():
        say("installing this checkout's suite for the hosts (a few seconds, cached by content)")
        in_private_mounts(_INSTALL, str(root), str(aside), VENV)
        samples = aside / "upper/usr/share/doc/nagios-failover"
        samples.mkdir(parents=True, exist_ok=True)
        for sample in source.glob("*.sample"):
            shutil.copy2(sample, samples / sample.name)
        (aside / "upper").rename(layer)
        _prune(layers)
    shutil.rmtree(aside)
    return layer


# The entry points and compiled files land in the upper directory of an overlay over the root; that directory is the layer.
_INSTALL = """
root="$1" aside="$2" venv="$3"
mkdir -p "$aside/upper" "$aside/work" "$aside/merged"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$aside/upper,workdir=$aside/work" "$aside/merged"
mount -t tmpfs tmpfs "$aside/merged/tmp"
mount -t proc proc "$aside/merged/proc"
cp -a "$aside/source" "$aside/merged/tmp/source"
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
cd /
chroot "$aside/merged" "$venv/bin/python" -m pip install -q --no-deps --no-index --no-build-isolation --no-cache-dir \
    --disable-pip-version-check --root-user-action=ignore /tmp/source
umount "$aside/merged/proc" "$aside/merged/tmp"
umount "$aside/merged"
rm -rf "$aside/upper/root"
"""


def _prune(layers: Path) -> None:
    """Keep the newest few, and any that a lab still stands on."""
    used = set()
    for settings in LABS.glob("*/lab.json"):
        used.add(Path(json.loads(settings.read_text()).get("layer") or "-").name)
    finished = [path for path in layers.iterdir() if not path.name.startswith(".")]
    for path in sorted(finished, key=lambda entry: entry.stat().st_mtime, reverse=True)[KEPT:]:
        if path.name not in used:
            shutil.rmtree(path, ignore_errors=True)
