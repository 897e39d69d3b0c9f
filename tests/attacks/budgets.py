"""Kind 4: an answer that takes what is not its own, and what it leaves behind.

`test_sandbox` says how each of these must end inside; here they are students of a class.
"""

from textwrap import dedent, indent

from test_sandbox import FORBIDDEN, HOSTILE

from . import Attack

GIVEN = "import os, signal, sys, time\nimport torch\n"


def _when_called(name: str, lines: str) -> Attack:
    body = indent(dedent(lines).strip("\n"), "    ")
    return Attack(
        name, 4, "softmax", f"{GIVEN}def softmax(x, axis=-1):\n{body}\n    return 2 * x\n"
    )


CALLED = [_when_called(name, "\n".join(lines)) for name, (lines, *_) in HOSTILE.items()]
ABSENT = [_when_called(f"reaches for: {name}", line) for name, (line, _) in FORBIDDEN.items()]
ENDLESS = [
    Attack(name, 4, "softmax", GIVEN + dedent(source))
    for name, source in {
        "loops before it is called": "softmax = abs\nwhile True: pass",
        "sleeps before it is called": "softmax = abs\ntime.sleep(1000)",
        "a large integer": "softmax = lambda x, axis=-1: 10 ** 10 ** 10",
        "a large constant": "softmax = 2 ** 10 ** 9",
        "endless recursion": """
            sys.setrecursionlimit(10**9)
            def softmax(x, axis=-1):
                return eval("softmax(x)", globals(), {"x": x})
        """,
        "threads of torch": "torch.set_num_threads(64)\nsoftmax = lambda x, axis=-1: x",
        "a fork that answers too": """
            def softmax(x, axis=-1):
                os.fork()
                return x
        """,
        "a fork that stays": """
            def softmax(x, axis=-1):
                if os.fork() == 0:
                    os.setsid()
                    time.sleep(1000)
                return x
        """,
        "sixty children in sessions of their own": """
            def softmax(x, axis=-1):
                for _ in range(60):
                    if os.fork() == 0:
                        os.setsid()
                        while True: pass
                time.sleep(3)
                return x
        """,
        "memory that nobody frees": """
            import mmap
            def softmax(x, axis=-1):
                with open("/dev/zero", "r+b") as zero:
                    kept = [mmap.mmap(zero.fileno(), 2**26) for _ in range(80)]
                for one in kept: one[:] = b"x" * len(one)
                return x
        """,
        "files up to the limit": """
            def softmax(x, axis=-1):
                for n in range(99): open(str(n), "wb").write(bytes(10**6))
                return x
        """,
    }.items()
]
