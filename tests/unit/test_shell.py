"""The one place that runs subprocesses keeps its word: bounded in time and size, and nothing left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

from nagios_failover.shell import OUTPUT_LIMIT, run


def test_output_and_exit_code_of_a_command() -> None:
    output = run(["sh", "-c", "cat; echo wrong >&2; exit 3"], timeout=5, stdin="in\n")
    assert (output.code, output.stdout, output.stderr, output.timed_out) == (3, "in\n", "wrong\n", False)


def test_a_missing_program_is_127_with_a_sentence() -> None:
    output = run(["/nonexistent/program"], timeout=5)
    assert (output.code, output.stderr) == (127, "/nonexistent/program: No such file or directory")


def test_a_plain_file_is_126(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    path.write_text("")
    assert run([str(path)], timeout=5).code == 126


def test_the_whole_group_is_killed_at_the_time_limit(tmp_path: Path) -> None:
    """The shell's child too, even one that ignores SIGTERM."""
    started = time.monotonic()
    output = run(["sh", "-c", f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; echo before; wait"], timeout=0.4)
    assert time.monotonic() - started < 2
    assert (output.code, output.timed_out, output.stdout) == (None, True, "before\n")
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 2
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _alive(child)


def test_a_child_that_keeps_the_pipes_open_is_not_waited_for(tmp_path: Path) -> None:
    """ssh leaves a connection in the background that holds standard error."""
    started = time.monotonic()
    output = run(["sh", "-c", f"setsid sleep 5 & echo $! > {tmp_path}/child; echo done"], timeout=4)
    assert time.monotonic() - started < 2
    assert (output.code, output.stdout) == (0, "done\n")
    os.kill(int((tmp_path / "child").read_text()), 9)


def test_output_is_bounded() -> None:
    output = run(["sh", "-c", "yes | dd bs=65536 count=64 iflag=fullblock 2>/dev/null; echo end >&2"], timeout=20)
    assert (output.code, len(output.stdout), output.stderr) == (0, OUTPUT_LIMIT, "end\n")


def test_a_command_that_does_not_read_its_input_ends_well() -> None:
    assert run(["true"], timeout=5, stdin="x" * 300_000).code == 0


def test_all_of_a_long_input_arrives() -> None:
    assert run(["wc", "-c"], timeout=10, stdin="x" * 500_000).stdout.strip() == "500000"


def test_a_signal_is_a_negative_code() -> None:
    assert run(["sh", "-c", "kill -9 $$"], timeout=5).code == -9


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
