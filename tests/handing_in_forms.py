"""Every form in which people hand a notebook in, and what desk and class must both say of it.

A form takes the notebook as it was handed out, the exercise and a right answer, and gives back the
notebook as the learner has it. `TAKEN` are those in which the answer is found; `REFUSED` maps a
form to the words in which both refuse it.
"""

import copy
import re

from grading_fixtures import cell_of, extra_cell


def _put(notebook, exercise, text):
    cell_of(notebook, exercise.component)["source"] = text
    return notebook


def _below(notebook, name, *cells):
    at = notebook["cells"].index(cell_of(notebook, name))
    notebook["cells"][at + 1 : at + 1] = cells
    return notebook


def new_cell(text, name="new-cell", **metadata):
    return extra_cell(text, **metadata) | {"id": name}


def as_it_came(notebook, exercise, right):
    return _put(notebook, exercise, right)


def as_lines(notebook, exercise, right):
    _put(notebook, exercise, right)
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).splitlines(keepends=True)
    return notebook


def copied_and_the_copy_answered(notebook, exercise, right):
    copied = copy.deepcopy(cell_of(notebook, exercise.component))
    return _below(notebook, exercise.component, copied | {"source": right, "id": "copied"})


def copied_with_the_answer(notebook, exercise, right):
    _put(notebook, exercise, right)
    copied = copy.deepcopy(cell_of(notebook, exercise.component))
    return _below(notebook, exercise.component, copied | {"id": "copied"})


def copied_above(notebook, exercise, right):
    own = cell_of(notebook, exercise.component)
    copied = copy.deepcopy(own) | {"source": right, "id": "copied"}
    notebook["cells"].insert(notebook["cells"].index(own), copied)
    return notebook


def moved_to_the_end(notebook, exercise, right):
    _put(notebook, exercise, right)
    own = cell_of(notebook, exercise.component)
    notebook["cells"].remove(own)
    notebook["cells"].append(own)
    return notebook


def in_a_new_cell_below(notebook, exercise, right):
    return _below(notebook, exercise.component, new_cell(right))


def in_a_new_cell_at_the_end(notebook, exercise, right):
    notebook["cells"].append(new_cell(right))
    return notebook


def its_cell_deleted_and_written_anew(notebook, exercise, right):
    notebook["cells"].remove(cell_of(notebook, exercise.component))
    notebook["cells"].append(new_cell(right))
    return notebook


def wrong_first_and_right_in_the_last(notebook, exercise, right):
    _put(notebook, exercise, _wrong(exercise))
    return _below(notebook, exercise.component, new_cell(right))


def right_first_and_wrong_in_the_last(notebook, exercise, right):
    _put(notebook, exercise, right)
    return _below(notebook, exercise.component, new_cell(_wrong(exercise)))


def a_draft_below_that_is_not_python(notebook, exercise, right):
    _put(notebook, exercise, right)
    return _below(notebook, exercise.component, new_cell(_wrong(exercise).replace(":", "", 1)))


def metadata_lost(notebook, exercise, right):
    _put(notebook, exercise, right)
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    notebook["metadata"] = {}
    return notebook


def metadata_of_its_cell_lost(notebook, exercise, right):
    _put(notebook, exercise, right)
    cell_of(notebook, exercise.component)["metadata"] = {}
    return notebook


def ids_made_anew(notebook, exercise, right):
    _put(notebook, exercise, right)
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"0a1b2c3d-{number:04}"
    return notebook


def ids_gone(notebook, exercise, right):
    _put(notebook, exercise, right)
    for cell in notebook["cells"]:
        del cell["id"]
    notebook["nbformat_minor"] = 4
    return notebook


def format_4_0(notebook, exercise, right):
    return ids_gone(notebook, exercise, right) | {"nbformat_minor": 0}


def format_3(notebook, exercise, right):
    cells = []
    for cell in _put(notebook, exercise, right)["cells"]:
        if cell["cell_type"] == "code":
            cell = {k: cell[k] for k in ("cell_type", "metadata", "outputs")} | {
                "input": cell["source"],
                "language": "python",
                "prompt_number": 1,
            }
        cells.append(cell)
    about = {"nbformat": 3, "nbformat_minor": 0, "metadata": notebook["metadata"]}
    return about | {"worksheets": [{"cells": cells, "metadata": {}}]}


