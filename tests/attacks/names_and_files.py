"""Kind 5: what lies in a student's folder is no file of their own, or its name is a trap.

The scripts run in the folder where the notebook should lie. `$NOTEBOOK` is its name, `$RIGHT` a
right notebook outside the class, and `$ADA` the folder of an honest neighbour.
"""

import os

from . import EARNS_ALL, FILES, NAME, Attack

LINKS = [
    Attack(name, 5, FILES, script)
    for name, script in {
        "a linked notebook": 'ln -s "$ADA/$LESSON/$NOTEBOOK" "$NOTEBOOK"',
        "a notebook linked by a relative way": 'ln -s "../../ada/$LESSON/$NOTEBOOK" "$NOTEBOOK"',
        "a notebook with a second name": 'cp "$BLANK" "$NOTEBOOK"; ln "$NOTEBOOK" second.ipynb',
        "a linked lesson": 'cd ..; rmdir "$LESSON"; ln -s "$ADA/$LESSON" "$LESSON"',
        "a linked student": 'cd ../..; rm -r "$ME"; ln -s "$ADA" "$ME"',
        "a student linked by a relative way": 'cd ../..; rm -r "$ME"; ln -s ada "$ME"',
        "a student linked to the class": 'cd ../..; rm -r "$ME"; ln -s . "$ME"',
        "a link to itself": 'ln -s "$NOTEBOOK" "$NOTEBOOK"',
        "links in a circle": 'ln -s b a; ln -s a b; ln -s a "$NOTEBOOK"',
        "a link to nowhere": 'ln -s nowhere "$NOTEBOOK"',
        "a link to a device": 'ln -s /dev/zero "$NOTEBOOK"',
        "a link to the passwords": 'ln -s /etc/passwd "$NOTEBOOK"',
        "a link through /proc": 'ln -s /proc/self/cwd "$NOTEBOOK"',
        "a linked package": 'cp "$BLANK" "$NOTEBOOK"; ln -s / my_transformer',
        "a package of links": 'cp "$BLANK" "$NOTEBOOK"; mkdir my_transformer; '
        "ln -s /etc/passwd my_transformer/model.py",
    }.items()
]

# Only where each student's files are their own: one owner's hard links are the teacher's making,
# and all of them are refused.
OWNED = [
    Attack("a hard-linked notebook", 5, FILES, 'ln "$ADA/$LESSON/$NOTEBOOK" "$NOTEBOOK"'),
]

NO_FILES = [
    Attack(name, 5, FILES, script)
    for name, script in {
        "a folder": 'mkdir "$NOTEBOOK"',
        "a full folder": 'mkdir "$NOTEBOOK"; cp "$RIGHT" "$NOTEBOOK"',
        "a pipe": 'mkfifo "$NOTEBOOK"',
        "a socket": 'python3 -c "import socket, sys; '
        'socket.socket(socket.AF_UNIX).bind(sys.argv[1])" s && mv s "$NOTEBOOK"',
        "a device": 'mknod "$NOTEBOOK" c 1 5 2>/dev/null || ln -s /dev/zero "$NOTEBOOK"',
        "a file of a gigabyte": 'truncate -s 1G "$NOTEBOOK"',
        "a file that ends nowhere": 'truncate -s 8E "$NOTEBOOK" 2>/dev/null || truncate -s 8T '
        '"$NOTEBOOK" 2>/dev/null || truncate -s 1T "$NOTEBOOK" || true',
        "a file that nobody may read": 'cp "$BLANK" "$NOTEBOOK"; chmod 000 "$NOTEBOOK"',
        "a lesson that nobody may enter": 'cp "$BLANK" "$NOTEBOOK"; chmod 000 .',
        "a lesson that can only be entered": 'cp "$BLANK" "$NOTEBOOK"; chmod 111 .',
        "a lesson that can only be listed": 'cp "$BLANK" "$NOTEBOOK"; chmod 444 .',
        "a student whom nobody may enter": 'cp "$BLANK" "$NOTEBOOK"; chmod 000 ..',
        "a lesson that is a file": 'cd ..; rmdir "$LESSON"; cp "$RIGHT" "$LESSON"',
        "another name": 'cp "$RIGHT" mine.ipynb',
        "another name that is a trap": 'cp "$RIGHT" "$(printf \'=x\\n\\033[2J\').ipynb"',
        "two cases of one name": 'cp "$RIGHT" "$(echo "$NOTEBOOK" | tr a-z A-Z)"',
        "ten thousand files": 'cp "$BLANK" "$NOTEBOOK"; mkdir my_transformer; cd my_transformer; '
        "seq 1 11000 | xargs touch",
    }.items()
]

