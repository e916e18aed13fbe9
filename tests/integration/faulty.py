"""Things that go wrong on purpose, in real processes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tests.integration.support import PROJECT, LiveHome

_FAULTS = Path(__file__).parent / "faults"

Point = Literal["before rename", "after rename", "sync", "database"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong while it is armed."""

    flag: str
    """The file whose being there arms it."""
    at: Point
    do: Literal["SIGKILL", "SIGSTOP", "full"]
    name: str = "*"
    """Pattern of the whole path of the file concerned."""
    once: bool = True
    role: Literal["process", "any"] = "process"
    """Only in the processes of jobs, or in the worker and the server too."""

    def arm(self) -> None:
        """Let it happen from now on."""
        Path(self.flag).touch()

    def disarm(self) -> None:
        """Let it happen no more."""
        Path(self.flag).unlink(missing_ok=True)

    @property
    def has_happened(self) -> bool:
        """Whether one that happens once has."""
        return not Path(self.flag).exists()


def add_fault(home: LiveHome, **what: object) -> Fault:
    """Arm a fault in all processes that are started on a home from now on."""
    faults = json.loads(home.environment.get("FAULTS", "[]"))
    fault = Fault(flag=str(beside(home, f"fault-{len(faults)}")), **what)  # type: ignore[arg-type]
    load_faults(home)
    home.environment["FAULTS"] = json.dumps([*faults, asdict(fault)])
    fault.arm()
    return fault


def load_faults(home: LiveHome) -> None:
    """Let Python load `faults/sitecustomize.py` in the processes of a home."""
    home.environment["PYTHONPATH"] = f"{_FAULTS}:{PROJECT}"


def beside(home: LiveHome, name: str) -> Path:
    """A path beside a home, for what belongs to the test."""
    return home.path.with_name(f"{home.path.name}-{name}")
