"""A look back, before the mail is written: has Nagios loaded what was given to it?"""

from __future__ import annotations

import time

from nagios_failover.config_values import Start
from nagios_failover.copies import chunks
from nagios_failover.errors import CouldNotLook, Failed
from nagios_failover.loading import was_read
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_nagios_cfg, read_program_status
from nagios_failover.snapshot import Problems, count_problems
from nagios_failover.workflow import Flow

READ = "READ_STATE_INFORMATION"


def verify_incidents(flow: Flow) -> str:
    """Raises Failed where this host's event log or its status.dat tells another tale than what was inherited."""
    inherited = flow.notes.get("inherited")
    if not inherited:
        raise Failed("nothing was inherited")
    cfg = read_nagios_cfg(flow.config.this.nagios_cfg)
    deadline = flow.hands.uptime() + flow.config.nagios.verify_timeout
    sent = float(inherited.get("sent", 0))
    carried_out = _carried_out(flow, cfg, sent, deadline)
    seen = _count(flow, cfg, sent, deadline)
    expected = int(inherited["problems"])
    if abs(seen.not_ok - expected) > seen.changed:
        raise Failed(
            f"{expected} problems were inherited, but Nagios has {seen.not_ok}, and only {seen.changed} objects have changed since",
            hint="compare both hosts' pages: nagios-failover incidents",
        )
    return f"{carried_out}{seen.not_ok} objects are not OK ({expected} were inherited, {seen.changed} have changed since)"


def would_verify_incidents(flow: Flow) -> str:
    return f"would see {READ} in this host's event log, and count its problems, for {flow.config.nagios.verify_timeout:g} s at most"


def _carried_out(flow: Flow, cfg: NagiosCfg, sent: float, deadline: float) -> str:
    """ "" where no such line is to be expected."""
    if flow.config.pair.standby is Start.COLD or not cfg.logs_external_commands:
        return ""
    while True:
        if command := was_read(cfg, int(sent)):
            return f"Nagios carried out {READ} at {time.strftime('%H:%M:%S', time.localtime(command.time))}; "
        if flow.hands.uptime() >= deadline:
            limit = flow.config.nagios.verify_timeout
            hint = "the incidents may not be loaded: compare both hosts' pages"
            raise Failed(f"{cfg.log_file} does not show {READ} after {limit:g} s", hint=hint)
        flow.hands.sleep(0.1)


def _count(flow: Flow, cfg: NagiosCfg, sent: float, deadline: float) -> Problems:
    """From the first status.dat that was written after the loading."""
    deadline = max(deadline, flow.hands.uptime() + cfg.status_update_interval)
    while True:
        try:
            if read_program_status(cfg.status_file).created > sent:
                watch_host = flow.config.nagios.watch_host
                return count_problems(chunks(cfg.status_file), since=int(sent), watch_host=watch_host, what=str(cfg.status_file))
            problem = f"{cfg.status_file} is older than what was inherited"
        except CouldNotLook as error:
            problem = str(error)
        if flow.hands.uptime() >= deadline:
            raise Failed(f"the inherited problems were not seen: {problem}", hint="is Nagios hung, or its disk full?")
        flow.hands.sleep(0.2)
