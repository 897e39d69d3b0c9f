"""Observe a KV cache and what is built on it: a script of steps, each written down.

Each step gives an observation, whose `value` is the length of the cache after it, and whatever
else the verb says. The verbs are the methods of the subject's class below.

Work is seen through values, not counters: a model whose weights change between two steps, and one
whose embeddings grow with the number of positions it has seen, give recomputing away.
"""

import contextlib
import operator

import torch
from torch import Tensor, nn

from ..calls import ScriptCall
from ..given.trained import set_in_evaluation
from ..load.answer import describe_error
from ..load.lent import lent
from ..load.namespace import namespace_of
from ..observations import Observation, blank
from ..watches.devices import DeviceWatch
from . import record


def observe_script(component, call: ScriptCall, seen: Observation) -> None:
    """Go through the script, without gradients but where a step says otherwise."""
    seen["steps"] = []
    with torch.no_grad(), default_dtype(call.get("default_dtype", "float32")):
        subject = SUBJECTS[call["subject"]](component, call)
        for step in call["steps"]:
            written = blank()
            subject.seen = written
            try:
                getattr(subject, step["do"])(step)
            except (Exception, SystemExit) as error:
                written["error"] = describe_error(error)
            written["value"] = subject.value()
            seen["steps"].append(written)
    if call.get("watch_devices"):
        seen["mixed_devices"] = subject.watch.mixed[:4]
        seen["unplaced_outputs"] = subject.unplaced


@contextlib.contextmanager
def default_dtype(name: str):
    """Tensors that are made without a dtype get this one meanwhile."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(record.DTYPES[name])
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class Subject:
    """What all scripts have in common: calls of the component, under watch if asked."""

    def __init__(self, component, call):
        self.component, self.call, self.seen = component, call, {}
        self.dtype, self.device = record.DTYPES[call["dtype"]], torch.device(call["device"])
        self.watch = DeviceWatch() if call.get("watch_devices") else contextlib.nullcontext()
        self.unplaced = []
        self.prepare()

    def ask(self, asked, *args, **kwargs):
        """Call `asked`, and write down what it returns and which arguments it changed."""
        before = [record.copy_of(arg) for arg in args]
        try:
            with self.watch:
                result = asked(*args, **kwargs)
        finally:
            record.record_changes(args, before, self.seen)
        self.write(result)
        parts = result if isinstance(result, (tuple, list)) else [result]
        if isinstance(self.watch, DeviceWatch):
            self.unplaced += [n for n, part in enumerate(parts) if self.watch.is_unplaced(part)]
        return result

    def write(self, result) -> None:
        record.record_result(result, self.seen)

    def tensors(self, step: dict, *names: str) -> list[Tensor]:
        return [record.tensor_of(step[name], self.call) for name in names]

    def reference(self, sizes):
        make = lent("caches").reference_cache
        return make(self.component, *sizes, dtype=self.dtype, device=self.device)

    def value(self):
        """What is written down after every step besides what came back."""
        return None


class Cache(Subject):
    """`KVCache` itself: several of them, each made from sizes."""

    def prepare(self) -> None:
        given = {"dtype": self.dtype, "device": self.device}
        options = {name: given[name] for name in self.call["cache_kwargs"]}
        with self.watch:
            self.caches = [self.component(*sizes, **options) for sizes in self.call["caches"]]
        self.asked, self.returned = [], []

    def append(self, step) -> None:
        """Append keys and values to a cache; the answer is kept, for a look at it later."""
        self.asked.append(self.tensors(step, "k", "v"))
        self.returned.append(None)
        self.returned[-1] = self.ask(self.caches[step["cache"]].append, *self.asked[-1])

    def reset(self, step) -> None:
        self.caches[step["cache"]].reset()

    def overwrite(self, step) -> None:
        """Write something else into what was given to an earlier append."""
        for tensor in self.asked[step["append"]]:
            tensor.fill_(7.0)

    def write_through(self, step) -> None:
        """Write into what an earlier append returned: into the cache, if it is a view."""
        for tensor in self.returned[step["append"]]:
            tensor.fill_(7.0)

    def look(self, step) -> None:
        """What an earlier append returned, as it is now."""
        self.write(self.returned[step["append"]])

    def value(self):
        return [length(cache) for cache in self.caches]


class Attention(Subject):
    """`cached_attention`, with caches of the observer's."""

    def prepare(self) -> None:
        self.caches = [self.reference(sizes) for sizes in self.call["caches"]]

    def attend(self, step) -> None:
        self.ask(self.component, *self.tensors(step, "q", "k", "v"), self.caches[step["cache"]])

    def fill(self, step) -> None:
        """Append without the component, as if there had been a text before."""
        self.caches[step["cache"]].append(*self.tensors(step, "k", "v"))

    def reset(self, step) -> None:
        self.caches[step["cache"]].reset()

    def holds(self, step) -> None:
        """What a cache holds now."""
        cache = self.caches[step["cache"]]
        self.write((cache.keys[:, :, : cache.length], cache.values[:, :, : cache.length]))

    def value(self):
        return [length(cache) for cache in self.caches]


