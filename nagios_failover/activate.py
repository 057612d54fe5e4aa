"""The moment at which this host begins to monitor: flags, role, and a check of everything that is not OK."""

from __future__ import annotations

from contextlib import suppress

from nagios_failover import flags as flag_state
from nagios_failover.errors import CouldNotLook, Failed, FailoverError, Incomplete, NoReader, StateUnreadable
from nagios_failover.lease_steps import require_lease
from nagios_failover.loading import load, loaded
from nagios_failover.role import Flags, RoleRecord, describe_flags, role_flags, wanted_flags
from nagios_failover.steps import crash_if_asked
from nagios_failover.words import Role
from nagios_failover.workflow import Flow


def flags_to_set(flow: Flow) -> Flags:
    """A master's flags, as far as no fence with a higher term holds them."""
    record = RoleRecord(Role.MASTER, flow.this, flow.term, flow.run.id, 0)
    try:
        overrides = flow.state.overrides()
    except StateUnreadable:
        overrides = []
    return wanted_flags(record, flow.config.pair.mode, overrides) or role_flags(flow.config.pair.mode, active=True)


def activate(flow: Flow) -> str:
    """Flags and role. Once the commands are with Nagios there is no way back: that status.dat does not show
    it (a full disk) is no reason to stop monitoring again. A role that cannot be written leaves the run open (Incomplete)."""
    require_lease(flow)
    wanted = flags_to_set(flow)
    said = [f"{describe_flags(wanted)}, seen in status.dat"]
    with suppress(FailoverError):  # without it the clock tells an operator's word to this role from one to the last
        flag_state.count_from_here(flow.config, flow.state, term=flow.term)
    try:
        said.extend(flow.hands.set_flags(wanted, _load(flow, said)))
    except NoReader:
        raise
    except (Failed, CouldNotLook) as error:
        flow.pass_over(f"activate: {error}; hint: {error.hint}")
        said = [f"{describe_flags(wanted)}, sent to Nagios but not seen in status.dat"]
    crash_if_asked("activate: sent", resumed=flow.run.record().resumed > 0)
    try:
        flow.state.write_role(RoleRecord(Role.MASTER, flow.this, flow.term, flow.run.id, int(flow.hands.now())))
    except Failed as error:
        raise Incomplete(
            f"it checks and notifies, but its role is not written: {error}", host=flow.this, hint=error.hint
        ) from error
    flow.note("active_at", flow.hands.now())
    loaded(flow)
    _reign(flow)  # last: an etcd that does not answer is waited for
    return "; ".join(said)


def _reign(flow: Flow) -> None:
    """etcd knows its term from now on, so that no former master gets the lease again; if not now, by the next check."""
    if flow.config.quorum.etcd:
        with suppress(FailoverError):
            flow.hands.lease(flow.term, reign=True)


def _load(flow: Flow, said: list[str]) -> list[str]:
    """The commands that load what was inherited, to go ahead of the flags. That it cannot be is told: monitoring comes back."""
    try:
        commands, not_given = load(flow)
    except FailoverError as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not keep monitoring from coming back
        why = f"unexpected: {error!r}"
    else:
        said.extend(not_given)
        return commands
    with suppress(FailoverError):  # a full disk under the journal
        flow.pass_over(f"inherit: {why}; hint: open incidents are notified once more; compare both hosts' pages")
    return []


def check_at_once(flow: Flow) -> str:
    """What recovered in the gap is told at once, what is still broken is notified at once. The watch services keep their pace."""
    now = int(flow.hands.now())
    objects = [(host, service) for host, service in flow.hands.not_ok() if host != flow.config.nagios.watch_host]
    flow.hands.commands([_forced_check(host, service, now) for host, service in objects])
    return f"{len(objects)} objects that are not OK are checked at once"


def _forced_check(host: str, service: str | None, now: int) -> str:
    if service is None:
        return f"SCHEDULE_FORCED_HOST_CHECK;{host};{now}"
    return f"SCHEDULE_FORCED_SVC_CHECK;{host};{service};{now}"


def activated(flow: Flow) -> str:
    role = flow.state.role()
    if role.role is not Role.MASTER or role.run != flow.run.id:
        return ""
    wanted = flags_to_set(flow)
    try:
        actual = flow.hands.flags()
    except CouldNotLook:
        return ""
    if any(actual.get(flag) is not on for flag, on in wanted.items()):
        return ""
    if "active_at" not in flow.notes:
        flow.note("active_at", float(role.since))
    return f"role is master, term {role.term}; {describe_flags(wanted)}"


def would_activate(flow: Flow) -> str:
    cfg = flow.config.this.nagios_cfg
    return (
        f"would set {describe_flags(role_flags(flow.config.pair.mode, active=True))} by external commands to the Nagios of {cfg}, "
        "save its state, see it in status.dat, and write role master"
    )