def saved_by_colab(notebook, exercise, right):
    _put(notebook, exercise, right)
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"] |= {"id": f"Xy{number}", "outputId": "1f0e", "cellView": "form"}
        cell["metadata"] |= {"colab": {"base_uri": "https://localhost:8080/"}}
        cell.pop("id", None)
    notebook["metadata"] |= {
        "colab": {"provenance": [], "collapsed_sections": []},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "accelerator": "GPU",
    }
    return notebook | {"nbformat_minor": 0}


def copied_in_google_drive(notebook, exercise, right):
    """Colab's "Save a copy in Drive" in a cell made there: no id, no metadata but its own."""
    saved_by_colab(notebook, exercise, right)
    own = cell_of(notebook, exercise.component)
    own["metadata"] = {"id": "Zq7"}
    return notebook


def saved_by_vs_code(notebook, exercise, right):
    _put(notebook, exercise, right)
    for cell in notebook["cells"]:
        cell["metadata"]["vscode"] = {"languageId": "python"}
    notebook["metadata"]["language_info"] = {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "name": "python",
        "version": "3.12.3",
    }
    return notebook


def timed(notebook, exercise, right):
    return _put(notebook, exercise, f"%%time\n{right}")


def captured(notebook, exercise, right):
    return _put(notebook, exercise, f"\n%%capture out\n%matplotlib inline\n{right}")


def among_lines_for_the_notebook(notebook, exercise, right):
    text = f"%matplotlib inline\n!true\nnp.exp?\n\n{right}\n%config InlineBackend.figure_format\n"
    return _put(notebook, exercise, text)


def a_check_below_it_in_the_cell(notebook, exercise, right):
    return _put(notebook, exercise, f"{right}\n\ncheck({exercise.component})")


def prints_and_demonstrations_in_the_cell(notebook, exercise, right):
    name = exercise.component
    more = f"print({name})\nif __name__ == '__main__':\n    print('tried', tokens, {name})\n"
    return _put(notebook, exercise, f"import time\nprint(time.time())\n{right}\n{more}")


def with_windows_line_ends(notebook, exercise, right):
    return _put(notebook, exercise, right.replace("\n", "\r\n"))