# What lies beside a notebook whose answers are blank: nbgrader used to copy it, through links.
BESIDE = [
    Attack(name, 5, FILES, f'cp "$BLANK" "$NOTEBOOK"; {script}')
    for name, script in {
        "the passwords beside it": "ln -s /etc/passwd passwords.txt",
        "a device beside it": "ln -s /dev/zero zero.bin",
        "a pipe beside it": "mkfifo pipe",
        "a link to everything beside it": "ln -s / everything",
        "a gigabyte beside it": "truncate -s 1T gigabytes.bin || true",
        "the neighbour's notebook beside it": 'ln -s "$ADA/$LESSON/$NOTEBOOK" neighbour.txt',
        "a pipe for a time": "mkfifo timestamp.txt",
        "a device for a time": "ln -s /dev/zero timestamp.txt",
        "no time at all": "printf '\\377\\376 yesterday' > timestamp.txt",
        "a time that no clock shows": "echo 99999999999-99-99 > timestamp.txt",
        "a time of another age": "echo '0001-01-01 00:00:00 +2359' > timestamp.txt",
        "a hundred folders deep": "for n in $(seq 100); do mkdir d; cd d; done",
        "a page beside it": "echo '<script>alert(1)</script>' > index.html",
        "a module that Python would load": "echo 'raise SystemExit(0)' > nbgrader_config.py",
        "a module that numpy would be": "echo 'raise SystemExit(0)' > numpy.py; "
        "echo 'raise SystemExit(0)' > sitecustomize.py",
    }.items()
]  # fmt: skip

# A right notebook in a folder of this name: its points count, and no row, page or class breaks.
NAMES = [
    Attack(f"a name: {about}", 5, NAME, name, EARNS_ALL)
    for about, name in {
        "a formula": "=cmd|'calc'!A0",
        "a formula of full width": "\uff1dcmd",
        "a formula behind a tab": "\t=1+1",
        "a pattern": "[a]*?",
        "many scripts": "学生 ünï",
        "a field": "{student_id}",
        "a lesson's field": "{assignment_id!r:>99}",
        "a new line": "a\nb",
        "a carriage return": "a\rb",
        "what looks like an escape": "a\\nb",
        "a tab": "a\tb",
        "colours": "\x1b[31mred\x1b[0m",
        "a bell": "\x07",
        "text backwards": "\u202eada",
        "nothing to see": "\u200b",
        "a space in front": " ada",
        "a space behind": "ada ",
        "a space alone": " ",
        "another case": "ADA",
        "an accent apart": "a\u0301da",
        "an accent at once": "\u00e1da",
        "no text": os.fsdecode(b"\xff\xfe"),
        "half a character": os.fsdecode("\ud800".encode("utf-8", "surrogatepass")),
        "no text, long": os.fsdecode(b"\xff" * 255),
        "as long as can be": "x" * 255,
        "as long as can be, in bytes": "学" * 85,
        "an option": "-rf",
        "a format": "%s%n",
        "a variable": "$HOME",
        "a command": "`touch ran`; $(touch ran)",
        "quotes": "'\"",
        "a comma": "a,b;c",
        "markup": "[bold red]x[/]",
        "a page": "<script>alert(1)<&#47;script>",
        "SQL": "'; DROP TABLE student; --",
        "dots": "a..",
        "what nothing is called": "None",
        "a number": "12345",
        "a regular expression": "(?P<x>.*)+$",
    }.items()
]
