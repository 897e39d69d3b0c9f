"""`make component C=NAME`: how one component, and all that keeps its check honest, are doing.

What is still to be written; whether our own code and right answers pass, under a few seeds; which
property catches which bug, and which name it gets; bugs that no call tells apart; second forms and
wrong answers. Ends with 1 while something is not as it must be.
"""

import importlib
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bugs_written_differently import all_second_forms
from right_variants import variants_of
from wrong_answers import all_wrong_answers

from course_lib.bugs import ChangeError, bugs_of
from course_lib.checks import ComponentCheck, UnknownComponent, Verdict, find, observe_here, run
from course_lib.checks.verdict.matrix import Row, matrix
from course_lib.lessons.skeletons.to_write import left_to_write

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (0, 1)
FEWEST = 2  # bugs, and right variants, of a component


class Line(NamedTuple):
    """A line of a report; one that asks for work has a mark."""

    text: str
    is_well: bool = True

    def __str__(self) -> str:
        return ("  " if self.is_well else "! ") + self.text


def wrong(text: str) -> Line:
    return Line(text, is_well=False)


def main(words: list[str]) -> int:
    if len(words) != 1 or not words[0]:
        print("say which component, such as: make component C=causal_mask")
        return 2
    try:
        check = find(words[0])
    except UnknownComponent as error:
        print(error.args[0])
        return 2
    todo = 0
    for title, report in REPORTS:
        lines, can_go_on = _lines(report, check)
        if lines:
            print(title)
            print("\n".join(map(str, lines)))
        todo += sum(not line.is_well for line in lines)
        if not can_go_on:
            print("The rest can be told when this is done.")
            break
    print(f"{check.name}: " + (f"{todo} lines with a ! ask for work." if todo else "all is well."))
    return 1 if todo else 0


def _lines(report, check: ComponentCheck) -> tuple[list[Line], bool]:
    lines = []
    try:
        lines += report(check)
    except (ChangeError, NotImplementedError) as missing:
        lines.append(wrong(str(missing)))
        return lines, False
    return lines, True


# --- what each part says -----------------------------------------------------------------------


def unwritten(check: ComponentCheck) -> Iterator[Line]:
    yield from map(wrong, left_to_write(ROOT, check.name))


def our_own(check: ComponentCheck) -> Iterator[Line]:
    for bug in bugs_of(check.name):
        bug.implementation  # noqa: B018 (it is made when it is asked for, if it fits our own)
    module = importlib.import_module(f"course_lib.transformer.{check.module}")
    ours = getattr(module, check.name)
    yield passes(check.name, [run(check, observe_here(ours), seed=seed) for seed in SEEDS])


def right_variants(check: ComponentCheck) -> Iterator[Line]:
    variants = variants_of(check.name)
    for variant in variants:
        yield passes(variant.name, verdicts_on(check, variant.implementation))
    yield from too_few(len(variants), "right variants")


def bugs(check: ComponentCheck) -> Iterator[Line]:
    """A column for each property, a row for each bug."""
    properties = sorted(check.properties, key=lambda one: one.group != "core")
    rules = list(dict.fromkeys((one.group, one.rule) for one in properties))
    for number, (group, rule) in enumerate(rules, start=1):
        yield Line(f"{number:>2} {group}: {rule}")
    found = rows_by_bug(check)
    width = max(map(len, found), default=0)
    numbers = range(1, len(rules) + 1)
    yield Line(" ".join([f"{'':{width}}", *(f"{number:>2}" for number in numbers)]))
    for name, rows in found.items():
        marks = [f"{mark(rule, rows):>2}" for _, rule in rules]
        text = " ".join([f"{name:{width}}", *marks, f" {named(rows)}"])
        yield Line(text, is_well=all(row.is_named for row in rows))
    yield from too_few(len(found), "bugs")


def pairs(check: ComponentCheck) -> Iterator[Line]:
    """Bugs that did the same in every call of the check."""
    names = {bug.title: bug.name for bug in bugs_of(check.name)}
    found = {}
    for name, rows in rows_by_bug(check).items():
        for seed, row in zip(SEEDS, rows, strict=True):
            for title in row.shares_name_with:
                found.setdefault(frozenset([name, names[title]]), set()).add(seed)
    for pair, seeds in found.items():
        told = ", ".join(f"seed={seed}" for seed in sorted(seeds))
        yield wrong(f"{' and '.join(sorted(pair))} ({told}): add a call that tells them apart")


