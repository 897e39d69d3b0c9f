"""`make gpu`: what the course promises on a GPU, measured on one card in one run of minutes.

sections.py   what is measured, in which order, and how long each part may take
running.py    each section in a process of its own; the record, written after each
child.py      that process: it tells its rows one by one, so that a kill keeps them
attempts.py   one measurement, which may fail or hang
timing.py     how long the card takes
limits.py     the machine, its products and its memory: what the rest is compared with
components.py the checks of all components on the card
equality.py   CPU and card compute the same
forms.py      the models that are compared, with the same weights
training.py   training a GPT-2 of 124M parameters
decoding.py   writing with it, token by token
commands.py   `course train` and `course generate`
tables.py     tables and sentences from a record, with reading.py
pages.py      these in README and book, made of the record that is committed

It needs numpy and torch. What else is missing, it says and skips.
"""
