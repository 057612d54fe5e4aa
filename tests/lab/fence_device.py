"""A power switch that the lab's hosts are plugged into: what /lab/fence_lab asks for, it does, slowly, wrongly, or not at all."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from tests.lab.lab import Lab
from tests.lab.state import write_atomically

Behaviour = Literal["success", "slow", "error", "silent"]
SLOW_SECONDS: Final = 3.0
#: what the configuration of a pair says to use it, without the plug
OPTIONS: Final = "username=admin\n    password=se cret,1"


class FenceDevice:
    """`with FenceDevice(lab, "slow") as device:`; `asked` is what it was asked for, e.g. `off yasu`."""

    def __init__(self, lab: Lab, behaviour: Behaviour = "success") -> None:
        self.behaviour = behaviour
        self.asked: list[str] = []
        self._lab = lab
        self._place = lab.shared("checked")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        for left in self._place.glob("fence.[0-9]*"):  # of an agent that was killed while it waited
            left.unlink(missing_ok=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(10)

    @property
    def switched(self) -> list[str]:
        """What it was asked to do. Left out: whether a host is on, which the watch of the readiness asks from time to time."""
        return [said for said in self.asked if not said.startswith("status ")]

    def _serve(self) -> None:
        while not self._ended.wait(0.05):
            for request in self._place.glob("fence.[0-9]*"):
                if request.suffix not in (".new", ".answer"):
                    self._answer(request)

    def _answer(self, request: Path) -> None:
        said = request.read_text().strip()
        request.unlink()
        self.asked.append(said)
        action, plug = said.split()
        host = self._lab.host(plug)
        if self.behaviour == "silent":
            return
        if self.behaviour == "slow":
            time.sleep(SLOW_SECONDS)
        answer = request.with_name(f"{request.name}.answer")
        if self.behaviour == "error":
            write_atomically(answer, "1 Failed: Unable to obtain correct plug status or plug is not available\n")
            return
        if action == "off" and host.is_on():
            host.off()
        status = "ON" if host.is_on() else "OFF"
        write_atomically(answer, f"{2 if action == 'status' and status == 'OFF' else 0} Status: {status}\n")
