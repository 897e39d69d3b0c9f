"""What must hold of lesson 1: two tokenizers, what the second is made of, and the embeddings."""

from .bpe_tokenizer import bpe_tokenizer
from .char_tokenizer import char_tokenizer
from .embeddings import embeddings
from .merge_pair import merge_pair
from .train_bpe import train_bpe

CHECKS = (
    char_tokenizer,
    merge_pair,
    train_bpe,
    bpe_tokenizer,
    embeddings,
)
