"""The checks: doors that Nagios runs. Installed as nagios_failover.plugins."""
