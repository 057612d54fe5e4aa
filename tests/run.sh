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

tests/prepare.sh doors # without root it says what is missing; what can run, runs
problem="$(lab_problem)"
if [ -z "$problem" ]; then
    # the hosts' Debian is made once, here, where its making can be read
    .venv/bin/python -u -c 'from tests.lab.debian_root import ensure_root; ensure_root("bookworm", print)' || exit
fi
short="$(mktemp -d)" # pytest's own directories for several processes are too long for a socket's path
.venv/bin/python -m pytest tests/unit tests/doors -n 2 --basetemp="$short/t"
code=$?
rm -rf "$short"
if [ -z "$problem" ]; then
    # mostly waiting, so three labs at a time; a file's tests share its lab, so a file is never split; the longest file comes first
    .venv/bin/python -m pytest tests/e2e -n 3 --dist loadfile --no-loadscope-reorder --durations 15 || code=1
    exit "$code"
fi
echo
echo "NOT RUN: the end-to-end tests (tests/e2e). $problem"
# root on Debian is where everything must run (continuous integration too); elsewhere the rest still counts
[ "$(id -u)" -ne 0 ] && [ -z "${CI-}" ] || [ "$code" -ne 0 ] || code=1
exit "$code"
