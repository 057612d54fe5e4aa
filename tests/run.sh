#!/bin/sh
# `make test`: unit and door tests everywhere; the end-to-end tests where the lab can run, and a plain word where it cannot.
set -u
cd "$(dirname "$0")/.." || exit

# why the lab cannot run here; empty: it can
lab_problem() {
    if [ "$(id -u)" -ne 0 ]; then
        tests/prepare.sh lab 2>&1 | tr '\n' ' '
        return
    fi
    said=$(tests/prepare.sh lab 2>&1) || { echo "$said"; return; }
    .venv/bin/python -c 'from tests.lab.machine import why_not; print(why_not() or "")' 2>&1
}

# Two cores with three labs are busy: a file in which something failed there is judged by itself, with no other lab beside it.
judged_alone() {
    files="$(.venv/bin/python -c '
import json, pathlib
failed = json.loads(pathlib.Path(".pytest_cache/v/cache/lastfailed").read_text())
print(*sorted({name.partition("::")[0] for name in failed if name.startswith("tests/e2e/test_")}))')" || return
    [ -n "$files" ] || return
    echo
    echo "AGAIN, one lab at a time: $files"
    # shellcheck disable=SC2086
    .venv/bin/python -m pytest $files
}

tests/prepare.sh doors # without root it says what is missing; what can run, runs
problem="$(lab_problem)"
if [ -z "$problem" ]; then
    # the hosts' Debian is made once, here, where its making can be read
    .venv/bin/python -u -c 'from tests.lab.debian_root import ensure_root; ensure_root("bookworm", print)' || exit
fi
# two at a time, below a short path: the name of a socket (ssh's held connections) may have 108 bytes
places="$(mktemp -d /tmp/XXXXXX)"
.venv/bin/python -m pytest tests/unit tests/doors -n 2 --basetemp="$places/t"
code=$?
rm -rf "$places"
if [ -z "$problem" ]; then
    # mostly waiting, so three labs at a time; a file's tests share its lab, so a file is never split
    .venv/bin/python -m pytest tests/e2e -n 3 --dist loadfile || judged_alone || code=1
    exit "$code"
fi
echo
echo "NOT RUN: the end-to-end tests (tests/e2e). $problem"
# root on Debian is where everything must run (continuous integration too); elsewhere the rest still counts
[ "$(id -u)" -ne 0 ] && [ -z "${CI-}" ] || [ "$code" -ne 0 ] || code=1
exit "$code"
