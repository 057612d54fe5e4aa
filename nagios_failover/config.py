"""The configuration: the hosts and the sections (config_sections.py), seen from one host. Typed, frozen and complete;
config_file.py makes it from nagios-failover.cfg, which is one and the same on all hosts.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nagios_failover.config_sections import (
    DatabaseSection,
    FenceSection,
    HeartbeatSection,
    HostSection,
    LookSection,
    MailSection,
    NagiosSection,
    PairSection,
    PathsSection,
    PerfdataSection,
    QuorumSection,
    ReadySection,
    ReplicationSection,
    RunSection,
    SshSection,
    SyncSection,
    WitnessSection,
)
from nagios_failover.frozen import frozen


@frozen
class Config:
    """The hosts in the file's order, and the sections. `this` and `peer` are views from one host; where there are more than two
    ([quorum]), `peer_name` says which of the others is looked at: the master, as far as this host knows."""

    pair: PairSection
    hosts: tuple[HostSection, ...]
    nagios: NagiosSection
    paths: PathsSection
    ssh: SshSection
    look: LookSection
    heartbeat: HeartbeatSection
    witness: WitnessSection
    quorum: QuorumSection
    fence: FenceSection
    replication: ReplicationSection
    sync: SyncSection
    database: DatabaseSection
    perfdata: PerfdataSection
    run: RunSection
    ready: ReadySection
    mail: MailSection
    this_name: str
    path: Path
    peer_name: str = ""

    @property
    def this(self) -> HostSection:
        return next(host for host in self.hosts if host.name == self.this_name)

    @property
    def peer(self) -> HostSection:
        return next((host for host in self.others if host.name == self.peer_name), self.others[0])

    @property
    def others(self) -> tuple[HostSection, ...]:
        return tuple(host for host in self.hosts if host.name != self.this_name)

    def facing(self, name: str) -> Config:
        """The same, looking at this other host."""
        return replace(self, peer_name=name)

    @property
    def stateful(self) -> bool:
        """Is there state that roles carry with them (so that failback cannot be automatic)?"""
        return self.replication.watch or self.sync.watch

    @property
    def lease_pace(self) -> float:
        """Seconds from one decision about the lease to the next, at most: etcd is asked, then the others (a login, a command)."""
        return self.quorum.renew + self.quorum.timeout + 2 * self.fence.timeout

    @property
    def has_password(self) -> bool:
        replication = self.replication
        words = (self.heartbeat.password, self.database.password, replication.password, replication.replication_password)
        options = (self.fence.options, *(host.fence_options for host in self.hosts))
        return any(words) or any(some.hold_a_password for some in options)

    @property
    def preferred_host(self) -> str:
        """The host that gets the role back under `failback = automatic`."""
        return self.pair.preferred or self.hosts[0].name
