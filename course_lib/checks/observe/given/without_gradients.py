"""The ways to ask for no gradients; each surrounds a whole call."""

import torch

GRADIENTS_ON = "with gradients on"
WITHOUT_GRADIENTS = {
    "under no_grad": torch.no_grad,
    "in inference mode": torch.inference_mode,
}
