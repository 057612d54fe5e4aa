"""python -m tests.long [--seed N] [--count N] [PART...]: repeat, and write docs/results/DATE-SEED.json."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final

from tests.lab import LabError
from tests.long.parts import PARTS
from tests.long.result import Result

DEFAULT_SEED: Final = 2005


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.long",
        description="repeat what needs repeating; a stopped run of the same seed and commit goes on where it was",
        epilog="\n".join(f"{name:12} {part.count} times {part.what}" for name, part in PARTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", metavar="PART", help=f"default: all of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="what is drawn at random is drawn from this")
    parser.add_argument("--count", type=int, help="trials of each part, in place of its own number")
    options = parser.parse_args()
    chosen = options.part or list(PARTS)
    for name in chosen:
        if name not in PARTS:
            parser.error(f"no part is called {name}: one of {', '.join(PARTS)}")
    began = time.monotonic()
    result = Result.open(options.seed)
    print(f"seed {result.seed}, commit {result.commit}, results in {result.path}", flush=True)
    try:
        for name in chosen:
            PARTS[name].run(result, options.count or PARTS[name].count)
    except LabError as error:
        print(f"error: {error}\nhint: the trials so far are kept; run it again to go on", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nerror: interrupted; the trials so far are kept; run it again to go on", file=sys.stderr)
        return 130
    result.write(finished=True)
    for name, trials in result.trials.items():
        print(f"{name}: {sum(bool(trial['held']) for trial in trials)} of {len(trials)} held")
    print(f"{time.monotonic() - began:.0f} s; {result.path}")
    return 1 if result.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
