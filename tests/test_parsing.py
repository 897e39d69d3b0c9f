"""One thread parses at a time, and is asked again where somebody else disturbed it."""

import ast
import threading
import time

import pytest

from course_lib import parsing


def test_a_disturbed_parser_is_asked_again(monkeypatch):
    tries = []

    def disturbed(source, mode):
        tries.append(source)
        if len(tries) < parsing.TRIES:
            raise SystemError("AST constructor recursion depth mismatch (before=64, after=57)")
        return compile(source, "x", mode, ast.PyCF_ONLY_AST)

    monkeypatch.setattr(ast, "parse", disturbed)
    assert parsing.parse("a = 1").body[0].targets[0].id == "a"
    assert len(tries) == parsing.TRIES


def test_a_parser_that_is_always_disturbed_says_so(monkeypatch):
    def broken(source, mode):
        raise SystemError("AST constructor recursion depth mismatch")

    monkeypatch.setattr(ast, "parse", broken)
    with pytest.raises(SystemError, match="mismatch"):
        parsing.parse("a = 1")


def test_what_is_no_python_is_refused_at_once():
    with pytest.raises(SyntaxError):
        parsing.parse("a = = 1")


def test_two_threads_never_parse_at_once(monkeypatch):
    within, most = [], []

    def slow(source, mode):
        within.append(1)
        most.append(len(within))
        time.sleep(0.01)
        within.pop()

    monkeypatch.setattr(ast, "parse", slow)
    threads = [threading.Thread(target=parsing.parse, args=("a",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (8, 1)
