"""Read an answer's text, without running it: what it names of a library."""

from ..calls import NamesCall
from ..load.names import library_names
from ..observations import Observation


def observe_names(component, call: NamesCall, seen: Observation) -> None:
    """Write down the names of libraries in the call's text; the component is not looked at."""
    seen["value"] = library_names(call["text"])
