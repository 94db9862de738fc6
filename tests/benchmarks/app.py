"""The playground in headless Chromium: frames a second, time to 98 %, time to pause, bytes.

    python tests/benchmarks/app.py                  # all tables, in Markdown
    python tests/benchmarks/app.py --repeats 3      # quicker

Starts a server of its own. All times are taken in the page, by observers on the elements that a
visitor sees; the server's time is what its process used of a processor. Needs Playwright and
Chromium, as the browser tests do.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from playwright.sync_api import sync_playwright

from nnkit.config import ExperimentConfig, LayerConfig, recommended
from pages.parts import link
from tests.pages.browser import Playground, chromium, serving

WATCH = """
(elements) => {
  window.seen = elements.map(() => [])
  window.observers?.forEach(o => o.disconnect())
  window.observers = elements.map((element, i) => {
    const observer = new MutationObserver(() => window.seen[i].push(performance.now()))
    observer.observe(element, { attributes: true, attributeFilter: ["data-epoch"] })
    return observer
  })
}
"""
SOLVED = """
() => new Promise(resolve => {
  const button = document.querySelector('.st-key-train button')
  const root = document.querySelector('[data-testid=stApp]')
  let start
  const look = () => {
    const status = document.querySelector('[data-testid=run-status]')
    if (start && status && +status.dataset.testScore >= 0.98) {
      observer.disconnect()
      resolve([performance.now() - start, +status.dataset.epoch])
    }
  }
  const observer = new MutationObserver(look)
  observer.observe(root, { attributes: true, subtree: true, childList: true })
  start = performance.now()
  button.click()
})
"""
PAUSED = """
() => new Promise(resolve => {
  const root = document.querySelector('[data-testid=stApp]')
  const status = () => document.querySelector('[data-testid=run-status]')?.dataset
  let epoch = status().epoch, last = performance.now(), start = last
  const observer = new MutationObserver(() => {
    const now = status()
    if (!now) return
    if (now.epoch !== epoch) { epoch = now.epoch; last = performance.now() }
    if (now.state === 'paused') {
      observer.disconnect()
      resolve(Math.max(last, start) - start)
    }
  })
  observer.observe(root, { attributes: true, subtree: true, childList: true })
  document.querySelector('.st-key-train button').click()
})
"""


def query(config: ExperimentConfig) -> str:
    return f"?{link.PARAMETER}={link.encode(config)}"


def processor_seconds(port: str) -> float:
    """Processor time that the server on `port` has used so far."""
    ticks = os.sysconf("SC_CLK_TCK")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode().split("\0")
            if "streamlit" in command and port in command:
                fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
                return (int(fields[11]) + int(fields[12])) / ticks
        except OSError:
            continue
    return float("nan")


def frames(playground: Playground, config: ExperimentConfig, seconds: float) -> dict[str, float]:
    """Frames a second of the network view and of the charts, and what a frame costs."""
    page = playground.page
    received = [0]
    page.on(
        "websocket",
        lambda socket: socket.on(
            "framereceived",
            lambda data: received.__setitem__(0, received[0] + len(data)),
        ),
    )
    playground.open(query(config))
    elements = [page.locator(".network").first, *page.locator(".live-plot").all()]
    playground.press("train")
    playground.wait_for("+d.epoch >= 5")
    handles = [element.element_handle() for element in elements]
    page.evaluate(WATCH, handles)
    bytes_before, time_before = received[0], processor_seconds(playground.address.split(":")[-1])
    page.wait_for_timeout(seconds * 1000)
    seen = page.evaluate("() => window.seen.map(times => times.length)")
    used = processor_seconds(playground.address.split(":")[-1]) - time_before
    count = max(seen[0], 1)
    return {
        "network": seen[0] / seconds,
        "charts": min(seen[1:]) / seconds,
        "server": 1000 * used / count,
        "bytes": (received[0] - bytes_before) / count / 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each count of frames")
    options = parser.parse_args()
    with serving() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])

        def fresh() -> Playground:
            context = browser.new_context(viewport={"width": 1400, "height": 900})
            return Playground(context.new_page(), address)

        print("| from Train to 98 % test accuracy | median | slowest |\n|---|--:|--:|")
        for name in ("spirals", "xor"):
            times: list[Any] = []
            for seed in range(options.repeats):
                config = ExperimentConfig() if name == "spirals" else recommended(name)
                playground = fresh().open(query(config.replace(init_seed=seed)))
                times.append(playground.page.evaluate(SOLVED)[0] / 1000)
                playground.page.context.close()
            print(f"| {name} | {median(times):.2f} s | {max(times):.2f} s |")

        playground = fresh().open()
        pauses = []
        for _ in range(2 * options.repeats):
            before = int(playground.status("epoch"))
            playground.press("train")
            playground.wait_for(f"+d.epoch >= {before + 20}")
            pauses.append(playground.page.evaluate(PAUSED))
            playground.settle()
        pauses.sort()
        late = pauses[int(0.95 * (len(pauses) - 1))]
        print(
            f"\nFrom Pause to the epoch standing still: median {median(pauses):.0f} ms, "
            f"95th percentile {late:.0f} ms, of {len(pauses)}."
        )
        playground.page.context.close()

        print("\n| network, points | network view | charts | server time | traffic |")
        print("|---|--:|--:|--:|--:|")
        for layers, samples in (
            ((8, 8), 500),
            ((16, 16), 500),
            ((8, 8), 2000),
            ((8,) * 6, 500),
            ((32, 32), 500),
        ):
            config = ExperimentConfig(
                layers=tuple(LayerConfig(n, "tanh") for n in layers), samples=samples
            )
            playground = fresh()
            found = frames(playground, config, options.seconds)
            playground.page.context.close()
            shape = "-".join(map(str, (2, *layers, 1)))
            print(
                f"| {shape}, {samples} | {found['network']:.0f} frames/s | "
                f"{found['charts']:.0f} frames/s | {found['server']:.0f} ms/frame | "
                f"{found['bytes']:.0f} kB/frame |"
            )
        browser.close()


if __name__ == "__main__":
    main()
