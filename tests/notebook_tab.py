"""A Jupyter server as a learner starts it, and a notebook in a tab of the browser."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil

PATIENCE = 60  # seconds for a program to come up, or a cell to run, on a busy machine
SETTINGS = {  # of JupyterLab: no question covers the page, nobody is asked for news
    "notification": {"fetchNews": "false", "checkForUpdates": False},
    "themes": {"adaptive-theme": True},  # light or dark, as the browser's context says
}


@contextlib.contextmanager
def jupyter(command: list[str], *, desk: Path, home: Path):
    """Run `python -m COMMAND` in the folder `desk`; the address that it has the browser open.

    Args:
        home: an empty folder, for the settings and notes of this run alone.
    """
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    for name, values in SETTINGS.items():
        (settings / f"{name}.jupyterlab-settings").write_text(json.dumps(values), "utf-8")
    server = {"port": 0, "allow_root": True}
    (home / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": server}), "utf-8")
    opened = home / "opened"
    browser = home / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}.new" && mv "{opened}.new" "{opened}"\n')
    browser.chmod(0o755)
    ours = {
        "JUPYTER_CONFIG_DIR": home, "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime", "IPYTHONDIR": home / "ipython",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces", "BROWSER": browser,
    }  # fmt: skip
    with (home / "log").open("w") as log:
        process = psutil.Popen(
            [sys.executable, "-m", *command],
            cwd=desk,
            env=os.environ | {name: str(path) for name, path in ours.items()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield _address(process, opened, home / "log")
    finally:
        _end(process)


def _address(process, opened: Path, log: Path) -> str:
    """What the page leads to that the server gave the browser to open."""
    deadline = time.monotonic() + PATIENCE
    while not opened.exists():
        assert process.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.1)
    page = Path(opened.read_text("utf-8").strip().removeprefix("file://"))
    return re.search(r'url=([^"]+)"', page.read_text("utf-8"))[1]


def _end(process) -> None:
    """Ask the command, its server and the kernels to stop, and see to it that they do."""
    started = [*process.children(recursive=True), process]
    for one in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    for one in psutil.wait_procs(started, timeout=15)[1]:
        one.kill()
    psutil.wait_procs(started, timeout=15)


class Tab:
    """A notebook in a tab of its own, in JupyterLab or Notebook 7.

    Attributes:
        foreign: the addresses elsewhere that something here has asked for.
    """

    def __init__(self, browser, address: str, notebook: Path, *, scheme="light", width=1280):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 500)
        self.foreign = []
        self.site = address.partition("://")[2].partition("/")[0]
        self.page.on("request", self._on_request)
        self.page.goto(address)
        self.shows(notebook)

    def _on_request(self, request):
        if request.url.partition("://")[2].partition("/")[0] != self.site:
            self.foreign += [] if request.url.startswith(("data:", "blob:")) else [request.url]

    def shows(self, notebook: Path) -> None:
        """Wait until all cells of `notebook` are there, in the part of the page that is seen."""
        self.ids = [cell["id"] for cell in json.loads(notebook.read_text("utf-8"))["cells"]]
        self.cells = self.page.locator(".jp-NotebookPanel:visible .jp-Notebook .jp-Cell")
        self.page.wait_for_function(
            "n => [...document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden)')]"
            ".some(panel => panel.querySelectorAll('.jp-Notebook .jp-Cell').length === n)",
            arg=len(self.ids),
        )

    def cell(self, name: str):
        """The cell with this id, scrolled to."""
        cell = self.cells.nth(self.ids.index(name))
        cell.scroll_into_view_if_needed()
        return cell

    def run(self, name: str, source: str | None = None):
        """Run a cell, with `source` in place of what stood there if given; its outputs."""
        cell = self.cell(name)
        cell.locator(".cm-content").click()
        if source is not None:
            self.page.keyboard.press("Control+a")
            self.page.keyboard.insert_text(source)
        before = self._number(cell)
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function(
            "([cell, before]) =>"
            " /\\d+/.exec(cell.querySelector('.jp-InputPrompt').innerText)?.[0] > before",
            arg=[cell.element_handle(), before],
        )
        return cell.locator(".jp-Cell-outputWrapper")

    @staticmethod
    def _number(cell) -> int:
        """The number in `[number]`, beside a cell; 0 where it has not run."""
        found = re.search(r"\d+", cell.locator(".jp-InputPrompt").inner_text())
        return int(found[0]) if found else 0

    def close(self) -> None:
        self.context.close()
