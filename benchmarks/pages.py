"""From the start of the server to its first page in Chromium, and the server's memory.

python -m benchmarks.pages [--sessions 20] [--json]
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

PROJECT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    """An installed browser, or None for Playwright's own."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def wait_for_health(address: str) -> None:
    """Return as soon as the server answers."""
    while True:
        with suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
            return
        time.sleep(0.02)


def wait_for_page(page: Page, address: str) -> None:
    """Return as soon as the Datasets page stands."""
    page.goto(address)
    page.get_by_role("heading", name="Datasets", exact=True).wait_for()
    page.locator('[data-test-script-state="notRunning"]').wait_for()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        started_at = time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=PROJECT,
            env=os.environ | {"WORKBENCH_HOME": home},
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for_health(address)
            to_health = time.perf_counter() - started_at
            wait_for_page(browser.new_page(), address)
            to_page = time.perf_counter() - started_at
            for _ in range(options.sessions - 1):
                wait_for_page(browser.new_page(), address)
            resident_mb = psutil.Process(server.pid).memory_info().rss / 1e6
        finally:
            server.terminate()
            server.wait(20)
            browser.close()
    print(
        f"start to health {to_health:.2f} s, to first page {to_page:.2f} s; "
        f"resident {resident_mb:.0f} MB with {options.sessions} sessions"
    )
    if options.json:
        result = {
            "start_to_health_s": to_health,
            "start_to_first_page_s": to_page,
            "sessions": options.sessions,
            "resident_mb": resident_mb,
        }
        print(json.dumps(result))


if __name__ == "__main__":
    main()
