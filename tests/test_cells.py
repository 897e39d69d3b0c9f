"""What counts as the answer, in a real kernel: the cell as typed, run by itself."""

import json
import re
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient
from nbgrader.validator import Validator

from course_lib.lessons.exercises import find_exercise, notebook_path
from course_lib.lessons.source import component_source, to_learner
from course_lib.workspace.borrow import PACKAGE
from course_lib.workspace.cells import NotACell, answer_cell
from course_lib.workspace.folder import MARKER
from course_lib.workspace.reading import definitions, imported_modules
from course_lib.workspace.start import start

LESSON = "03_causal_masking"
OPEN = f"""
from course_lib.workspace.notebook import open_lesson
check = open_lesson({LESSON!r})
"""
RIGHT = to_learner(component_source("masking", "causal_mask"))
STUB = "def causal_mask(n_queries, n_keys=None, *, device=None):\n    raise NotImplementedError()"
RIGHT_CLASS = """\
class CausalSelfAttention(SelfAttention):
    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
        return scores.masked_fill(future, -math.inf).softmax(dim=-1) @ v
"""


class Kernel:
    """A kernel that runs one cell after the other, as a notebook would."""

    def __init__(self, client):
        self.client = client

    def run(self, source):
        """What the cell printed, what it wrote to stderr, and the error it ended in."""
        cell = nbformat.v4.new_code_cell(source)
        self.client.nb.cells.append(cell)
        self.client.execute_cell(cell, len(self.client.nb.cells) - 1)
        seen = SimpleNamespace(out="", err="", error="", card=None)
        for output in cell.outputs:
            if output.output_type == "stream":
                field = "out" if output.name == "stdout" else "err"
                setattr(seen, field, getattr(seen, field) + output.text)
            elif output.output_type == "error":
                seen.error = "\n".join(output.traceback)
            elif "text/html" in output.data:
                seen.card = output.data
        if seen.card and seen.error:  # which is then one line: the card has said the rest
            assert seen.error == seen.card["text/plain"].splitlines()[0]
            seen.error = seen.card["text/plain"]
        elif seen.card:
            seen.out += seen.card["text/plain"] + "\n"
        return seen

    def open(self, folder, told=""):
        """What a learner does first, in a notebook that lies in `folder`.

        Args:
            told: a line by which a program tells the kernel of the notebook's file.
        """
        self.run("%reset -f in out")
        enter = f"import os\nos.chdir({str(folder)!r})\n{told}\n"
        seen = self.run("\n".join([enter, OPEN, *find_exercise("causal_mask").setup]))
        assert [seen.err, seen.error] == ["", ""]
        return self


@pytest.fixture(scope="module")
def shared_kernel():
    client = NotebookClient(nbformat.v4.new_notebook(), kernel_name="python3", allow_errors=True)
    with client.setup_kernel():
        yield Kernel(client)


@pytest.fixture
def workspace(tmp_path):
    return start(tmp_path / "my course")


@pytest.fixture
def kernel(shared_kernel, workspace):
    return shared_kernel.open(workspace)


def masking(workspace):
    return (workspace / PACKAGE / "masking.py").read_text("utf-8")


# --- the verdict -------------------------------------------------------------------------------


def test_a_right_cell_passes_and_is_written_into_the_package(kernel, workspace):
    kernel.run(RIGHT)
    seen = kernel.run("check(causal_mask)")
    assert seen.out.startswith("causal_mask is right")
    assert seen.out.endswith("It now stands in my_transformer/masking.py.\n")
    assert [seen.err, seen.error] == ["", ""]
    assert RIGHT in masking(workspace)


def test_a_stub_fails_with_the_message_as_its_whole_traceback(kernel, workspace):
    kernel.run(STUB)
    seen = kernel.run("check(causal_mask)")
    assert seen.error.startswith("causal_mask(")
    assert "Traceback" not in seen.error
    assert [seen.out, seen.err] == ["", ""]
    assert "# %%" not in masking(workspace)


def test_the_newest_definition_of_a_class_counts(kernel, workspace):
    kernel.run(RIGHT_CLASS.replace("triu(1)", "tril(-1)"))
    assert kernel.run("check(CausalSelfAttention)").error
    kernel.run(RIGHT_CLASS + "# at last")
    assert kernel.run("check(CausalSelfAttention)").out.startswith("CausalSelfAttention is right")
    assert RIGHT_CLASS + "# at last" in masking(workspace)
    kernel.run(RIGHT_CLASS.replace("math.sqrt", ""))
    assert kernel.run("check(CausalSelfAttention)").error
    assert RIGHT_CLASS + "# at last" in masking(workspace)


