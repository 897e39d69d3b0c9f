"""A browser's visit to a page of the book, with all that went wrong on the way."""

import contextlib
import functools
import http.server
import threading
from pathlib import Path

AXE = Path(__file__).resolve().parent.parent / "node_modules" / "axe-core" / "axe.min.js"
WCAG_22_AA = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
}
CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip

AXE = Path(__file__).resolve().parent.parent / "node_modules" / "axe-core" / "axe.min.js"
WCAG_22_AA = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve(folder):
    """The address of a folder's pages, on a server of this machine."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Visit:
    """One page, opened. `options` are Playwright's, for the browser's context."""

    def __init__(self, browser, site, name, *, width=1280, scheme="light", **options):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            reduced_motion="reduce",  # no colour is measured while it still fades in
            **options,
        )
        self.page = self.context.new_page()
        self.problems, self.foreign = [], []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)
        self.site = site
        self.page.goto(f"{site}/{name}.html", wait_until="load")

    def _on_console(self, message):
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _on_request(self, request):
        if not request.url.startswith((self.site, "data:", "blob:")):
            self.foreign.append(request.url)

    def _on_response(self, response):
        if response.status >= 400:
            self.problems.append(f"{response.status} {response.url}")


def violations(page, where: str = "html") -> list[str]:
    """What axe-core finds on a page, or a part of it, against WCAG 2.2 AA."""
    assert AXE.exists(), "axe-core is missing: make axe"
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return [
        f"{rule['id']} ({rule['help']}), {len(rule['nodes'])} times, such as {one['html'][:300]}"
        f": {one['failureSummary']}"
        for rule in page.evaluate(f"axe.run({where!r}, {WCAG_22_AA})")["violations"]
        for one in rule["nodes"][:1]
    ]


def cut_off(page) -> list[str]:
    """The widest line of each block of code or output that does not fit, folded ones too."""
    return page.evaluate("""() => {
        for (const fold of document.querySelectorAll('main details')) fold.open = true
        return [...document.querySelectorAll('main pre')]
            .filter(block => block.scrollWidth > block.clientWidth)
            .map(block => block.innerText.split('\\n').sort((a, b) => b.length - a.length)[0])
    }""")


def broken_words(page) -> list[str]:
    """Words in tables that begin on one line and end on another; hyphens and slashes part words."""
    return page.evaluate("""() => {
        const found = []
        for (const cell of document.querySelectorAll('main :is(td, th)')) {
            const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT)
            while (texts.nextNode()) {
                const text = texts.currentNode
                for (const word of text.data.matchAll(/[^\\s\\-–—/]+/g)) {
                    const range = document.createRange()
                    range.setStart(text, word.index)
                    range.setEnd(text, word.index + word[0].length)
                    const tops = [...range.getClientRects()].map(box => Math.round(box.top))
                    if (new Set(tops).size > 1) found.push(word[0])
                }
            }
        }
        return found
    }""")
