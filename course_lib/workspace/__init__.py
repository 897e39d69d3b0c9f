"""The learner's side: a folder of notebooks, and a package that becomes theirs part by part.

folder.py     how a workspace is recognised
start.py      make one
borrow.py     what a module has before it is written: ours
importing.py  where `import my_transformer` leads
reading.py    what a piece of Python defines and imports
cells.py      which cell of a notebook holds an answer
sections.py   a module's text, cell by cell
promote.py    write what passed into the package
status.py     how much of it is theirs
notebook.py   the `check` of a notebook
terminal.py   the same checks, on the package
whole.py      the capstone's checks, on the package as a whole
"""