def test_a_class_without_methods_is_found_too(kernel):
    kernel.run("class CausalSelfAttention(SelfAttention):\n    pass")
    assert "wrong value" in kernel.run("check(CausalSelfAttention)").error


def test_a_decorated_function_is_found_in_its_cell(kernel):
    kernel.run("@torch.no_grad()\n" + RIGHT)
    assert "causal_mask is right" in kernel.run("check(causal_mask)").out


def test_another_name_for_a_function_of_the_cell_is_an_answer(kernel):
    kernel.run(RIGHT.replace("causal_mask", "mine") + "\n\ncausal_mask = mine")
    assert "causal_mask is right" in kernel.run("check(causal_mask)").out


def test_the_name_imported_again_does_not_hide_the_cell(kernel):
    kernel.run(STUB)
    kernel.run("from my_transformer.masking import causal_mask")
    assert kernel.run("check(causal_mask)").error.startswith("causal_mask(")


def test_a_part_promoted_in_this_kernel_is_used_by_the_package(kernel):
    kernel.run("import my_transformer.masking as masking")
    kernel.run(RIGHT)
    kernel.run("check(causal_mask)")
    seen = kernel.run("print(masking.causal_mask.__code__.co_filename)")
    assert seen.out.endswith("my_transformer/masking.py\n".replace("/", __import__("os").sep))
    assert "my course" in seen.out


# --- what is refused ---------------------------------------------------------------------------


def test_a_borrowed_part_is_no_answer(kernel):
    kernel.run("from my_transformer.masking import causal_mask")
    assert kernel.run("check(causal_mask)").error.splitlines() == [
        "no cell that ran in this notebook defines causal_mask",
        "  the one given here comes from my_transformer.masking",
        "  hint: write it in a cell, run that cell, then check again",
    ]


@pytest.mark.parametrize("module", ["course_lib.transformer.masking", "my_transformer.masking"])
def test_an_answer_that_calls_the_finished_one_is_refused(kernel, module):
    body = "def causal_mask(*args, **kwargs):\n    return ours(*args, **kwargs)"
    kernel.run(f"from {module} import causal_mask as ours\n{body}")
    error = " ".join(kernel.run("check(causal_mask)").error.split())
    assert f"the cell imports {module}" in error
    assert "not there in class" in error


def test_a_name_that_no_cell_gives_a_meaning_is_refused(kernel):
    kernel.run("def causal_mask(n_queries, n_keys=None, *, device=None):\n    return helper(3)")
    assert "'helper'" in kernel.run("check(causal_mask)").error


def test_a_check_of_what_no_cell_defines_says_what_to_do(kernel):
    kernel.run("del causal_mask")
    seen = kernel.run("check(causal_mask)")
    assert seen.error.startswith("no cell that ran in this notebook defines causal_mask\n  hint: ")
    assert "Traceback" in kernel.run("check(causal_maks)").error
    assert "Traceback" in kernel.run("def f(): causal_mask\nf()").error


def test_one_object_under_two_names_is_refused(kernel):
    kernel.run(RIGHT_CLASS + "\ncausal_mask = CausalSelfAttention")
    assert "one and the same object" in kernel.run("check(causal_mask)").error


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("check('causal_mask')", "check takes a function or class itself, got a str"),
        ("check(nn.Linear(3, 5))", "check takes a function or class itself, got a Linear"),
        ("def causal_msk(): ...\ncheck(causal_msk)", "Did you mean causal_mask?"),
    ],
)
def test_what_cannot_be_checked_says_what_to_do(kernel, call, complaint):
    seen = kernel.run(call)
    assert complaint in seen.error
    assert "Traceback" not in seen.error


def test_a_module_broken_by_hand_is_named(kernel, workspace):
    path = workspace / PACKAGE / "masking.py"
    path.write_text(masking(workspace) + "causal_mask = )\n")
    kernel.run(RIGHT)
    seen = kernel.run("check(causal_mask)")
    assert "my_transformer.masking cannot be imported: SyntaxError" in " ".join(seen.error.split())
    assert "mend the file" in seen.error


# --- where a pass is written down --------------------------------------------------------------


