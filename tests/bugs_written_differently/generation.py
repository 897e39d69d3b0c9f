"""The bugs of lesson 9's first half in other words."""

import torch
import torch.nn.functional as F

from course_lib.transformer.generation import keep_top_k, keep_top_p, sample

from . import same_bug_as

NEVER = float("-inf")


# --- keep_top_k ------------------------------------------------------------------------------


def _need_a_k(k):
    if k < 1:
        raise ValueError(f"k is at least 1, not k={k}")


@same_bug_as("keeps_the_lowest")
def sorted_the_wrong_way(logits, k):
    _need_a_k(k)
    ranks = logits.argsort(dim=-1).argsort(dim=-1)
    return torch.where(ranks < k, logits, NEVER)


@same_bug_as("drops_the_threshold")
def strictly_above_the_kth(logits, k):
    _need_a_k(k)
    k = min(k, logits.size(1))
    kth = logits.sort(dim=1, descending=True).values[:, k - 1].unsqueeze(1)
    return torch.where(logits > kth, logits, torch.full_like(logits, NEVER))


@same_bug_as("drops_to_zero")
def a_mask_of_ones(logits, k):
    _need_a_k(k)
    places = logits.topk(min(k, logits.size(1))).indices
    return torch.zeros_like(logits).scatter(1, places, logits.gather(1, places))


@same_bug_as("takes_the_first_rows_threshold")
def threshold_of_one_row(logits, k):
    _need_a_k(k)
    ordered = sorted(logits[0].tolist(), reverse=True)
    return logits.masked_fill(logits < ordered[min(k, len(ordered)) - 1], NEVER)


@same_bug_as("takes_the_k_highest_of_the_batch")
def flattened(logits, k):
    _need_a_k(k)
    best = logits.reshape(-1).topk(min(k, logits.size(1))).indices
    out = torch.full_like(logits, NEVER).reshape(-1)
    return out.scatter(0, best, logits.reshape(-1)[best]).reshape(logits.shape)


@same_bug_as("cannot_take_more_than_there_is")
def asks_topk_for_anything(logits, k):
    _need_a_k(k)
    values, places = torch.topk(logits, k)
    return torch.full_like(logits, NEVER).scatter(1, places, values)


@same_bug_as("returns_the_highest_alone")
def the_front_of_the_sorted(logits, k):
    _need_a_k(k)
    return logits.sort(dim=-1, descending=True)[0][:, :k]


@same_bug_as("leaves_them_sorted")
def best_first(logits, k):
    _need_a_k(k)
    best = logits.topk(min(k, logits.size(1))).values
    return F.pad(best, (0, logits.size(1) - best.size(1)), value=NEVER)


@same_bug_as("filters_in_place")
def masked_fill_with_an_underscore(logits, k):
    _need_a_k(k)
    kth = logits.topk(min(k, logits.size(1))).values[:, [-1]]
    return logits.masked_fill_(logits < kth, NEVER)


# --- keep_top_p ------------------------------------------------------------------------------


def _need_a_p(p):
    if p <= 0 or p > 1:
        raise ValueError(f"p is a share, not p={p}")


def _sorted(logits):
    wide = logits.double()
    ordered, order = torch.sort(wide, dim=1, descending=True)
    return F.softmax(ordered, dim=1), order


def _put_back(logits, keep, order):
    where = torch.empty_like(keep).scatter_(1, order, keep)
    return torch.where(where, logits, NEVER)


@same_bug_as("drops_the_crossing_token")
def while_below_p(logits, p):
    _need_a_p(p)
    probabilities, order = _sorted(logits)
    keep = torch.cumsum(probabilities, dim=1) <= (p if p < 1 else 2)
    return _put_back(logits, keep, order)


@same_bug_as("drops_the_crossing_token_but_the_first")
def while_below_p_but_one(logits, p):
    _need_a_p(p)
    probabilities, order = _sorted(logits)
    keep = torch.cumsum(probabilities, dim=1) <= (p if p < 1 else 2)
    keep[:, :1] = True
    return _put_back(logits, keep, order)


