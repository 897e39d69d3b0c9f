"""The ways to ask for gradients, or for none; each surrounds a whole call."""

import contextlib

import torch

GRADIENTS = {
    "with gradients on": contextlib.nullcontext,
    "under no_grad": torch.no_grad,
    "in inference mode": torch.inference_mode,
}