def test_without_a_workspace_a_pass_is_a_pass_and_the_package_is_borrowed(shared_kernel, tmp_path):
    kernel = shared_kernel.open(tmp_path)
    kernel.run(RIGHT)
    seen = kernel.run("check(causal_mask)")
    assert seen.out.splitlines()[1:] == [
        "It stays in this notebook alone. To collect it: course start DIR, and work there."
    ]
    assert [seen.err, seen.error] == ["", ""]
    assert list(tmp_path.iterdir()) == []
    where = kernel.run("import my_transformer.masking as m; print(m.__file__)").out
    assert re.search(r"course_lib.transformer.masking\.py$", where.strip())


def test_the_first_cell_says_where_passes_go(shared_kernel, workspace):
    said = shared_kernel.run(f"import os; os.chdir({str(workspace)!r})\n{OPEN}")
    assert said.out == f"What passes here is collected in {workspace / PACKAGE}.\n"
    assert [said.err, said.error] == ["", ""]


def test_a_folder_without_its_marker_collects_nothing_and_the_first_cell_says_so(
    shared_kernel, workspace
):
    (workspace / MARKER).unlink()
    said = shared_kernel.run(f"import os; os.chdir({str(workspace)!r})\n{OPEN}")
    assert said.out == (
        f"What passes stays in this notebook: {workspace} is in no folder made by `course start` "
        "(none has a course.toml). To collect it: course start DIR, and work in the notebook "
        "there.\n"
    )
    shared_kernel.run(RIGHT)
    shared_kernel.run("check(causal_mask)")
    assert "# %%" not in masking(workspace)


JUPYTER_SAYS = "import os; os.environ['JPY_SESSION_NAME'] = {path!r}"
VS_CODE_SAYS = "__vsc_ipynb_file__ = {path!r}"


@pytest.fixture
def told_kernel(shared_kernel):
    """A kernel that can be told of a notebook's file, and forgets it."""
    yield shared_kernel
    shared_kernel.run("import os; os.environ.pop('JPY_SESSION_NAME', None)")
    shared_kernel.run("globals().pop('__vsc_ipynb_file__', None)")


@pytest.mark.parametrize("says", [JUPYTER_SAYS, VS_CODE_SAYS])
def test_a_kernel_that_was_started_elsewhere_collects_where_the_notebook_lies(
    told_kernel, workspace, tmp_path, says
):
    path = str(workspace / f"{LESSON}.ipynb")
    kernel = told_kernel.open(tmp_path, told=says.format(path=path))
    kernel.run(RIGHT)
    assert "It now stands in my_transformer/masking.py." in kernel.run("check(causal_mask)").out
    assert RIGHT in masking(workspace)


def test_the_file_of_another_notebook_decides_nothing(told_kernel, workspace, tmp_path):
    for name in ("02_self_attention.ipynb", f"{LESSON}-gone.ipynb"):
        says = JUPYTER_SAYS.format(path=str(workspace / name))
        kernel = told_kernel.open(tmp_path, told=says)
        kernel.run(RIGHT)
        assert "stays in this notebook alone" in kernel.run("check(causal_mask)").out


@pytest.mark.parametrize(
    "variable", ["NBGRADER_VALIDATING", "NBGRADER_EXECUTION", "COURSE_BOOK_BUILD"]
)
def test_nothing_is_said_nor_written_where_nobody_is_at_work(
    shared_kernel, workspace, tmp_path, variable
):
    shared_kernel.run(f"import os; os.environ[{variable!r}] = '1'")
    try:
        for folder in (workspace, tmp_path):
            said = shared_kernel.run(f"import os; os.chdir({str(folder)!r})\n{OPEN}")
            assert [said.out, said.err, said.error] == ["", "", ""]
            shared_kernel.open(folder)
            shared_kernel.run(RIGHT)
            said = shared_kernel.run("check(causal_mask)")
            assert re.fullmatch(r"causal_mask is right: .*\n", said.out)
            assert [said.err, said.error] == ["", ""]
    finally:
        shared_kernel.run(f"del os.environ[{variable!r}]")
    assert "# %%" not in masking(workspace)


def test_a_notebook_opened_in_exercises_says_that_it_collects_nothing(tmp_path):
    folder = tmp_path / "exercises" / LESSON
    folder.mkdir(parents=True)
    notebook = nbformat.read(notebook_path(LESSON), as_version=4)
    wanted = ("opening", "setup-masking", "causal-mask", "check-causal-mask")
    notebook.cells = [cell for cell in notebook.cells if cell.id in wanted]
    opening, _, answer, check = notebook.cells
    answer.source = RIGHT
    client = NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    (said,) = opening.outputs
    assert said.name == "stdout"
    assert said.text.startswith(f"What passes stays in this notebook: {folder} is in no folder")
    assert said.text.count("\n") == 1
    (said,) = check.outputs
    assert said.data["text/plain"].endswith("To collect it: course start DIR, and work there.")