@same_bug_as("keeps_one_too_many")
def two_beyond(logits, p):
    _need_a_p(p)
    probabilities, order = _sorted(logits)
    n_kept = (probabilities.cumsum(1) < p).sum(1, keepdim=True) + 2
    return _put_back(logits, torch.arange(logits.size(1), device=logits.device) < n_kept, order)


@same_bug_as("compares_each_token_with_p")
def likely_enough_alone(logits, p):
    _need_a_p(p)
    probabilities = F.softmax(logits.double(), dim=1)
    keep = (probabilities >= p) | (p == 1)
    keep = keep.scatter(1, probabilities.argmax(1, keepdim=True), True)
    return torch.where(keep, logits, NEVER)


@same_bug_as("leaves_the_filter_sorted")
def counts_and_cuts(logits, p):
    _need_a_p(p)
    probabilities, _ = _sorted(logits)
    keep = probabilities.cumsum(1) - probabilities < (p if p < 1 else 2)
    return torch.where(keep, logits, NEVER)


@same_bug_as("returns_them_sorted")
def gathers_and_keeps_it_so(logits, p):
    _need_a_p(p)
    probabilities, order = _sorted(logits)
    keep = probabilities.cumsum(1) - probabilities < (p if p < 1 else 2)
    return torch.where(keep, logits.gather(1, order), NEVER)


@same_bug_as("sorts_upwards")
def argsort_from_below(logits, p):
    _need_a_p(p)
    order = logits.argsort(dim=1)
    probabilities = F.softmax(logits.double(), dim=1).gather(1, order)
    keep = probabilities.cumsum(1) - probabilities < (p if p < 1 else 2)
    return _put_back(logits, keep, order)


@same_bug_as("sums_without_sorting")
def running_sum_over_ids(logits, p):
    _need_a_p(p)
    sums = F.softmax(logits.double(), dim=1).cumsum(1)
    keep = F.pad(sums[:, :-1], (1, 0)) < (p if p < 1 else 2)
    return torch.where(keep, logits, NEVER)


@same_bug_as("drops_to_a_logit_of_zero")
def times_a_mask(logits, p):
    _need_a_p(p)
    probabilities, order = _sorted(logits)
    keep = probabilities.cumsum(1) - probabilities < (p if p < 1 else 2)
    return torch.where(keep.gather(1, order.argsort(1)), logits, 0.0)


@same_bug_as("filters_the_callers_logits")
def in_the_callers_rows(logits, p):
    _need_a_p(p)
    probabilities, order = _sorted(logits)
    drop = probabilities.cumsum(1) - probabilities >= (p if p < 1 else 2)
    return logits.masked_fill_(drop.gather(1, order.argsort(1)), NEVER)


# --- sample ----------------------------------------------------------------------------------


def _filtered(scaled, top_k, top_p):
    scaled = keep_top_k(scaled, top_k) if top_k else scaled
    return keep_top_p(scaled, top_p) if top_p else scaled


def _by_gumbel(scaled, generator):
    """One token a row, by the highest of logit and noise."""
    u = torch.rand(scaled.shape, generator=generator, dtype=torch.float64, device=scaled.device)
    return (scaled - (-u.log()).log()).argmax(dim=1)


def _may_not_be_negative(temperature):
    if temperature < 0:
        raise ValueError(f"temperature is 0 or more, not temperature={temperature}")


