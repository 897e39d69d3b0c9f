"""What the book claims of training and of chance: experiments, each under many seeds.

experiment.py   what an experiment is: its arms, its seeds, what is seen, what is claimed of it
page_code.py    the code it runs, taken from the page that speaks of it
running.py      all runs, on all cores, to be stopped and gone on with
fingerprint.py  what a record depends on: the code that made it
records.py      what is committed of the runs, and the numbers that pages show of it
evidence.py     the page Evidence, made of the records
lesson_NN/      the experiments, a module each
records/        a file for each experiment, made by `course experiments`
"""

from .records import recorded

__all__ = ["recorded"]
