"""The playground in a real browser: a server of its own, and a page object for what people do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS = 1000.0  # in Playwright's milliseconds
PATIENCE = 60 * SECONDS


def chromium() -> str | None:
    """The path of a Chromium, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def serving() -> Iterator[str]:
    """A running playground; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "streamlit", "run", "playground.py",
        "--server.port", str(port), "--server.headless", "true",
        "--server.address", "127.0.0.1", "--server.fileWatcherType", "none",
    ]  # fmt: skip
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(server, address)
        yield address
    finally:
        server.terminate()
        server.wait()


def _wait_until_healthy(server: subprocess.Popen[bytes], address: str) -> None:
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
    raise RuntimeError(f"the playground stopped with exit status {server.returncode}")


class Playground:
    """The Train page as its visitor uses it; `page` is Playwright's."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(PATIENCE)

    def open(self, query: str = "") -> Playground:
        self.page.goto(f"{self.address}/{query}")
        self.page.wait_for_selector('[data-testid="run-status"][data-epoch]')
        self.page.wait_for_selector(".st-key-train button")
        self.settle()
        return self

    def settle(self) -> None:
        """Wait until the script rests (only while training is paused)."""
        self.page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')

    def press(self, key: str) -> None:
        self.page.locator(f".st-key-{key} button").first.click()

    def choose(self, key: str, text: str) -> None:
        """Pick the option of a select box whose label contains `text`."""
        before = self.page.url
        self.page.locator(f".st-key-{key}").get_by_role("combobox").click()
        self.page.get_by_role("option").filter(has_text=text).first.click()
        self._settle_after(before)

    def type(self, key: str, value: str) -> None:
        """Type into a number field and leave it."""
        before = self.page.url
        field = self.page.locator(f".st-key-{key} input").first
        field.fill(value)
        field.press("Enter")
        self._settle_after(before)

    def _settle_after(self, url: str) -> None:
        """Wait until a change has reached the address bar, and the script rests."""
        self.page.wait_for_url(lambda now: now != url)
        self.settle()

    def status(self, name: str) -> str:
        """An attribute of the status element: state, epoch, train-loss, test-loss, test-score."""
        value: str = self.page.get_by_test_id("run-status").get_attribute(f"data-{name}")
        return value

    def wait_for(self, condition: str) -> None:
        """Wait for a condition in JavaScript on `d`, the status element's data."""
        self.page.wait_for_function(
            "() => { const d = document.querySelector('[data-testid=run-status]')?.dataset;"
            f" return d && ({condition}) }}",
            timeout=PATIENCE,
        )

    def train_to(self, score: float) -> None:
        self.press("train")
        self.wait_for(f"+d.testScore >= {score}")

    def pause(self) -> int:
        """Press Pause and give the epoch at which it stands."""
        self.press("train")
        self.wait_for("d.state != 'training'")
        self.settle()
        return int(self.status("epoch"))
