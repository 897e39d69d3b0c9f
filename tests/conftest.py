"""Options of the test run (whose package the component tests are about, and on which device), and
the browser, one for all tests that look at pages."""

import shutil
import sys
from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--package",
        default="course_lib.transformer",
        help="the package that tests/components checks: a name that can be imported, or the path "
        "of a folder such as ../my-transformer/my_transformer",
    )
    parser.addoption("--device", default="cpu", help="where components run, such as cuda")


# Modules whose tests share something that takes minutes to set up: they run in one process, module
# by module, and all that need the whole book together.
TOGETHER = {
    "test_book": "the whole book",
    "test_prose": "the whole book",
    **{name: name for name in ("test_capstone", "test_clinic", "test_export", "test_figures")},
    **{name: name for name in ("test_grading", "test_jupyterlab", "test_page", "test_quiz")},
    **{name: name for name in ("test_reference", "test_sample_class", "test_wheel")},
}


def pytest_xdist_make_scheduler(config, log):
    """Hand out test by test, but what is `TOGETHER` together, and that first."""
    from xdist.scheduler import LoadScopeScheduling

    class ByCost(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return TOGETHER.get(Path(nodeid.partition("::")[0]).stem, nodeid)

    return ByCost(config, log)


@pytest.fixture(scope="session")
def package(request) -> str:
    """The name of the package under test, importable."""
    name = request.config.getoption("--package")
    folder = Path(name)
    if (folder / "__init__.py").is_file():
        sys.path.insert(0, str(folder.resolve().parent))
        return folder.resolve().name
    return name


@pytest.fixture(scope="session")
def device(request) -> str:
    return request.config.getoption("--device")


@pytest.fixture(scope="session")
def browser():
    from browsing import CHROMIUM
    from playwright.sync_api import sync_playwright  # takes a while, and few tests want it

    program = shutil.which("chromium")
    assert program, "chromium is missing: sh .ci/need chromium chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def visit(site, browser):
    """Opens a page of `site`, which each test module builds for itself."""
    from browsing import Visit

    visits = []

    def open_page(name, **options):
        visits.append(Visit(browser, site, name, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()
