"""The event handlers: doors that Nagios runs on events. Installed as nagios_failover.handlers."""
