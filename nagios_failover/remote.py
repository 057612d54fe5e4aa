"""What the other host tells of itself in one ssh round trip: probe.sh's text on the way out, a HostReport on the way back."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path

from nagios_failover.errors import CouldNotLook, StateUnreadable
from nagios_failover.evidence import Blocked, HostReport, PauseMarker, Process
from nagios_failover.frozen import frozen
from nagios_failover.role import RoleRecord, parse_pairs, parse_role
from nagios_failover.words import STATUS_KEY, Flag

DEFAULT_INTERVAL = 60
"""Nagios's own status_update_interval, where nagios.cfg names none."""
FUTURE_SECONDS = 2
"""So much ahead of that host's clock is rounding."""
NAGIOS_NAMES = ("nagios", "naemon", "icinga")

_READ_HINT = "let the maintenance account read it: on Debian, add it to the groups www-data (status.dat) and adm (our state)"
_HIDDEN_HINT = (
    "let the maintenance account see all processes: /proc mounted without hidepid or with gid=, security.bsd.see_other_uids=1"
)


def probe_script(nagios_cfg: str, state: str) -> str:
    """What `sh -s` reads on the other host."""
    script = Path(__file__).with_name("probe.sh").read_text(encoding="ascii")
    return f"nagios_cfg={shlex.quote(nagios_cfg)}\nstate={shlex.quote(state)}\n{script}"


def log_lines_script(nagios_cfg: str, what: str, *, since: int, at_most: int) -> str:
    """The newest lines of nagios.log that hold `what` and are not older than `since` (epoch seconds), and then `end`."""
    return f"""LC_ALL=C; export LC_ALL
nagios_cfg={shlex.quote(nagios_cfg)}
log=$(sed -n 's/^[[:blank:]]*log_file[[:blank:]]*=[[:blank:]]*//p' "$nagios_cfg" | tail -n 1)
case $log in /*) ;; *) log=${{nagios_cfg%/*}}/$log ;; esac
[ -r "$log" ] || {{ echo "$log is not readable" >&2; exit 3; }}
awk -v what={shlex.quote(what)} -v since={since} 'index($0, what) && substr($1, 2) + 0 >= since' "$log" | tail -n {at_most}
echo end
"""


@frozen
class Fence:
    """What fence.sh is to do there. `flags` are `name=off` lines of an override, `commands` Nagios's external commands. By that
    host's clock nothing of it is begun after `until` (0: no limit)."""

    verb: str
    term: int = 0
    flags: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    victim: int = 0
    until: int = 0


@frozen
class FenceAnswer:
    """`said` are its own lines (`commands written`, `override failed`), `at` is that host's clock when it was done, `interval` its
    status_update_interval in seconds."""

    said: tuple[str, ...]
    at: int
    interval: float
    report: HostReport


def fence_script(nagios_cfg: str, state: str, fence: Fence) -> str:
    """What the fence account's sh runs on the other host."""
    words = {"verb": fence.verb, "term": fence.term, "victim": fence.victim, "until": fence.until}
    words |= {"flags": " ".join(fence.flags), "commands": " ".join(fence.commands)}
    given = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in words.items())
    functions = probe_script(nagios_cfg, state).removesuffix("probe </dev/null\n")
    return given + functions + Path(__file__).with_name("fence.sh").read_text(encoding="ascii")


def parse_fence(stdout: str, *, binary: str = "") -> FenceAnswer:
    """Raises CouldNotLook when the lines are cut off or not fence.sh's."""
    report = parse_report(stdout, binary=binary)
    _, _, body = stdout.partition("nagios-failover-fence 1\n")
    lines = body.partition("nagios-failover-probe 1\n")[0].splitlines()
    values = dict(line.split(" ", 1) for line in lines if " " in line)
    at = _number(values.get("fenced.at"))
    if at is None:
        raise CouldNotLook("the fence's answer is cut off or is something else", detail=stdout[-200:].strip())
    said = tuple(line for line in lines if not line.startswith(("interval", "fenced.at")))
    return FenceAnswer(said, at, float(_number(values.get("interval")) or DEFAULT_INTERVAL), report)


def parse_report(stdout: str, *, binary: str = "") -> HostReport:
    """The HostReport in the probe's lines; what a login shell says before them does not matter. `binary` is the name of that
    host's Nagios program, where it is called otherwise than nagios, naemon or icinga (with or without a number).

    Raises CouldNotLook when the lines are cut off or not the probe's."""
    values, files = _sort_lines(stdout)
    now = _number(values.get("now"))
    if now is None:
        raise CouldNotLook("the host's clock cannot be read", hint="`date +%s` must work there")
    created = _number(values.get("status.created"))
    pid = _number(values.get("pid"))
    gone = values.get("status") == "gone"
    gone_since = _number(values.get("status.gone_since"))
    role, role_problem = _role(files.get("role"), values.get("role.problem", ""))
    return HostReport(
        process=_process(values, pid, binary),
        pid=pid,
        status_age=None if gone or created is None else float(now - created),
        status_created=None if gone else created,
        flags=_flags(values),
        role=role,
        role_problem=role_problem,
        paused=_pause(files.get("paused"), now),
        gone_for=max(0.0, float(now - gone_since)) if gone and gone_since is not None else 0.0,
        handlers={"0": False, "1": True}.get(values.get("status.enable_event_handlers", "")),
        looked_ago=_looked_ago(_number(values.get("looks")), role, now),
        now=now,
    )


