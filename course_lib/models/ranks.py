"""One process or several: started by `torchrun`, each trains on its rows of the same batch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from . import ModelError


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is. Rank 0 speaks and writes for all."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def rows(self, batch: Tensor) -> Tensor:
        """This process's part of a batch that all of them drew alike."""
        return batch.chunk(self.size)[self.rank]

    def mean(self, value: float, device: torch.device) -> float:
        """The mean of a number over all processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=device)
        dist.all_reduce(total)
        return total.item() / self.size

    def any(self, is_true: bool, device: torch.device) -> bool:
        """Whether it is true in any of the processes."""
        return self.mean(float(is_true), device) > 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model to train: its gradients are averaged over all processes."""
        return model if self.size == 1 else nn.parallel.DistributedDataParallel(model)


@contextmanager
def started_ranks(batch_size: int, n_chunks: int, device: torch.device) -> Iterator[Ranks]:
    """The processes that torchrun started, joined; one alone without torchrun.

    Raises:
        ModelError: a batch cannot be dealt out to them evenly.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks()
        return
    if batch_size % (size * n_chunks):
        raise ModelError(
            f"batch_size must be a multiple of processes × n_chunks, got batch_size={batch_size}, "
            f"{size} processes and n_chunks={n_chunks}."
        )
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
