"""Steps that every run has: that its role was registered, and the mail about it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from nagios_failover.report import run_mail
from nagios_failover.steps import Step, Weight
from nagios_failover.words import Role
from nagios_failover.workflow import Flow


def role_is_ours(flow: Flow, *roles: Role) -> str:
    """Says the role that this run wrote, where it is one of these; "" otherwise."""
    role = flow.state.role()
    return f"role is {role.role}, term {role.term}" if role.run == flow.run.id and role.role in roles else ""


def mail_step(result: Callable[[Flow], str], *, only_told: Collection[str] = ()) -> Step[Flow]:
    """`result` is the run's sentence so far. What a step passed over, or failed at, is in the mail, too; of the steps named in
    `only_told` nobody is asked to do what they could not."""

    def send(flow: Flow) -> str:
        record = flow.run.record()
        failed = {step.name: f"{step.name}: {step.detail}" for step in record.steps if step.outcome == "failed"}
        left = [words for name, words in failed.items() if name not in only_told]
        told = [words for name, words in failed.items() if name in only_told]
        troubles = [*flow.passed_over, *left]
        subject, body = run_mail(flow.config, record, result(flow), troubles, now=flow.hands.now(), notes=told)
        flow.hands.deliver(flow.run.id, subject, body)
        flow.note("mailed", True)
        return f"to {', '.join(flow.config.mail.to)} by {flow.config.mail.method}"

    return Step(
        "mail",
        lambda flow: f"would mail {', '.join(flow.config.mail.to)} by {flow.config.mail.method}",
        send,
        Weight.LESSER,
        holds=lambda flow: "sent already" if flow.notes.get("mailed") else "",
    )
