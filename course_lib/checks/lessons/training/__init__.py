"""What must hold of lesson 8: a loss, batches, a schedule, groups, a step, and an evaluation."""

from .decay_groups import decay_groups
from .evaluate import evaluate
from .get_batch import get_batch
from .learning_rate import learning_rate
from .next_token_loss import next_token_loss
from .train_step import train_step

CHECKS = (
    next_token_loss,
    get_batch,
    learning_rate,
    decay_groups,
    train_step,
    evaluate,
)