@same_bug_as("multiplies_by_the_temperature")
def hotter_is_larger(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    return _by_gumbel(_filtered(logits.double() * temperature, top_k, top_p), generator)


@same_bug_as("divides_the_probabilities")
def forgets_the_temperature(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    return _by_gumbel(_filtered(logits.double(), top_k, top_p), generator)


@same_bug_as("applies_the_temperature_twice")
def before_and_after(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    scaled = _filtered(logits.double() / temperature, top_k, top_p)
    return _by_gumbel(scaled / temperature, generator)


@same_bug_as("filters_before_the_temperature")
def temperature_last(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    return _by_gumbel(_filtered(logits.double(), top_k, top_p) / temperature, generator)


@same_bug_as("filters_in_the_other_order")
def both_filters_look_at_everything(
    logits, *, temperature=1.0, top_k=None, top_p=None, generator=None
):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    scaled = logits.double() / temperature
    by_k, by_p = _filtered(scaled, top_k, None), _filtered(scaled, None, top_p)
    return _by_gumbel(torch.minimum(by_k, by_p), generator)


@same_bug_as("returns_places_among_the_top_k")
def forgets_the_indices(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    scaled = logits.double() / temperature
    if top_k:
        scaled, _indices = torch.topk(scaled, min(top_k, scaled.size(1)))
    return _by_gumbel(_filtered(scaled, None, top_p), generator)


@same_bug_as("never_draws")
def takes_the_first_of_the_sorted(
    logits, *, temperature=1.0, top_k=None, top_p=None, generator=None
):
    _may_not_be_negative(temperature)
    return logits.argsort(dim=1, descending=True)[:, 0]


@same_bug_as("draws_from_logits")
def weights_are_weights(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    scaled = _filtered(logits.double() / temperature, top_k, top_p)
    scaled = scaled - scaled.amax(dim=1, keepdim=True)
    return torch.multinomial(scaled, 1, generator=generator)[:, 0]


@same_bug_as("takes_softmax_twice")
def softmax_for_good_measure(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities = F.softmax(_filtered(wide / temperature, top_k, top_p), dim=1)
    return torch.multinomial(probabilities.softmax(1), 1, generator=generator).view(-1)


@same_bug_as("draws_with_the_global_generator")
def draws_with_torchs_own(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    return _by_gumbel(_filtered(logits.double() / temperature, top_k, top_p), None)


@same_bug_as("begins_anew_each_time")
def one_seed_for_ever(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    own = torch.Generator(device=logits.device)
    own.manual_seed(0)
    return _by_gumbel(_filtered(logits.double() / temperature, top_k, top_p), own)


@same_bug_as("has_no_case_for_zero")
def zero_is_a_temperature(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    wide = logits.double()
    probabilities = F.softmax(
        _filtered((wide - wide.max(1, True)[0]) / temperature, top_k, top_p), 1
    )
    return torch.multinomial(probabilities, num_samples=1, generator=generator)[:, 0]


@same_bug_as("returns_a_column")
def forgets_to_squeeze(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.topk(1).indices
    return _by_gumbel(_filtered(logits.double() / temperature, top_k, top_p), generator)[:, None]


@same_bug_as("ignores_top_k")
def only_the_nucleus(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    return _by_gumbel(_filtered(logits.double() / temperature, None, top_p), generator)


@same_bug_as("filters_by_one_of_the_two")
def k_or_p(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    _may_not_be_negative(temperature)
    if temperature == 0:
        return logits.argmax(1)
    scaled = _filtered(logits.double() / temperature, top_k, None if top_k else top_p)
    return _by_gumbel(scaled, generator)


# --- generate --------------------------------------------------------------------------------


def _grow(model, ids, n_new, sampling, *, window=None, at=-1, training=False, gradients=False):
    """The loop, with places where it can go wrong."""
    if ids.numel() == 0:
        raise ValueError("ids is empty")
    if n_new < 0:
        raise ValueError(f"n_new is 0 or more, not n_new={n_new}")
    window = window or (lambda text: text[:, -model.config.context_length :])
    modes = [module.training for module in model.modules()]
    try:
        model.train(training and model.training)
        with torch.set_grad_enabled(gradients):
            text = ids
            for _ in range(n_new):
                logits = model(window(text))
                place = at if at >= -logits.size(1) else 0
                text = torch.hstack([text, sample(logits[:, place], **sampling).unsqueeze(1)])
    finally:
        for module, mode in zip(model.modules(), modes, strict=True):
            module.training = mode
    return text


@same_bug_as("reads_the_first_position")
def predicts_from_the_start(model, ids, n_new, **sampling):
    return _grow(model, ids, n_new, sampling, at=0)


@same_bug_as("reads_the_position_before_the_last")
def predicts_from_one_before(model, ids, n_new, **sampling):
    return _grow(model, ids, n_new, sampling, at=-2)


@same_bug_as("does_not_crop")
def gives_all_it_has(model, ids, n_new, **sampling):
    return _grow(model, ids, n_new, sampling, window=lambda text: text)


@same_bug_as("crops_the_end_off")
def keeps_the_beginning(model, ids, n_new, **sampling):
    length = model.config.context_length
    return _grow(model, ids, n_new, sampling, window=lambda text: text.narrow(1, 0, min(
        length, text.size(1))))  # fmt: skip


@same_bug_as("crops_one_too_many")
def leaves_room(model, ids, n_new, **sampling):
    length = max(1, model.config.context_length - 1)
    return _grow(model, ids, n_new, sampling, window=lambda text: text[:, -length:])


@same_bug_as("returns_the_cropped_text")
def forgets_the_beginning(model, ids, n_new, **sampling):
    text = _grow(model, ids, n_new, sampling)
    if n_new == 0:
        return text
    return text[:, -min(text.size(1), model.config.context_length + 1) :]


@same_bug_as("returns_without_the_prompt")
def without_the_prompt(model, ids, n_new, **sampling):
    return _grow(model, ids, n_new, sampling)[:, ids.size(1) :]


@same_bug_as("does_not_evaluate")
def leaves_the_mode_alone(model, ids, n_new, **sampling):
    return _grow(model, ids, n_new, sampling, training=True)


@same_bug_as("stays_in_evaluation")
@torch.no_grad()
def evaluates_for_good(model, ids, n_new, **sampling):
    text = _grow(model, ids, 0, sampling)
    model.train(False)
    return text if n_new == 0 else _grow(model, ids, n_new, sampling)


@same_bug_as("always_goes_back_to_training")
def trains_in_the_end(model, ids, n_new, **sampling):
    _grow(model, ids, min(n_new, 0), sampling)
    model.eval()
    text = _grow(model, ids, n_new, sampling)
    model.train(True)
    return text


@same_bug_as("restores_only_without_errors")
def restores_at_the_bottom(model, ids, n_new, **sampling):
    before = model.training
    text = _grow(model, ids, 0, sampling)
    model.eval()
    text = _grow(model, ids, n_new, sampling)
    model.train(before)
    return text


@same_bug_as("keeps_recording_gradients")
def with_gradients(model, ids, n_new, **sampling):
    return _grow(model, ids, n_new, sampling, gradients=True)


@same_bug_as("drops_the_options")
def has_options_of_its_own(model, ids, n_new, temperature=1.0, **sampling):
    return _grow(model, ids, n_new, {})


@same_bug_as("drops_the_generator")
def passes_three_of_four(model, ids, n_new, *, temperature=1.0, top_k=None, top_p=None, **others):
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    return _grow(model, ids, n_new, options)


@same_bug_as("feeds_the_prompt_alone")
def never_looks_at_the_new(model, ids, n_new, **sampling):
    length = model.config.context_length
    return _grow(model, ids, n_new, sampling, window=lambda text: ids[:, -length:])


@same_bug_as("feeds_the_newest_token_alone")
def one_token_is_enough(model, ids, n_new, **sampling):
    length, n_prompt = model.config.context_length, ids.size(1)

    def window(text):
        return text[:, -length:] if text.size(1) == n_prompt else text[:, -1:]

    return _grow(model, ids, n_new, sampling, window=window)


@same_bug_as("counts_the_prompt")
def up_to_a_length(model, ids, n_new, **sampling):
    n_left = n_new if n_new < 0 else max(0, n_new - ids.size(1))
    return _grow(model, ids, n_left, sampling)


@same_bug_as("writes_one_too_many")
def off_by_one(model, ids, n_new, **sampling):
    return _grow(model, ids, n_new if n_new < 0 else n_new + 1, sampling)


@same_bug_as("takes_a_negative_n_new")
def never_less_than_nothing(model, ids, n_new, **sampling):
    return _grow(model, ids, max(n_new, 0), sampling)
