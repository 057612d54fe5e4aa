"""status.dat as Nagios 4.4 writes it, for the tests of what is inherited."""

from __future__ import annotations

CREATED = 1795358400


def info(created: int = CREATED) -> str:
    head = "########################################\n#          NAGIOS STATUS FILE\n########################################\n\n"
    return f"{head}info {{\n\tcreated={created}\n\tversion=4.4.6\n\tlast_update_check=0\n\t}}\n\n"


def program(**values: object) -> str:
    fields = {
        "modified_host_attributes": 3,
        "modified_service_attributes": 3,
        "nagios_pid": 4711,
        "program_start": CREATED - 5000,
        "enable_notifications": 1,
        "active_service_checks_enabled": 1,
        "active_host_checks_enabled": 1,
        "next_comment_id": 40,
        "next_downtime_id": 30,
        "next_event_id": 20,
        "next_problem_id": 10,
        "next_notification_id": 5,
        **values,
    }
    return block("programstatus", fields)


def block(kind: str, fields: dict[str, object]) -> str:
    return f"{kind} {{\n" + "".join(f"\t{key}={value}\n" for key, value in fields.items()) + "\t}\n\n"


def service(host: str, name: str, state: int = 0, **values: object) -> str:
    return block(
        "servicestatus", {"host_name": host, "service_description": name, **_state(state, ("ok", "warning", "unknown"), values)}
    )


def host(name: str, state: int = 0, **values: object) -> str:
    return block("hoststatus", {"host_name": name, **_state(state, ("up", "down", "unreachable"), values)})


def contact(name: str = "oncall") -> str:
    return block("contactstatus", {"contact_name": name, "modified_attributes": 0, "last_host_notification": 0})


def _state(state: int, words: tuple[str, ...], values: dict[str, object]) -> dict[str, object]:
    return {
        "modified_attributes": 0,
        "check_command": "check",
        "has_been_checked": 1,
        "current_state": state,
        "last_hard_state": state,
        "current_attempt": 3 if state else 1,
        "max_attempts": 3,
        "state_type": 1,
        "last_state_change": CREATED - 1000,
        "last_hard_state_change": CREATED - 1000,
        **{f"last_time_{word}": 0 for word in words},
        "last_time_critical": CREATED - 10,
        "plugin_output": "it says; a lot",
        "long_plugin_output": "",
        "performance_data": "",
        "last_check": CREATED - 10,
        "next_check": CREATED + 50,
        "check_options": 0,
        "current_notification_number": 0,
        "last_notification": 0,
        "next_notification": 0,
        "no_more_notifications": 0,
        "problem_has_been_acknowledged": 0,
        "acknowledgement_type": 0,
        "is_flapping": 0,
        "percent_state_change": "0.00",
        "scheduled_downtime_depth": 0,
        "_PLACE": "0;rack 7",
        **values,
    }


def comment(host: str, name: str, number: int, *, entry_type: int = 1, text: str = "seen", entry_time: int = CREATED - 100) -> str:
    names = {"host_name": host, **({"service_description": name} if name else {})}
    rest = {
        "source": 1,
        "persistent": 1,
        "entry_time": entry_time,
        "expires": 0,
        "expire_time": 0,
        "author": "me",
        "comment_data": text,
    }
    kind = "servicecomment" if name else "hostcomment"
    return block(kind, {**names, "entry_type": entry_type, "comment_id": number, **rest})


def downtime(host: str, name: str, number: int, **values: object) -> str:
    fields = {
        "host_name": host,
        "service_description": name,
        "downtime_id": number,
        "comment_id": number,
        "entry_time": CREATED - 100,
        "start_time": CREATED - 90,
        "flex_downtime_start": 0,
        "end_time": CREATED + 900,
        "triggered_by": 0,
        "fixed": 1,
        "duration": 990,
        "is_in_effect": 1,
        "start_notification_sent": 1,
        "author": "me",
        "comment": "planned",
        **values,
    }
    return block("servicedowntime", fields)
