"""Plain folders, one for each student; or files and archives that are called after them."""

from .downloads import Download
from .handed_in import Arrival, Piece, leads_back
from .layout import Understood, grouped
from .people import ANY, Person

TITLE = "folders"
SEEN = "a folder for each student, with a notebook or a zip in it"


def recognises(download: Download) -> bool:
    """Whether each file lies in a folder, and there are notebooks or archives."""
    return all(len(file.path) > 1 for file in download.files) and any(
        file.name.lower().endswith((".ipynb", ".zip")) for file in download.files
    )


def understand(download: Download) -> Understood:
    """Whose each file is: that of the folder, or of the name, at the top."""
    theirs = grouped(
        (file.path[0] if len(file.path) > 1 else file.name.rpartition(".")[0] or file.name, file)
        for file in download.files
    )
    arrivals = []
    for student, files in theirs.items():
        back = leads_back(f"{student}_")
        pieces = tuple(Piece(file.path[1:] or file.path, file.read, (), back) for file in files)
        arrivals.append(Arrival(Person({ANY: student}, (student,)), pieces, student))
    return Understood(tuple(arrivals))
