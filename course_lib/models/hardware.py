"""Which device and which number format a run uses, and how they are called."""

import torch

from . import ModelError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """The device called `name`; for "auto" the fastest there is.

    Raises:
        ModelError: there is none of that name here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = None
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # "meta", for one, has no numbers to give back
    except Exception as error:  # every backend refuses in its own way
        reason = f" ({str(error).splitlines()[0].rstrip('.')})" if device and str(error) else ""
        raise ModelError(
            f"device must be one that torch can use here ({' or '.join(_usable())}), got {name!r}"
            f"{reason}: take one of these, or leave the device out."
        ) from None
    return device


def _usable() -> list[str]:
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return ["cpu", *(name for name, is_here in found.items() if is_here)]


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype called `name`; for "auto" bfloat16 where the hardware computes in it.

    Raises:
        ModelError: no run can use a dtype of that name.
    """
    if name == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    if name not in DTYPES:
        raise ModelError(f"dtype must be auto, {' or '.join(DTYPES)}, got {name!r}.")
    return DTYPES[name]


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        can = torch.cpu.get_capabilities()
        return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
    return False


def describe(device: torch.device, dtype: torch.dtype) -> str:
    """Device and dtype as one would say them: `cpu (2 threads), bfloat16`."""
    where = device.type
    if device.type == "cuda":
        where = f"cuda ({torch.cuda.get_device_name(device)})"
    elif device.type == "cpu":
        where = f"cpu ({torch.get_num_threads()} threads)"
    return f"{where}, {str(dtype).removeprefix('torch.')}"
