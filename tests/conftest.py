"""Options of the test run: whose package the component tests are about, and on which device."""

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
    """Debian's chromium; see `browsing.py`."""
    from browsing import chromium

    with chromium() as started:
        yield started


@pytest.fixture
def visit(site, browser):
    """Opens a page of the test module's `site`, by name; closed when the test is over."""
    from browsing import Visit

    visits = []

    def open_page(name, **options):
        visits.append(Visit(browser, site, name, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()
