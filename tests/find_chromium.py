"""Print the path of a Chromium for the browser tests, installing one when none is there.

In this order: an installed one, Playwright's own, its download, the distribution's package.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def installed() -> str | None:
    """A browser on the machine, or the one Playwright keeps."""
    if os.environ.get("CHROMIUM"):
        return os.environ["CHROMIUM"]
    for name in NAMES:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


def attempts() -> list[list[str]]:
    """Commands that may bring a browser, one list per way."""
    become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    return [
        [sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"],
        [*become_root, "apt-get", "update", "-qq"],
        [*become_root, "apt-get", "install", "-y", "-qq", "chromium"],
    ]


def main() -> int:
    """Print the path; exit status 1 when there is no way to a browser."""
    for command in [None, *attempts()]:
        if command is not None:
            print("No Chromium yet; trying:", *command, file=sys.stderr)
            try:
                # To standard error: standard output is for the path alone.
                subprocess.run(command, stdout=sys.stderr, check=False, timeout=600)
            except (OSError, subprocess.TimeoutExpired) as error:
                print(error, file=sys.stderr)
        if path := installed():
            print(path)
            return 0
    print("No Chromium could be found or installed; install one and try again.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
