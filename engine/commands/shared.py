"""What all commands share: the open workbench, `--set`, and what goes to standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.errors import BadSetting
from engine.settings import Settings
from engine.workbench import Workbench, open_workbench

ACTOR = "command line"


@contextmanager
def opened(settings: Settings) -> Iterator[Workbench]:
    """A home, open for the block."""
    workbench = open_workbench(settings)
    try:
        yield workbench
    finally:
        workbench.close()


def assignments(texts: list[str]) -> dict[str, str]:
    """What `--set key=value` says, by key.

    Raises:
        BadSetting: there is no “=”.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise BadSetting("--set {seen} has no “=”; write it as --set epochs=5.", seen=text)
        found[name.strip()] = value.strip()
    return found


def progress_line() -> Callable[[str, float], None]:
    """A line that counts up on a terminal; nothing where nobody watches."""
    if not sys.stderr.isatty():
        return lambda phase, share: None
    shown = ""

    def show_progress(phase: str, share: float) -> None:
        nonlocal shown
        line = f"\r{phase} {share:4.0%}" + ("\n" if share >= 1 else "")
        if line != shown:
            shown = line
            say(line, end="")

    return show_progress


def say(text: str = "", end: str = "\n") -> None:
    """Progress and notes go to standard error: standard output is for results."""
    print(text, end=end, file=sys.stderr, flush=True)