def _looked_ago(looks: int | None, role: RoleRecord | None, now: int) -> float | None:
    """A suite that has its role but has never looked has not looked since it got the role. One that looked in the future has not
    looked since its clock was set back: for how long nobody knows (infinity)."""
    since = role.since if looks is None and role else looks
    if since is None:
        return None
    return math.inf if since - now > FUTURE_SECONDS else max(0.0, float(now - since))


def _sort_lines(stdout: str) -> tuple[dict[str, str], dict[str, str]]:
    """The `key value` lines, and the files that were sent as `name: line`."""
    _, marker, body = stdout.partition("nagios-failover-probe 1\n")
    lines = body.splitlines()
    if not marker or not lines or lines[-1] != "end":
        raise CouldNotLook(
            "the probe's answer is cut off or is something else",
            detail=stdout[-200:].strip(),
            hint="the maintenance account needs an ordinary shell there: ssh HOST 'exec sh -s' must run what it reads",
        )
    values: dict[str, str] = {}
    files: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(" ")
        if key in ("role:", "paused:"):
            files[key[:-1]] = files.get(key[:-1], "") + value[:200] + "\n"
        else:
            values.setdefault(key, value)
    return values, files


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _process(values: Mapping[str, str], pid: int | None, binary: str) -> Process | Blocked:
    problem = values.get("status.problem")
    if problem:
        if "not complete" in problem:
            return Blocked(problem, "is the disk full there?")
        return Blocked(problem, _READ_HINT if "readable" in problem or "entered" in problem else "compare [host] nagios_cfg")
    if values.get("status") != "gone" and "status.created" not in values:
        return Blocked(f"{values.get('status.file')} does not say when it was written", "is it Nagios's status_file?")
    match values.get("process", "").split(" ", 1):
        case ["missing"]:
            return Process.MISSING
        case ["exists"]:
            return _who(values, pid, binary)
        case ["hidden"]:
            named = f"PID {pid}" if pid else "Nagios's process"
            return Blocked(f"{named} cannot be looked at: other users' processes are hidden there", _HIDDEN_HINT)
        case ["no-ps"]:
            return Blocked("Nagios's process cannot be looked for: there is no ps there", "install it there (on Debian: procps)")
        case ["unknown", said]:
            return Blocked(f"PID {pid} cannot be looked at: {said}", _HIDDEN_HINT)
    return Blocked("the probe says nothing of the process")


def _who(values: Mapping[str, str], pid: int | None, binary: str) -> Process:
    """A PID that exists is Nagios, or it is somebody else's by now and Nagios is gone. A zombie is gone too. A worker or the
    command-file child under the PID that status.dat names means the same: the main process had it."""
    state = values.get("process.state", "")[:1]
    if state in ("Z", "X"):
        return Process.MISSING
    arguments = values.get("process.args", "")
    if not _is_nagios(values.get("process.comm", ""), arguments, binary) or " --worker" in arguments:
        return Process.MISSING
    if arguments and values.get("parent.args", "").strip() == arguments.strip():
        return Process.MISSING
    return Process.STOPPED if state in ("T", "t") else Process.RUNNING


def _is_nagios(comm: str, arguments: str, binary: str) -> bool:
    program = arguments.split(" ", 1)[0].rpartition("/")[2]
    return any(word.rstrip("0123456789") in NAGIOS_NAMES or (binary and word == binary) for word in (comm, program))


def _flags(values: Mapping[str, str]) -> dict[Flag, bool] | None:
    words = {"0": False, "1": True}
    flags = {flag: words[value] for flag, key in STATUS_KEY.items() if (value := values.get(f"status.{key}")) in words}
    return flags or None


def _role(text: str | None, problem: str) -> tuple[RoleRecord | None, str]:
    if text is None:
        return None, problem or "the role file is empty"
    try:
        return parse_role(text), ""
    except StateUnreadable as error:
        return None, error.what


def _pause(text: str | None, now: int) -> PauseMarker | None:
    """The pause in force by that host's clock. A garbled marker pauses too: someone wanted it."""
    if text is None:
        return None
    try:
        pairs = parse_pairs(text, "the pause marker")
        until = None if pairs["until"] == "-" else int(pairs["until"])
        marker = PauseMarker(by=pairs["by"], reason=pairs["reason"], since=int(pairs["since"]), until=until)
    except (StateUnreadable, KeyError, ValueError):
        return PauseMarker(by="unknown", reason="its pause marker is garbled", since=now, until=None)
    return None if until is not None and until <= now else marker
