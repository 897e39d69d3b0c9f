"""Text to train on, and the tokenizer that turns it into ids and back."""

from dataclasses import dataclass
from pathlib import Path

import torch

from course_lib import corpus

from . import ModelError
from .whose_model import Package

STORIES, SHAKESPEARE = "stories", "shakespeare"
N_STORY_CHARACTERS = 1_000_000
STORY_SEED = 1
BPE_SAMPLE = 100_000  # characters from which merges are learned: enough for hundreds of them

SHAKESPEARE_URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


def read_text(source: str) -> str:
    """The text called `source`: "stories", "shakespeare", or a file in UTF-8.

    Raises:
        ModelError: there is no such text, or it cannot be read.
    """
    if source == STORIES:
        return corpus.stories(N_STORY_CHARACTERS, seed=STORY_SEED)
    path = download_shakespeare() if source == SHAKESPEARE else Path(source)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ModelError(
            f"the text {source} cannot be read ({error.strerror}): give a file, "
            f'"{STORIES}" or "{SHAKESPEARE}".'
        ) from None
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{source} must be text in UTF-8, got byte 0x{error.object[error.start]:02x} at "
            f"{error.start}: save it as UTF-8."
        ) from None
    if not text.strip():
        raise ModelError(f"{source} must hold text, got an empty file.")
    return text.replace("\r\n", "\n")


def download_shakespeare() -> Path:
    """The file of tiny Shakespeare, downloaded once and checked each time.

    Raises:
        ModelError: it cannot be downloaded, or is not what it should be.
    """
    import pooch  # here, because whoever trains on another text needs no network's library

    pooch.get_logger().setLevel("WARNING")
    path = Path(pooch.os_cache("build-a-transformer")) / "tinyshakespeare.txt"
    try:
        pooch.retrieve(
            SHAKESPEARE_URL,
            known_hash=f"sha256:{SHAKESPEARE_SHA256}",
            fname=path.name,
            path=path.parent,
            downloader=pooch.HTTPDownloader(timeout=30),
        )
    except OSError as error:  # those of requests are, too
        answer = getattr(error, "response", None)
        why = f"HTTP status {answer.status_code}" if answer is not None else type(error).__name__
        raise ModelError(
            f"tiny Shakespeare could not be downloaded ({why}): connect to the network, put the "
            f'file at {path}, or train on "{STORIES}".'
        ) from None
    except ValueError:  # pooch has kept nothing of it
        raise ModelError(
            f"tiny Shakespeare must have the SHA-256 {SHAKESPEARE_SHA256[:12]}…, got another file "
            f'from {SHAKESPEARE_URL}: try again later, or train on "{STORIES}".'
        ) from None
    return path


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer of lesson 1 and what it takes to make it again.

    Args:
        spec: `{"kind": "characters", "characters": …}` or `{"kind": "bpe", "merges": […]}`.
    """

    spec: dict
    tokenizer: object

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size

    def encode(self, text: str) -> list[int]:
        """The ids of `text`.

        Raises:
            ModelError: it holds characters that the model has never seen.
        """
        try:
            return self.tokenizer.encode(text)
        except ValueError as error:
            known = set(self.spec.get("characters", ""))
            unknown = "".join(sorted(set(text) - known))[:20] if known else ""
            said = f"it does not know {unknown!r}" if unknown else str(error)
            raise ModelError(f"the text must hold characters of the model's own: {said}.") from None

    def decode(self, ids: list[int]) -> str:
        """The text of `ids`."""
        return self.tokenizer.decode(ids)


def make_tokenizer(package: Package, spec: dict) -> Tokenizer:
    """The tokenizer that `spec` describes."""
    if spec["kind"] == "characters":
        made = package.component("tokens", "CharTokenizer")(spec["characters"])
    else:
        merges = [tuple(pair) for pair in spec["merges"]]
        made = package.component("tokens", "BPETokenizer")(merges)
    return Tokenizer(spec, made)


def fit_tokenizer(package: Package, kind: str, text: str) -> Tokenizer:
    """A tokenizer for `text`: "characters", or "bpe:512" for 512 ids in all.

    Raises:
        ModelError: `kind` is neither.
    """
    if kind == "characters":
        return make_tokenizer(package, {"kind": kind, "characters": "".join(sorted(set(text)))})
    name, _, size = kind.partition(":")
    if name != "bpe" or not size.isdecimal() or int(size) < 257:
        raise ModelError(
            f'tokenizer must be "characters" or "bpe:SIZE" with SIZE above 256, got {kind!r}.'
        )
    sample = list(text[:BPE_SAMPLE].encode("utf-8"))
    merges = package.component("tokens", "train_bpe")(sample, int(size) - 256)
    return make_tokenizer(package, {"kind": "bpe", "merges": [list(pair) for pair in merges]})


def split_tokens(
    tokenizer: Tokenizer, text: str, context_length: int, source: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """`(training, validation)` tokens: the text's last tenth is held back.

    Raises:
        ModelError: either is shorter than one context.
    """
    tokens = torch.tensor(tokenizer.encode(text), dtype=torch.int64)
    n_training = len(tokens) * 9 // 10
    training, validation = tokens[:n_training], tokens[n_training:]
    if min(len(training), len(validation)) < context_length + 1:
        raise ModelError(
            f"{source} must hold at least {10 * (context_length + 1)} tokens for a context of "
            f"{context_length}, got {len(tokens)}: take a longer text or a smaller context_length."
        )
    return training, validation
