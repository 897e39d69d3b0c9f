"""The learner's side: a folder of notebooks, and a package that becomes theirs part by part.

folder.py     how a workspace is recognised
start.py      make one
borrow.py     what a module has before it is written: ours
importing.py  where `import my_transformer` leads
reading.py    what a piece of Python defines and imports
runs.py       what ran in this kernel
as_it_stands.py   the notebook: its cells as they last ran, in their order
cells.py      which of them hold an answer, and whether they ran as they stand
unknown_names.py  what to say when a check meets a name that no cell gave a meaning
sections.py   a module's text, cell by cell
promote.py    write what passed into the package
desk.py       which folder a notebook's passes go to
status.py     how much of it is theirs
next_step.py  what is done in each lesson, and what comes next
screen.py     both on one screen
saved_notebook.py  a notebook of the folder, as plain JSON
lab.py        JupyterLab at what comes next
watch.py      each save judged at once
watched.py    what is then on the screen
apart.py      judging in a process that can be stopped
solution.py   ours beside theirs
reset.py      an exercise as it was handed out
submit.py     a lesson as an archive to hand in
update.py     newer lessons, with what they wrote
AGENTS.md     what an assistant is asked to be
notebook.py   the `check` of a notebook
newer_cell.py whether a part's cell has changed since it passed
terminal.py   the same checks, on the package
whole.py      the capstone's checks, on the package as a whole
pieces.py     our modules in pieces, as an export hands them out
alone.py      a module of theirs with what it borrows written into it
trained.py    a run that `course train` wrote, as one file
keep.py       a folder of files, written again without harm to what others changed
export.py     their model as a package that stands alone
standalone/   what goes with it: a way to train it and to let it write
"""