def test_a_folder_that_cannot_be_written_takes_nothing_from_the_verdict(kernel, workspace):
    (workspace / PACKAGE / ".lock").mkdir()  # stands for any write that fails
    kernel.run(RIGHT)
    seen = kernel.run("check(causal_mask)")
    first, second = seen.out.splitlines()
    assert first.startswith("causal_mask is right")
    assert second.startswith("It was not written into my_transformer: ")
    assert [seen.err, seen.error] == ["", ""]


def test_a_warning_of_a_library_does_not_reach_stderr(kernel):
    noise = "\n        import sys, warnings; warnings.warn('hot'); print('debug', file=sys.stderr)"
    kernel.run(RIGHT_CLASS.replace("(self, x):", "(self, x):" + noise))
    seen = kernel.run("check(CausalSelfAttention)")
    assert "CausalSelfAttention is right" in seen.out
    assert not seen.err


def test_validation_tells_right_from_wrong_and_writes_nothing(workspace, monkeypatch):
    notebook = json.loads(notebook_path(LESSON).read_text("utf-8"))
    wanted = ("causal_mask", "CausalSelfAttention")
    notebook["cells"] = [
        cell
        for cell in notebook["cells"]
        if (about := cell["metadata"].get("course"))
        and about["role"] != "demo"
        and about.get("component", "causal_mask") in wanted
    ]
    for cell in notebook["cells"]:
        if cell["metadata"]["course"] == find_course(notebook, "causal_mask"):
            cell["source"] = RIGHT
    path = workspace / f"{LESSON}.ipynb"
    path.write_text(json.dumps(notebook), "utf-8")
    failed = Validator().validate(str(path))["failed"]
    assert [cell["source"] for cell in failed] == ["check(CausalSelfAttention)"]
    assert "not written yet" in failed[0]["raw_error"]
    assert "# %%" not in masking(workspace)


def find_course(notebook, component):
    """What a notebook says about the solution cell of `component`."""
    return next(
        cell["metadata"]["course"]
        for cell in notebook["cells"]
        if cell["metadata"]["course"]["role"] == "answer"
        and cell["metadata"]["course"]["component"] == component
    )


# --- a cell that changed since it ran -----------------------------------------------------------


@pytest.fixture
def lab(told_kernel, workspace, monkeypatch):
    """A kernel that is told, as JupyterLab does, which file its notebook is and which cell runs."""
    told_kernel.open(workspace, told=JUPYTER_SAYS.format(path=str(workspace / f"{LESSON}.ipynb")))
    session = told_kernel.client.kc.session
    plain = session.msg

    def run(source, cell_id):
        def named(kind, *args, **more):
            about = {"metadata": {"cellId": cell_id}} if kind == "execute_request" else {}
            return plain(kind, *args, **more | about)

        with monkeypatch.context() as patch:
            patch.setattr(session, "msg", named)
            return told_kernel.run(source)

    return run


def save(workspace, source, cell_id="causal-mask"):
    """What JupyterLab writes when the notebook is saved with this text in a cell."""
    path = workspace / f"{LESSON}.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    (cell,) = [cell for cell in notebook["cells"] if cell["id"] == cell_id]
    cell["source"] = source
    path.write_text(json.dumps(notebook), "utf-8")


@pytest.mark.parametrize(
    "edited", [RIGHT.replace(":", "", 1), RIGHT.replace("causal_mask", "mask"), "1 / 0"]
)
def test_a_cell_that_ran_again_and_defined_nothing_is_no_answer(lab, workspace, edited):
    lab(RIGHT, "causal-mask")
    assert "is right" in lab("check(causal_mask)", "check-causal-mask").out
    lab(edited, "causal-mask")
    seen = lab("check(causal_mask)", "check-causal-mask")
    assert seen.out == ""
    assert re.match(
        r"the cell that defined causal_mask was changed and run again\n"
        r"  as In \[\d+\] it defined causal_mask, as In \[\d+\] it did not\n  hint: ",
        seen.error,
    )
    lab(RIGHT, "causal-mask")
    assert "is right" in lab("check(causal_mask)", "check-causal-mask").out


