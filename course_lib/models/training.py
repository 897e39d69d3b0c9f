"""`course train`: from a text to a trained model, with nothing lost on the way.

The steps themselves are the package's own (`get_batch`, `learning_rate`, `train_step`, `evaluate`
of lesson 8): ours, or a learner's. Around them stand the schedule, the progress and checkpoints.
"""

import contextlib
import csv
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from . import ModelError, checkpoint, hardware
from .ranks import Ranks, started_ranks
from .settings import TrainSettings
from .text import Tokenizer, fit_tokenizer, make_tokenizer, read_text, split_tokens
from .whose_model import Package


@dataclass
class Progress:
    """How far a run is, told after every step."""

    step: int
    n_steps: int
    loss: float
    validation: float | None
    tokens_per_second: float
    is_saved: bool


@dataclass
class Outcome:
    """What a run came to."""

    step: int
    loss: float
    validation: float
    seconds: float
    folder: Path
    was_stopped: bool = False


@dataclass
class _Run:
    """All that changes while a model is trained."""

    settings: TrainSettings
    package: Package
    tokenizer: Tokenizer
    model: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    step: int = 0
    losses: list[float] = field(default_factory=list)
    validations: list[tuple[int, float]] = field(default_factory=list)


def train(
    settings: TrainSettings,
    package: Package,
    out: Path,
    *,
    resume: checkpoint.Checkpoint | None = None,
    say: Callable[[str], None] = print,
    told: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Train a model on a text and leave checkpoints, `losses.csv` and `loss.png` in `out`.

    Args:
        resume: a checkpoint to go on from, with the settings it holds or compatible ones.
        say: hears what a reader should know once.
        told: hears of every step.

    Raises:
        ModelError: the run cannot start or go on. The newest checkpoint still counts.
    """
    device = hardware.choose_device(settings.device)
    dtype = hardware.choose_dtype(settings.dtype, device)
    with started_ranks(settings.batch_size, settings.n_chunks, device) as ranks:
        say = say if ranks.is_first else (lambda text: None)
        run = _start(settings, package, device, resume, ranks)
        training, validation = _tokens(run, device)
        say(
            f"{package.name}.GPT with {_n_parameters(run):,} parameters on "
            f"{hardware.describe(device, dtype)}"
            + (f" × {ranks.size} processes" if ranks.size > 1 else "")
            + (f", from step {run.step} on" if run.step else "")
        )
        with _stop_when_asked() as was_asked:
            return _loop(run, training, validation, device, dtype, ranks, out, told, was_asked)


def _start(settings, package, device, resume, ranks: Ranks) -> _Run:
    """A new run, or the one that a checkpoint holds."""
    torch.manual_seed(settings.seed)
    if resume:
        tokenizer = make_tokenizer(package, resume.state["tokenizer"])
    else:
        tokenizer = fit_tokenizer(package, settings.tokenizer, read_text(settings.text))
    model = package.build(**settings.model_sizes(tokenizer.vocab_size)).to(device)
    model = package.run_by(model, settings.attention)
    groups = package.component("training", "decay_groups")(model, settings.weight_decay)
    optimizer = torch.optim.AdamW(
        groups, lr=settings.max_lr, betas=(0.9, settings.beta2), fused=device.type != "mps"
    )
    generator = torch.Generator().manual_seed(settings.seed)
    run = _Run(settings, package, tokenizer, model, optimizer, generator)
    torch.manual_seed(settings.seed + ranks.rank)  # dropout falls differently in each process
    if resume:
        checkpoint.fill(model, resume.weights, "the checkpoint")
        checkpoint.fill_optimizer(optimizer, resume.optimizer)
        state = resume.state
        run.step, run.losses = state["step"], state["losses"]
        run.validations = [tuple(pair) for pair in state["validations"]]
        generator.set_state(_bytes(state["batches"]))
        if ranks.size == 1:
            torch.set_rng_state(_bytes(state["chance"]))
    return run


def _tokens(run: _Run, device) -> tuple[Tensor, Tensor]:
    settings = run.settings
    text = read_text(settings.text)
    training, validation = split_tokens(run.tokenizer, text, settings.context_length, settings.text)
    return training.to(device), validation.to(device)


def _loop(run, training, validation, device, dtype, ranks, out, told, was_asked) -> Outcome:
    settings, package = run.settings, run.package
    get_batch = package.component("training", "get_batch")
    rate = package.component("training", "learning_rate")
    train_step = package.component("training", "train_step")
    wants_compile = settings.compile == "yes" or (
        settings.compile == "auto" and device.type == "cuda"
    )
    model = ranks.wrap(torch.compile(run.model) if wants_compile else run.model)
    run.model.train()
    n_tokens = settings.batch_size * settings.context_length
    started, first_step, loss, is_stopping = time.perf_counter(), run.step, math.nan, False
    while run.step < settings.n_steps and not is_stopping:
        lr = rate(
            run.step,
            max_lr=settings.max_lr,
            min_lr=settings.min_lr,
            warmup_steps=settings.warmup_steps,
            total_steps=settings.n_steps,
        )
        for group in run.optimizer.param_groups:
            group["lr"] = lr
        inputs, targets = get_batch(
            training, settings.batch_size, settings.context_length, generator=run.generator
        )
        try:
            loss = train_step(
                model,
                run.optimizer,
                ranks.rows(inputs),
                ranks.rows(targets),
                max_grad_norm=settings.max_grad_norm,
                n_chunks=settings.n_chunks,
                autocast_dtype=None if dtype == torch.float32 else dtype,
            )
        except FloatingPointError as error:
            raise ModelError(
                f"step {run.step}: {error} {_newest(out)} A smaller --max-lr or a longer "
                "--warmup-steps helps."
            ) from None
        loss = ranks.mean(loss, device)
        run.step += 1
        run.losses.append(loss)
        is_stopping = ranks.any(bool(was_asked), device)
        is_time = run.step % settings.save_every == 0 or run.step == settings.n_steps
        if is_time or is_stopping:
            run.validations.append((run.step, _validate(run, validation, device, dtype)))
            if ranks.is_first:
                _save(run, out)
        seconds = time.perf_counter() - started
        told(
            Progress(
                step=run.step,
                n_steps=settings.n_steps,
                loss=loss,
                validation=run.validations[-1][1] if run.validations else None,
                tokens_per_second=(run.step - first_step) * n_tokens / seconds,
                is_saved=is_time or is_stopping,
            )
        )
    if not run.validations or run.validations[-1][0] != run.step:  # nothing was left to do
        run.validations.append((run.step, _validate(run, validation, device, dtype)))
    return Outcome(
        step=run.step,
        loss=run.losses[-1] if run.losses else math.nan,
        validation=run.validations[-1][1],
        seconds=time.perf_counter() - started,
        folder=out,
        was_stopped=run.step < settings.n_steps,
    )


def _validate(run: _Run, tokens: Tensor, device, dtype) -> float:
    """The loss on the text that is held back."""
    evaluate = run.package.component("training", "evaluate")
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        return evaluate(
            run.model,
            tokens,
            context_length=run.settings.context_length,
            batch_size=run.settings.batch_size,
        )


def _save(run: _Run, out: Path) -> None:
    state = {
        "step": run.step,
        "settings": asdict(run.settings),
        "tokenizer": run.tokenizer.spec,
        "losses": run.losses,
        "validations": run.validations,
        "batches": run.generator.get_state().tolist(),
        "chance": torch.get_rng_state().tolist(),
    }
    weights = checkpoint.weights_of(run.model)
    optimizer = checkpoint.optimizer_tensors(run.optimizer)
    checkpoint.save(out, checkpoint.Checkpoint(state, weights, optimizer))
    with contextlib.suppress(OSError), open(out / "losses.csv", "w", newline="") as file:
        held_back = dict(run.validations)
        rows = csv.writer(file)
        rows.writerow(["step", "loss", "validation_loss"])
        for number, loss in enumerate(run.losses, start=1):
            rows.writerow([number, f"{loss:.6f}", held_back.get(number, "")])


def _newest(out: Path) -> str:
    try:
        step = checkpoint.load(out).state["step"]
    except ModelError:
        return "Nothing was saved yet."
    return f"The checkpoint of step {step} is kept."


@contextlib.contextmanager
def _stop_when_asked() -> Iterator[list]:
    """A list that is no longer empty once Ctrl-C or a kill has asked the run to stop.

    The step that is under way is finished and saved. Asked twice, it stops at once.
    """
    was_asked: list[int] = []

    def note(number, frame):
        if was_asked:
            raise KeyboardInterrupt
        was_asked.append(number)

    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread: nobody sends signals there
        before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield was_asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _n_parameters(run: _Run) -> int:
    return run.package.component("model", "n_parameters")(run.model)


def _bytes(numbers: list[int]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.uint8)
