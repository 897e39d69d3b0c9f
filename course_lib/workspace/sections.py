"""A module's text as sections, one for each part that its learner has passed.

    # %% causal_mask
    def causal_mask(n_queries, n_keys=None, *, device=None):
        ...
    # end of causal_mask

Whatever stands outside the sections was written by hand and is left alone to the byte.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """Where a component's section lies: lines `start` to `stop` of the module, stop excluded."""

    start: int
    stop: int


def heading(component: str) -> str:
    """The line that opens a section: a cell's heading for editors that know the percent format."""
    return f"# %% {component}"


def ending(component: str) -> str:
    """The line that closes a section."""
    return f"# end of {component}"


def find_section(text: str, component: str) -> Section | None:
    """The section of `component`, or None.

    Where the closing line was deleted, the section ends before the next `# %%`, or at the end.
    """
    lines = _lines(text)
    bare = [line.rstrip() for line in lines]
    if heading(component) not in bare:
        return None
    start = bare.index(heading(component))
    if ending(component) in bare[start:]:
        return Section(start, bare.index(ending(component), start) + 1)
    later = (n for n in range(start + 1, len(bare)) if bare[n].startswith("# %%"))
    return Section(start, next(later, len(lines)))


def section_source(text: str, component: str) -> str | None:
    """The cell that stands in a component's section, or None."""
    section = find_section(text, component)
    if section is None:
        return None
    lines = _lines(text)[section.start : section.stop]
    return without_marks("".join(lines).replace("\r\n", "\n"), component)


def without_marks(source: str, component: str) -> str:
    """A cell without the section's own lines (it may have been copied out of the module).

    Blank lines around it, and blanks at the ends, go too: the text as it stands in a section.
    """
    lines = source.strip("\n").split("\n")
    if lines[0].rstrip() == heading(component):
        del lines[0]
    if lines and lines[-1].rstrip() == ending(component):
        del lines[-1]
    return "\n".join(lines).strip("\n").rstrip()


def with_section(text: str, component: str, source: str, order: list[str]) -> str:
    """The module's text with `source` as the section of `component`.

    A new section goes before the first one of a component that is later in `order`, so that what
    it defines is there for those that build on it; else to the end.
    """
    newline = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    body = "\n".join([heading(component), without_marks(source, component), ending(component)])
    new = [line + newline for line in body.split("\n")]
    lines = _lines(text)
    section = find_section(text, component)
    if section is None:
        section, new = _new_place(text, lines, component, order, new, newline)
    return "".join(lines[: section.start] + new + lines[section.stop :])


def without_section(text: str, component: str) -> str:
    """The module's text without the section of `component`, nor a blank line too many."""
    section, lines = find_section(text, component), _lines(text)
    if section is None:
        return text
    before, after = lines[: section.start], lines[section.stop :]
    while before and not before[-1].strip() and (not after or not after[0].strip()):
        before.pop()
    return "".join(before + after)


def _new_place(text, lines, component, order, new, newline):
    """Where a new section goes, and its lines with the blank ones that set it apart."""
    later = order[order.index(component) + 1 :] if component in order else []
    starts = [s.start for s in (find_section(text, name) for name in later) if s]
    if starts:
        return Section(min(starts), min(starts)), [*new, newline, newline]
    if lines and not lines[-1].endswith("\n"):
        new = [newline, *new]
    if lines and lines[-1].strip():
        new = [newline, newline, *new]
    return Section(len(lines), len(lines)), new


def _lines(text: str) -> list[str]:
    """Lines with their ends. (`str.splitlines` would also cut at form feeds and the like.)"""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]
