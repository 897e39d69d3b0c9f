"""From a learning platform's download to what `course grade` reads, and back.

What comes in goes one way, module by module:

    downloads     opens what was downloaded: a folder or a zip, file by file, nothing unpacked
    known         finds out which platform laid it out
    canvas, moodle, gradescope, classroom50, nbgrader, folders
                  say whose each file is, and how a file finds its way back
    people        finds that person in the class's list, which `roster` reads
    handed_in     finds the notebooks and the package in it, also in a zip, which `archives` opens
    collecting    takes the newest of each student and lesson, and writes it; `collected` is the
                  record of what was taken

and what goes out another:

    scores        the points, from the table that a grading run wrote
    filling       puts them into the column of a platform's own file, which `tables` keeps as it was
    feedback      packs the pages under names that the platform takes back
    own_tables    tables of our own, wide and long, also without names
    handing_back  does what was asked for of these

Everything that comes in was written by students, and their names too: what cannot be taken is
said, with the student whom it concerns, and everybody else goes on.
"""


class PlatformError(Exception):
    """Nothing can be collected or handed back. The text says what was wrong, and what to do."""
