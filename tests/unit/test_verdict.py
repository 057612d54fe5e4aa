"""Whatever was seen, a verdict is one sentence."""

from __future__ import annotations

from hypothesis import given

from nagios_failover.evidence import Evidence
from nagios_failover.limits import Limits
from nagios_failover.verdict_of_master import judge_master
from nagios_failover.verdict_of_peer import judge_peer
from tests.evidence_samples import PEER, evidences, limits


@given(evidences, limits)
def test_no_evidence_is_without_a_one_line_sentence(evidence: Evidence, limits: Limits) -> None:
    for verdict in (judge_master("yasu", evidence, limits), judge_peer("yasu", evidence, limits, PEER)):
        assert verdict.sentence.startswith("yasu: ") and "\n" not in verdict.sentence
