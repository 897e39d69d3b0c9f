"""What a measurement ran on, and the two limits of it: products, and bytes from memory."""

import os
import platform
import time
from pathlib import Path

import torch


def describe_machine(device: torch.device) -> dict:
    """Processor, threads, memory, versions: what a reader needs to place a number."""
    found = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(device),
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product, the fastest of several."""
    n = 8192 if device.type == "cuda" else 1024
    one, other = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return 2 * n**3 / _fastest(lambda: one @ other, device)


def read_rate(device: torch.device) -> float:
    """Bytes per second when memory far larger than any cache is read once."""
    n = 2**28 if device.type == "cuda" else 2**26
    numbers = torch.ones(n, device=device)
    return 4 * n / _fastest(numbers.sum, device)


def _fastest(work, device: torch.device, rounds: int = 10) -> float:
    times = []
    for _ in range(rounds):
        synchronize(device)
        started = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
