"""Real Nagios hosts on one machine: namespaces over a cached Debian root, with every fault one call away.

with Lab.up(name="mine") as lab:
    lab.yasu.off()
    lab.wait(lambda: lab.nabira.nagios_flags().get("enable_notifications") == "1", 60, "nabira notifies")
"""

from tests.lab.host import Host
from tests.lab.lab import Lab, Mail
from tests.lab.machine import LabError, NotPossibleHereError, why_not
from tests.lab.service import Service

__all__ = ["Host", "Lab", "LabError", "Mail", "NotPossibleHereError", "Service", "why_not"]