def second_forms(check: ComponentCheck) -> Iterator[Line]:
    known = {bug.name: bug for bug in bugs_of(check.name)}
    for form in all_second_forms():
        if form.bug in known:
            verdicts = verdicts_on(check, form.implementation)
            yield of_a_second_form(form.implementation.__name__, known[form.bug], verdicts)


def of_a_second_form(name: str, bug, verdicts: list[Verdict]) -> Line:
    if any(verdict.passed for verdict in verdicts):
        return wrong(f"{name}: passes, and must fail as {bug.name} does")
    others = [verdict.diagnosis for verdict in verdicts if verdict.names]
    others = [diagnosis for diagnosis in others if diagnosis != bug.title]
    if others:
        return wrong(f"{name}: is taken for another bug than {bug.name}: {others[0]}")
    if all(verdict.names for verdict in verdicts):
        return Line(f"{name}: {bug.name}")
    return Line(f"{name}: fails without the name of {bug.name}, which is allowed")


def wrong_answers(check: ComponentCheck) -> Iterator[Line]:
    for answer in all_wrong_answers():
        if answer.component == check.name:
            verdicts = verdicts_on(check, answer.implementation)
            yield of_a_wrong_answer(answer.implementation.__name__, verdicts)


def of_a_wrong_answer(name: str, verdicts: list[Verdict]) -> Line:
    if any(verdict.passed for verdict in verdicts):
        return wrong(f"{name}: passes, and must fail")
    names = [verdict.diagnosis for verdict in verdicts if verdict.names]
    if names:
        return wrong(f"{name}: is taken for a bug: {names[0]}")
    return Line(f"{name}: {verdicts[0].diagnosis}")


REPORTS: list[tuple[str, Callable[[ComponentCheck], Iterator[Line]]]] = [
    ("Still to be written", unwritten),
    ("Our own", our_own),
    ("Right variants: each must pass", right_variants),
    ("Bugs: x a property that catches it, o under some seeds only", bugs),
    ("Bugs that no call tells apart", pairs),
    ("Second forms: each must fail, with the bug's name or none", second_forms),
    ("Wrong answers: each must fail, without a name", wrong_answers),
]


# --- how they judge ----------------------------------------------------------------------------


class Judged(NamedTuple):
    """All of one component's answers under one seed."""

    rows: list[Row]  # of its bugs
    verdicts: dict[str, Verdict]  # on the other answers, by module and name


def judge_all(component: str, seed: int) -> Judged:
    check = find(component)
    forms = [
        form for form in all_second_forms() if form.bug in {b.name for b in bugs_of(component)}
    ]
    others = [answer for answer in all_wrong_answers() if answer.component == component]
    answers = [one.implementation for one in (*variants_of(check.name), *forms, *others)]
    verdicts = {full_name(one): run(check, observe_here(one), seed=seed) for one in answers}
    return Judged(list(matrix(component, seed=seed)), verdicts)


@cache
def under_seeds(component: str) -> list[Judged]:
    """Everything under each seed, side by side: most of the time goes into it."""
    apart = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(len(SEEDS), mp_context=apart) as pool:
        return list(pool.map(judge_all, [component] * len(SEEDS), SEEDS))


def verdicts_on(check: ComponentCheck, implementation) -> list[Verdict]:
    return [judged.verdicts[full_name(implementation)] for judged in under_seeds(check.name)]


def full_name(implementation) -> str:
    return f"{implementation.__module__}.{implementation.__name__}"


def rows_by_bug(check: ComponentCheck) -> dict[str, list[Row]]:
    """What became of each bug, seed by seed."""
    found = {}
    for judged in under_seeds(check.name):
        for row in judged.rows:
            found.setdefault(row.bug, []).append(row)
    return found


def passes(name: str, verdicts: list[Verdict]) -> Line:
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed:
        return wrong(f"{name}: " + failed[0].message.replace("\n", "\n  "))
    return Line(f"{name}: {verdicts[0].n_properties} properties in {verdicts[0].n_calls} calls")


def mark(rule: str, rows: list[Row]) -> str:
    times = sum(rule in row.caught_by for row in rows)
    return "x" if times == len(rows) else "o" if times else "·"


def named(rows: list[Row]) -> str:
    if not all(row.caught_by for row in rows):
        return "MISSED"
    if not all(row.is_named for row in rows):
        return "no name"
    return "shares its name" if any(row.shares_name_with for row in rows) else "named"


def too_few(count: int, what: str) -> Iterator[Line]:
    if count < FEWEST:
        yield wrong(f"there must be at least {FEWEST} {what}, got {count}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
