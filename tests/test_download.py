"""What the course downloads is kept, checked each time, and said plainly where it cannot be had."""

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest

from course_lib.models import ModelError
from course_lib.models.text import read_text


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A server that has one text, in the place of the one with tiny Shakespeare; asked so often."""
    asked = []

    class Library(BaseHTTPRequestHandler):
        text = b"To be, or not to be"

        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.text else 404)
            self.end_headers()
            self.wfile.write(self.text)

        def log_message(self, *args):
            pass

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Library) as server:
        Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}/input.txt"
        monkeypatch.setattr("course_lib.models.text.SHAKESPEARE_URL", address)
        expected = hashlib.sha256(Library.text).hexdigest()
        monkeypatch.setattr("course_lib.models.text.SHAKESPEARE_SHA256", expected)
        yield SimpleNamespace(site=Library, asked=asked, stop=server.shutdown)
        server.shutdown()


def kept(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_the_text_is_downloaded_once_in_silence_and_again_if_it_is_damaged(
    library, tmp_path, capfd
):
    assert [read_text("shakespeare") for _ in range(2)] == ["To be, or not to be"] * 2
    assert len(library.asked) == 1
    (file,) = kept(tmp_path)
    assert file == tmp_path / "cache" / "build-a-transformer" / "tinyshakespeare.txt"
    file.write_text("To be, or")
    assert read_text("shakespeare") == "To be, or not to be"
    assert len(library.asked) == 2
    assert capfd.readouterr() == ("", "")


def test_a_file_put_there_by_hand_needs_no_network(library, tmp_path):
    read_text("shakespeare")
    library.stop()
    assert read_text("shakespeare") == "To be, or not to be"


def test_without_a_network_the_download_says_what_to_do(library, monkeypatch, tmp_path):
    monkeypatch.setattr("course_lib.models.text.SHAKESPEARE_URL", "http://127.0.0.1:9/input.txt")
    with pytest.raises(ModelError, match=r"\(ConnectionError\): connect to the network"):
        read_text("shakespeare")
    assert not kept(tmp_path)


def test_a_text_that_is_gone_is_said_with_the_servers_answer(library, tmp_path):
    library.site.text = b""
    with pytest.raises(ModelError, match=r"\(HTTP status 404\): connect .* or train on"):
        read_text("shakespeare")
    assert not kept(tmp_path)


def test_a_download_that_is_not_the_text_is_not_kept(library, tmp_path):
    library.site.text = b"To be"
    with pytest.raises(ModelError, match=r"must have the SHA-256 \w{12}…, got another file"):
        read_text("shakespeare")
    assert not kept(tmp_path)
