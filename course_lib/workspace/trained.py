"""A run that `course train` wrote, as one file that numpy or torch can read alone.

The weights are copied byte for byte; sizes and vocabulary go into the file's header, where the
safetensors format has a place for them. It is text and bytes: neither torch nor safetensors is
needed here.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from .folder import WorkspaceError

POINTER = "checkpoint.json"
VERSION = 1  # of the runs that can be read
SIZES = ("context_length", "d_model", "n_heads", "n_layers", "dropout", "bias", "tie_weights")


@dataclass(frozen=True)
class Trained:
    """A trained model: the step it had reached, and its file's content."""

    step: int
    content: bytes


def runs_in(folder: Path) -> list[Path]:
    """The runs that lie directly in `folder`."""
    return sorted(path.parent for path in folder.glob(f"*/{POINTER}"))


def read_run(run: Path) -> Trained:
    """The newest state of a run.

    Raises:
        WorkspaceError: there is none, it is damaged, or of another version.
    """
    try:
        newest = json.loads((run / POINTER).read_text("utf-8"))["newest"]
        place = run / Path(newest).name
        state = json.loads((place / "state.json").read_text("utf-8"))
        content = (place / "model.safetensors").read_bytes()
        if state["version"] != VERSION:
            raise WorkspaceError(
                f"{run} was written by another version of the course (its format is "
                f"{state['version']}, this one reads {VERSION})."
            )
        if hashlib.sha256(content).hexdigest() != state["sha256"]["model"]:
            raise ValueError("its hash differs")
        about = {
            "sizes": {name: state["settings"][name] for name in SIZES},
            "tokenizer": state["tokenizer"],
        }
        return Trained(state["step"], _with_metadata(content, about))
    except (FileNotFoundError, NotADirectoryError):
        raise WorkspaceError(
            f"{run} holds no trained model: name a folder that `course train --out` wrote."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            f"the run {run} is damaged ({type(error).__name__}: {error}): train again, or name "
            "another."
        ) from None


def _with_metadata(content: bytes, about: dict) -> bytes:
    """A safetensors file with `about` in its header."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = {name: json.dumps(value) for name, value in about.items()}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + content[8 + size :]
