"""The result file of a long run, docs/results/DATE-SEED.json: written after every trial, so that a stopped run goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.common import TOP, commit

RESULTS: Final = TOP / "docs" / "results"
Trial = dict[str, object]


@dataclass
class Result:
    """Trials by part, each with its number, what was done, whether it held, and its seconds."""

    path: Path
    commit: str
    seed: int
    began: str
    trials: dict[str, list[Trial]] = field(default_factory=dict)

    @classmethod
    def open(cls, seed: int, directory: Path = RESULTS, *, at: str | None = None) -> Result:
        """The unfinished result of this seed and commit, or a new one."""
        now = at or commit()
        for path in sorted(directory.glob(f"*-{seed}.json"), reverse=True):
            raw = json.loads(path.read_text())
            if not raw["finished"] and raw["commit"] == now:
                return cls(path, now, seed, raw["began"], {part: held["trials"] for part, held in raw["parts"].items()})
        path = directory / f"{time.strftime('%Y-%m-%dT%H%M%S', time.gmtime())}-{seed}.json"
        return cls(path, now, seed, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))

    def done(self, part: str) -> int:
        """How many trials of the part are there already."""
        return len(self.trials.get(part, []))

    def add(self, part: str, what: Mapping[str, object], *, held: bool, seconds: float) -> None:
        trials = self.trials.setdefault(part, [])
        trials.append({"number": len(trials) + 1, **what, "held": held, "seconds": round(seconds, 2)})
        self.write(finished=False)

    def failures(self) -> int:
        return sum(not trial["held"] for trials in self.trials.values() for trial in trials)

    def write(self, *, finished: bool) -> None:
        """Atomically: a run that is killed leaves the last whole state."""
        parts = {
            part: {
                "count": len(trials),
                "held": sum(bool(trial["held"]) for trial in trials),
                "seconds": round(sum(float(str(trial["seconds"])) for trial in trials), 1),
                "trials": trials,
            }
            for part, trials in self.trials.items()
        }
        whole = {"commit": self.commit, "seed": self.seed, "began": self.began, "finished": finished, "parts": parts}
        if finished:
            whole["ended"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_suffix(".new")
        aside.write_text(json.dumps(whole, indent=1) + "\n")
        aside.replace(self.path)