def with_tabs(notebook, exercise, right):
    text = re.sub(r"^( {4})+", lambda m: "\t" * (len(m[0]) // 4), right, flags=re.MULTILINE)
    return _put(notebook, exercise, text)


def indented_as_a_whole(notebook, exercise, right):
    text = "\n".join("  " + line if line else line for line in right.split("\n"))
    return _put(notebook, exercise, text)


def by_another_name(notebook, exercise, right):
    mine = re.sub(rf"\b(def|class) {exercise.component}\b", r"\1 mine", right)
    return _put(notebook, exercise, f"{mine}\n\n{exercise.component} = mine")


def another_name_in_a_cell_of_its_own(notebook, exercise, right):
    mine = re.sub(rf"\b(def|class) {exercise.component}\b", r"\1 mine", right)
    _put(notebook, exercise, f"{exercise.component} = mine")
    at = notebook["cells"].index(cell_of(notebook, exercise.component))
    notebook["cells"].insert(at, new_cell(mine))
    return notebook


def by_a_lambda(notebook, exercise, right):
    mine = re.sub(rf"\b(def|class) {exercise.component}\b", r"\1 mine", right)
    return _put(notebook, exercise, f"{mine}\n{exercise.component} = lambda *a, **k: mine(*a, **k)")


def decorated_by_another_cells_function(notebook, exercise, right):
    helper = "def plainly(thing):\n    return thing\n\nprint('a helper')"
    _put(notebook, exercise, f"@plainly\n{right}")
    at = notebook["cells"].index(cell_of(notebook, exercise.component))
    notebook["cells"].insert(at, new_cell(helper))
    return notebook


def with_a_helper_below(notebook, exercise, right):
    helper = "import functools as ft\n\n@ft.lru_cache\ndef plainly():\n    return lambda x: x\n"
    _put(notebook, exercise, f"@plainly()\n{right}")
    return _below(notebook, exercise.component, new_cell(helper))


def wrapped_in_a_later_cell(notebook, exercise, right):
    _put(notebook, exercise, right)
    name = exercise.component
    text = f"def plainly(thing):\n    return thing\n\n{name} = plainly({name})"
    return _below(notebook, name, new_cell(text))


def with_an_import_that_it_does_not_use(notebook, exercise, right):
    name = exercise.component
    text = f"from course_lib.transformer.attention import {name}\nfrom course_lib import plots\n"
    return _put(notebook, exercise, text + right)


def the_finished_one_imported_in_another_cell(notebook, exercise, right):
    _put(notebook, exercise, right)
    text = f"from course_lib.transformer.attention import {exercise.component}"
    return _below(notebook, exercise.component, new_cell(text))


def in_another_kernel_of_python(notebook, exercise, right):
    _put(notebook, exercise, right)
    notebook["metadata"]["kernelspec"] = {"name": "conda-env-ml-py", "display_name": "ml"}
    return notebook


TAKEN = [
    *(as_it_came, as_lines, copied_and_the_copy_answered, copied_with_the_answer, copied_above),
    *(moved_to_the_end, in_a_new_cell_below, in_a_new_cell_at_the_end),
    *(its_cell_deleted_and_written_anew, wrong_first_and_right_in_the_last),
    *(a_draft_below_that_is_not_python, metadata_lost, metadata_of_its_cell_lost, ids_made_anew),
    *(ids_gone, format_4_0, format_3, saved_by_colab, copied_in_google_drive, saved_by_vs_code),
    *(timed, captured, among_lines_for_the_notebook, a_check_below_it_in_the_cell),
    *(prints_and_demonstrations_in_the_cell, with_windows_line_ends, with_tabs),
    *(indented_as_a_whole, by_another_name, another_name_in_a_cell_of_its_own, by_a_lambda),
    *(decorated_by_another_cells_function, with_a_helper_below, wrapped_in_a_later_cell),
    *(with_an_import_that_it_does_not_use, the_finished_one_imported_in_another_cell),
    *(in_another_kernel_of_python,),
]


RUN_TWICE = [with_a_helper_below]  # from top to bottom it works the second time

# What a kernel that is not told which cell runs cannot know: it refuses, in these words.
UNSURE = {
    copied_above: "it was handed out",
    a_draft_below_that_is_not_python: "not Python",
}


def untouched(notebook, exercise, right):
    return notebook


def only_pass(notebook, exercise, right):
    return _put(notebook, exercise, "pass")


def under_a_name_of_its_own(notebook, exercise, right):
    return _put(notebook, exercise, right.replace(exercise.component, "mine"))


def turned_into_text(notebook, exercise, right):
    _put(notebook, exercise, right)
    own = cell_of(notebook, exercise.component)
    own["cell_type"] = "markdown"
    del own["outputs"], own["execution_count"]
    return notebook


def its_cell_deleted(notebook, exercise, right):
    notebook["cells"].remove(cell_of(notebook, exercise.component))
    return notebook


def not_python(notebook, exercise, right):
    return _put(notebook, exercise, right.replace(":", "", 1).replace("(", "((", 1))


def split_over_two_cells(notebook, exercise, right):
    lines = right.rstrip().split("\n")
    _put(notebook, exercise, "\n".join(lines[:-1]))
    return _below(notebook, exercise.component, new_cell(lines[-1]))


def with_a_shell_line_for_a_value(notebook, exercise, right):
    return _put(notebook, exercise, f"files = !ls\n{right}")


def of_a_file_magic(notebook, exercise, right):
    return _put(notebook, exercise, f"%%writefile mine.py\n{right}")


def made_of_the_finished_one(notebook, exercise, right):
    name = exercise.component
    text = f"from course_lib.transformer.attention import {name} as ours\n{name} = ours"
    return _put(notebook, exercise, text)


def with_a_name_that_no_cell_defines(notebook, exercise, right):
    return _put(notebook, exercise, f"{right}\n\n{exercise.component} = unheard_of")


NOT_DEFINED = "defines {name}"
REFUSED = {
    untouched: "not (answered|written) yet",
    only_pass: NOT_DEFINED,
    under_a_name_of_its_own: NOT_DEFINED,
    turned_into_text: "turned into text",
    its_cell_deleted: NOT_DEFINED,
    not_python: "is not Python",
    split_over_two_cells: "the answer to {name} is split over two cells",
    with_a_shell_line_for_a_value: "a magic or a shell line",
    of_a_file_magic: "%%writefile cell",
    made_of_the_finished_one: "course_lib.transformer.attention, which is not there in class",
    # In class words are not shown where a part of ours stands beside the answer.
    with_a_name_that_no_cell_defines: "'unheard_of'|its words are not shown",
    right_first_and_wrong_in_the_last: "defined in 2 cells; the last one counts",
}


def _wrong(exercise):
    """An answer that is Python and wrong."""
    if exercise.component[0].isupper():
        return f"class {exercise.component}(nn.Module):\n    def __init__(self, *sizes): pass"
    return f"def {exercise.component}(*inputs, **named):\n    return inputs[0]"