class Model(Subject):
    """A component that is given a model: verbs that say what became of it."""

    def prepare(self) -> None:
        self.model = lent("growing").build_model(self.call["model"], self.dtype).to(self.device)
        self.weights = {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def call_model(self, step) -> None:
        """The model alone, without a cache."""
        self.start_counting()
        self.write(self.model(*self.tensors(step, "ids")))

    def weights_changed(self, step) -> None:
        """How many parameters are not what they were."""
        now = dict(self.model.named_parameters())
        same = [name in now and torch.equal(now[name], p) for name, p in self.weights.items()]
        self.write(float(len(same) - sum(same) + len(now.keys() - self.weights.keys())))

    def roll_weights(self, step) -> None:
        lent("growing").roll_weights(self.model)

    def train(self, step) -> None:
        self.model.train()

    def count_in_evaluation(self, step) -> None:
        """How many parts of the model are in evaluation mode."""
        self.write(float(sum(not part.training for part in self.model.modules())))

    def start_counting(self) -> None:
        self.model.embeddings.token.n_seen = 0


class Logits(Model):
    """`cached_logits`, with lists of caches, one cache a block, that are the observer's."""

    def prepare(self) -> None:
        super().prepare()
        n_blocks = len(self.model.blocks)
        self.lists = [
            [self.reference(sizes) for _ in range(n_blocks)] for sizes in self.call["caches"]
        ]

    def feed(self, step) -> None:
        self.ask(self.component, self.model, *self.tensors(step, "ids"), self.lists[step["caches"]])

    def reset(self, step) -> None:
        for cache in self.lists[step["caches"]]:
            cache.reset()

    def value(self):
        return [[length(cache) for cache in caches] for caches in self.lists]


class Generation(Model):
    """`generate_cached`: texts, and the model's mode and gradients before, inside and after."""

    def prepare(self) -> None:
        super().prepare()
        self.inside, self.calls_left, self.n_texts = [], None, 0
        for part in self.model.modules():  # a function is not copied where the model is
            part.register_forward_pre_hook(lambda part, args: self.note(part))

    def note(self, part: nn.Module) -> None:
        """Write down in which mode a part of the model is, whenever it is used."""
        self.inside.append((part.training, torch.is_grad_enabled()))
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise ArithmeticError("the model breaks down here, as it was made to")

    def generate(self, step) -> None:
        self.start_counting()
        self.model.train(step["training"])
        set_in_evaluation(self.model, step["in_evaluation"])
        self.calls_left = step["breaks_after"]
        self.inside.clear()
        self.n_texts += 1
        torch.manual_seed(self.n_texts)  # tokens that are drawn from elsewhere show
        try:
            with torch.enable_grad():
                self.ask(
                    self.component,
                    self.model,
                    *self.tensors(step, "ids"),
                    step["n_new"],
                    **self.sampling(step),
                )
        finally:
            self.calls_left = None

    def replay(self, step) -> None:
        """The text that recomputing gives, with the sampling function that the cell knows."""
        sample = namespace_of(self.component).get("sample")
        (ids,) = self.tensors(step, "ids")
        if not callable(sample):
            return
        self.model.eval()
        sampling = self.sampling(step)
        for _ in range(step["n_new"]):
            self.start_counting()
            new = sample(self.model(ids)[:, -1], **sampling)
            ids = torch.cat([ids, new[:, None]], dim=1)
        self.write(ids)

    def sampling(self, step) -> dict:
        sampling = dict(step["sampling"])
        if step["seed"] is not None:
            sampling["generator"] = torch.Generator(self.device).manual_seed(step["seed"])
        return sampling

    def value(self):
        return {
            "training inside": any(training for training, _ in self.inside),
            "gradients inside": any(gradients for _, gradients in self.inside),
            "training after": [part.training for part in self.model.modules()],
        }


def length(cache):
    """The cache's length as a number; what is none, by its kind."""
    found = getattr(cache, "length", None)
    try:
        return int(operator.index(found))
    except (TypeError, ValueError, RuntimeError):
        return {"other": record.type_name(found)}


SUBJECTS = {
    "KVCache": Cache,
    "cached_attention": Attention,
    "cached_logits": Logits,
    "generate_cached": Generation,
}
