"""The step `fetch queue`: performance data that the old master had taken from its Nagios and not loaded into its database.

The files keep their names, in a directory that is named after their host (STATE/perfdata/from-HOST): host and name together tell
the loader what it has loaded already, here or there.
"""

from __future__ import annotations

from nagios_failover import rsync, ssh
from nagios_failover.errors import Failed
from nagios_failover.perfdata_queue import PerfdataFiles
from nagios_failover.workflow import Flow


def idle(flow: Flow) -> str:
    if not flow.config.replication.watch:
        return "not configured"
    return ""


def would_fetch_queue(flow: Flow) -> str:
    return f"would copy what {flow.peer}'s loader has not loaded, if its host answers"


def fetch_queue(flow: Flow) -> str:
    """That the host does not answer is no failure of the run."""
    config, limit = flow.config, flow.config.sync.fetch_timeout
    files = PerfdataFiles(config.paths.state).fetched_from(flow.peer)
    into = files.make_empty(flow.term)
    transport = ssh.held_transport(config, config.peer, timeout=min(limit, config.ssh.timeout))
    source = config.paths.state / "perfdata" / "queue"
    output = rsync.run(rsync.files_command(transport, config.peer.address, source, into, timeout=limit), timeout=limit)
    count = len(files.queue())
    if output.code == 0:
        return f"{count} files of performance data are here that {flow.peer} had not loaded"
    if output.code in rsync.PARTIAL:
        raise Failed(
            f"not all of {flow.peer}'s waiting performance data could be read: {rsync.explain(output)}; {count} files are here"
        )
    return f"nothing was fetched: {rsync.explain(output)}"
