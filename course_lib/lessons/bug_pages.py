"""Pages about the zoo's bugs, made from what `python -m course_lib.zoo` wrote.

One page a component, with a section for each of its bugs. A page for each bug would be a page for
each few lines: with 900 of them most of the time of a build would go into sidebars.
"""

import re
from pathlib import Path

from .addresses import REFERENCE
from .plain import plain as _plain
from .text import lesson_title as _title

FOLDER = "bugs"
INDEX = f"{FOLDER}/index"

_INDEX = """\
# Bugs

What {n_bugs} wrong implementations do, and how you would notice. They are the *zoo* of this course:
a check runs your code beside the bugs of its component, and names one only if both did the same
in every call. {n_public} of them have been reported in public, some many times.

Each bug has its misconception, its symptom, and the message that the check gives for it.
What it changes in the right code is folded, as the code around it is a solution.
"""

_PAGE = """\
# Bugs of `{component}`

{n_bugs} ways to get `{component}` wrong, {n_public} of them reported in public. You write it in
{{doc}}`{lesson_title} </{lesson}>`. {rules}All bugs: {{doc}}`index`.

"""

_BUG = """\
({label})=
## {title}

**Believed**: {misconception}

**What you see**: {symptom}

{public}**What the check says**

```text
{message}
```

````{{dropdown}} {folded}
```{language}
{source}
```
````

"""


def bug_pages(zoo: list[dict], book: Path) -> dict[str, str]:
    """The text of every page about bugs, by the page's name; the index is the first.

    Args:
        zoo: what `course_lib.zoo` wrote.
        book: the folder of the lessons, for their titles.
    """
    titles = {part["lesson"]: _title(book / f"{part['lesson']}.md") for part in zoo}
    has_rules = (book / f"{REFERENCE}.md").exists()
    pages = {INDEX: _index(zoo, titles)}
    for part in zoo:
        pages[page_name(part["component"])] = _page(part, titles[part["lesson"]], has_rules)
    return pages


def page_name(component: str) -> str:
    """The page that shows the bugs of a component."""
    return f"{FOLDER}/{component}"


def _index(zoo: list[dict], titles: dict[str, str]) -> str:
    bugs = [bug for part in zoo for bug in part["bugs"]]
    n_public = sum(bool(bug["threads"]) for bug in bugs)
    lines = [_INDEX.format(n_bugs=len(bugs), n_public=n_public)]
    lesson = None
    for part in zoo:
        if part["lesson"] != lesson:
            lesson = part["lesson"]
            lines += [f"## {titles[lesson]}", ""]
        lines += [f"### {{doc}}`{part['component']}`", ""]
        lines += [f"- [{_plain(_capital(b['title']))}](#{_label(b)})" for b in part["bugs"]]
        lines.append("")
    return "\n".join(lines)


def _page(part: dict, lesson_title: str, has_rules: bool) -> str:
    opening = _PAGE.format(
        component=part["component"],
        n_bugs=len(part["bugs"]),
        n_public=sum(bool(bug["threads"]) for bug in part["bugs"]) or "none",
        lesson=part["lesson"],
        lesson_title=lesson_title,
        rules=f"What it must do: {{py:obj}}`{part['component']}`. " if has_rules else "",
    )
    return opening + "".join(_section(bug) for bug in part["bugs"])


def _section(bug: dict) -> str:
    public = ", ".join(f"[{thread}]({_address(thread)})" for thread in bug["threads"])
    return _BUG.format(
        label=_label(bug),
        title=_plain(_capital(bug["title"])),
        misconception=_plain(bug["misconception"]),
        symptom=_plain(bug["symptom"]),
        public=f"**In public**: {public}\n\n" if public else "",
        message=bug["message"],
        folded="What it changes" if bug["is_change"] else "The faulty code, which shares little",
        language="diff" if bug["is_change"] else "python",
        source=_source(bug),
    )


def _source(bug: dict) -> str:
    """A change as a diff of the whole component, other bugs as they stand."""
    if not bug["is_change"]:
        return "\n".join(line for _, line in bug["lines"])
    return "\n".join(f"{' ' if mark == '=' else mark} {line}" for mark, line in bug["lines"])


def _label(bug: dict) -> str:
    return "bug-" + bug["name"].replace("_", "-").lower()


def _address(thread: str) -> str:
    repository, number = thread.split("#")
    return f"https://github.com/{repository}/issues/{number}"


def _capital(text: str) -> str:
    """A title as a heading, unless it begins with code; no word lacks a vowel, as x and qkv do."""
    first = re.match(r"[a-z]*[aeiou][a-z]*(?=[ ,:;']|$)", text)
    return text[0].upper() + text[1:] if first else text