def test_a_right_cell_is_never_refused_for_what_another_cell_did(lab, workspace):
    lab(RIGHT, "causal-mask")
    lab(RIGHT.replace(":", "", 1), "a-scratch-cell")
    assert "is right" in lab("check(causal_mask)", "check-causal-mask").out
    lab("1 / 0", "another")
    lab(RIGHT + "\n", "causal-mask")
    assert "is right" in lab("check(causal_mask)", "check-causal-mask").out
    lab("1 / 0", "causal-mask")
    lab(RIGHT, "a-scratch-cell")  # moved
    assert "is right" in lab("check(causal_mask)", "check-causal-mask").out
    lab(RIGHT, "causal-mask")
    lab(RIGHT, "a-scratch-cell")  # a copy to play with
    lab("1 / 0", "a-scratch-cell")
    assert "is right" in lab("check(causal_mask)", "check-causal-mask").out


def test_a_cell_saved_with_another_text_after_it_ran_is_pointed_out(lab, workspace):
    save(workspace, STUB)  # what was saved before counts for nothing
    lab(RIGHT, "causal-mask")
    assert "note:" not in lab("check(causal_mask)", "check-causal-mask").out
    save(workspace, RIGHT)
    assert "note:" not in lab("check(causal_mask)", "check-causal-mask").out
    save(workspace, RIGHT.replace(":", "", 1))
    seen = lab("check(causal_mask)", "check-causal-mask")
    note = (
        r"  note: the cell was judged as it ran, In \[\d+\]; saved since, it has another\s+"
        r"text\.\s+If you have edited it, run it and check again\.\n"
    )
    assert re.search(r"^causal_mask is right.*\n" + note, seen.out)
    assert [seen.err, seen.error] == ["", ""]


def test_a_failure_of_a_cell_that_was_edited_and_not_run_says_so(lab, workspace):
    lab(STUB, "causal-mask")
    assert "note:" not in lab("check(causal_mask)", "check-causal-mask").error
    save(workspace, RIGHT)
    seen = lab("check(causal_mask)", "check-causal-mask")
    assert "\n  note: the cell was judged as it ran" in seen.error
    assert all(len(line) <= 83 for line in seen.error.splitlines())
    lab(RIGHT, "causal-mask")
    assert "note:" not in lab("check(causal_mask)", "check-causal-mask").out


# --- reading -----------------------------------------------------------------------------------


def test_what_lies_in_a_file_is_not_a_cell():
    from course_lib.transformer.masking import CausalSelfAttention, causal_mask

    for component in (causal_mask, CausalSelfAttention):
        with pytest.raises(NotACell, match=r"comes from course_lib\.transformer\.masking"):
            answer_cell(component, find_exercise(component.__name__))


def test_definitions_are_defs_classes_and_assignments_but_not_imports():
    source = """
from a import b
def c(): d = 1
if c:
    class e: f = 2
g, (h, i[0]) = 1, (2, 3)
j: int
k: int = 4
def c(): ...
"""
    assert definitions(source) == {"c": 9, "e": 5, "g": 6, "h": 6, "k": 8}


def test_imports_are_found_wherever_they_stand():
    source = "import a.b\ndef f():\n    from .c import d\n    from . import e\n    from g import h"
    expected = {"a.b", "my_transformer.c", "my_transformer.c.d", "my_transformer.e", "g", "g.h"}
    assert imported_modules(source) == expected | {"my_transformer"}


# --- the card ----------------------------------------------------------------------------------


def test_a_wrong_answer_has_a_card_and_its_inputs_are_at_hand(kernel):
    kernel.run(RIGHT.replace("    return ", "    print(1)\n    return ~"))
    seen = kernel.run("check(causal_mask)")
    assert "✗ causal_mask is not right yet" in seen.card["text/html"]
    assert kernel.run("print(check.inputs)").out.startswith("n_queries =")
    assert kernel.run("check.repeat(causal_mask); causal_mask(**check.inputs);").out == "1\n1\n"


def test_a_right_answer_has_a_card_with_a_link_to_the_next_exercise(kernel):
    kernel.run(RIGHT)
    html = kernel.run("check(causal_mask)").card["text/html"]
    assert "✓ causal_mask is right" in html
    assert "1 of 6 exercises" in html
    assert 'href="#exercise-padding_mask"' in html


def test_nothing_can_be_repeated_before_a_failure(kernel):
    assert kernel.run("check.repeat(causal_mask)").error.startswith("nothing to repeat")


def test_where_nobody_is_at_work_the_text_is_all(kernel):
    kernel.run("os.environ['NBGRADER_VALIDATING'] = '1'")
    try:
        kernel.run(STUB)
        seen = kernel.run("check(causal_mask)")
    finally:
        kernel.run("del os.environ['NBGRADER_VALIDATING']")
    assert seen.card is None
    assert "rule: " in seen.error
