"""The machine, and what it can do at best: products, and bytes moved. The rest is a share of it."""

import platform
import subprocess
from collections.abc import Iterator

import torch

from course_lib.models.bench.machine import describe_machine

from .attempts import attempt
from .sections import Run
from .timing import seconds_for, spread

ROUNDS = 10


def rows(run: Run) -> Iterator[dict]:
    yield attempt({"name": "machine"}, lambda: _machine(run), 30)
    n = 256 if run.is_small else 8192
    for dtype in ("bfloat16", "float32"):
        yield attempt(
            {"name": f"products, {dtype}", "size": n}, lambda d=dtype: _products(run, n, d), 30
        )
    n_bytes = 2**20 if run.is_small else 2**32
    yield attempt({"name": "copy", "bytes": n_bytes}, lambda: _copy(run, n_bytes), 30)


def _machine(run: Run) -> dict:
    device = torch.device(run.device)
    found = describe_machine(device) | {"kernel": platform.release()}
    for name in ("numpy", "transformers", "triton"):
        found[name] = _version(name)
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        found["gpu_memory_gib"] = round(about.total_memory / 2**30, 1)
        found["multiprocessors"] = about.multi_processor_count
        found["capability"] = f"{about.major}.{about.minor}"
        found["cuda"] = torch.version.cuda
        found["driver"] = _driver()
    return found


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _driver() -> str:
    """The driver's version, asked for by a command that only reads."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = done.stdout.split()
    return lines[0] if done.returncode == 0 and lines else "unknown"


def _products(run: Run, n: int, dtype: str) -> dict:
    """Operations per second of a large matrix product of random numbers, without tf32."""
    torch.set_float32_matmul_precision("highest")
    one, other = (
        torch.randn(n, n, device=run.device, dtype=torch.float32).to(getattr(torch, dtype))
        for _ in range(2)
    )
    result = one @ other
    n_times = 1 if run.is_small else 5

    def work():
        for _ in range(n_times):
            torch.mm(one, other, out=result)

    for _ in range(3):
        work()
    times = [seconds_for(work, run.device) for _ in range(ROUNDS)]
    return {"per_second": spread([2 * n**3 * n_times / seconds for seconds in times])}


def _copy(run: Run, n_bytes: int) -> dict:
    """Bytes per second, those read and those written, when memory is copied within the card."""
    source = torch.randint(256, (n_bytes,), dtype=torch.uint8, device=run.device)
    target = torch.empty_like(source)
    for _ in range(3):
        target.copy_(source)
    times = [seconds_for(lambda: target.copy_(source), run.device) for _ in range(ROUNDS)]
    return {"per_second": spread([2 * n_bytes / seconds for seconds in times])}
