"""From a class's submissions to scores, feedback and diagnoses.

A submission goes one way, module by module, and each step is done once:

    file_names       finds its notebook, whatever a browser made of the name
    layout           tells a class that lies elsewhere from one that handed nothing in
    submission       reads it, as text: its cells, a package beside them; only plain files of its
                     own (`own_files`)
    releases         chooses the notebook it began as, if that counts, with the points of now
    submission       puts the answers into that notebook, as `lessons/answers.py` finds them
    judging          goes through it: `results` for a component,
                     `handed_in_package` for a whole package
    budget           bounds what all its jobs take together
    failures         says what fails on our side in a line
    library          looks whether an answer takes from a library what it is to write
    sandbox          observes for them: wall around it, received and consultation at its pipes
    steps            writes what the judge said into the notebook, where nbgrader looks for it
    class_gradebook  enters the notebook into nbgrader's gradebook: from here on that is the truth
    grades           derives the table from the gradebook, and feedback; records and table show it

    formgrader       shows the gradebook in nbgrader's own pages

`run` leads a class along this way, with workers up to `steps` and one writer after it, and
`classroom` finds the class. `nbgrader autograde` goes it by nbgrader's own three steps, which
`gradebook` replaces by those in `steps`; of a student's folder it sees a stand-in (`reception`).
Settings of nbgrader, roster and due dates come from the teacher's `course`. Due dates and
penalties are nbgrader's in both (`late`), what counts beside them the teacher's (`rules`). What an
answer beside a part of ours says in words is not shown (`words`).
`aside` has what may take long to read read by a process that can be killed (`reading_aside`), for
`handed_in_package` and for the pages (`highlighting`). `version` is the version of the code that
decides. What fails on our side is `NotGraded`, never a score. And what a person entered into the
gradebook (a mark, a comment, extra credit, a due date) no run takes away: it is reported, and
stays.
"""


class NotGraded(Exception):
    """A submission could not be judged, and that is not its own doing: it gets no score at all.

    The text says what failed. Whoever grades is told, and asked to grade it again.
    """


class GradingError(Exception):
    """Grading cannot go on. The text says what was wrong with what, and what to do."""
