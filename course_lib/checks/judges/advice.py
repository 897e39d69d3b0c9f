"""What is only noted down inside a submission's interpreter: it may cost points, and earns none.

A submission can write over such a note. So no group of points rests on notes alone, and nothing is
listed here that values can show: what a component returns, what is left of its arguments, how a
model answers afterwards, what the kernel lets it have.
"""

NOTES = {
    "mixed_devices": "where a class is graded there may be no second device",
    "unplaced_outputs": "where a class is graded there may be no second device",
    "peaks": "tells at the desk how much was held; in class the kernel gives no more",
    "too_many": "tells at the desk of what too much was held; in class the kernel gives no more",
    "calls": "a call whose result is thrown away leaves nothing",
    "inside": "words for what the text shows, where the model heeds mode and gradients",
    "afterwards": "words for what the model's logits show afterwards",
    "torchs_own_kept": "the state of torch's generator is in the same process",
    "trainable": "a tensor that is no parameter gets no gradient, which shows",
    "same_tensor": "words for a parameter that is missing among those that learn",
    "attributes": "kinds of parts, and which tensors are one: no number depends on them",
    "x_requires_grad": "a switch on a tensor; its values are compared",
    "parameters_still_train": "a switch on a tensor; its values are compared",
    "in_training_without_targets": "words for what the model's logits show afterwards",
    "still_training": "words for what dropout shows",
    "positions": "counted by a hook that can be taken off",
    "changed": "what is left of the arguments comes back and is compared; this may only add to it",
    "reason": "is never judged, only told",
}
FACTS = {
    "modes_during": "words for what the loss shows",
    "in_training_after": "words for what the model's logits show afterwards",
    "gradients_during": "words for what the loss shows",
    "gradients_after": "words for what the model's logits show afterwards",
    "too_many_rows": "words for what the loss shows",
    "weights_kept": "words for what the model's logits show afterwards",
    "gradients_kept": "words for the gradients, which come back",
    "frozen_after": "a switch on a tensor; its values are compared",
    "autocast": "words for what the loss shows",
    "rows": "words for what the loss shows",
    "lr": "a number of the optimizer; what it does to weights is compared",
    "dtypes": "the dtype of weights, whose values are compared",
    "moved": "the state of the other sources of chance is in the same process",
    "kinds": "types and shapes of batches, which come back as well",
    "training inside": "words for what the text shows",
    "gradients inside": "words for what the text shows",
    "training after": "words for what the model's logits show afterwards",
}
# Rules that rest on notes alone, with why: of each group of points they are a part beside others.
_DEVICE = "where a class is graded there may be no second device"
RULES = {
    ("attention", "every tensor is made on the device of the inputs"): _DEVICE,
    ("causal_mask", "the mask is made on the given device"): _DEVICE,
    ("KVCache", "it is on the device that is given"): _DEVICE,
    ("sliding_window_mask", "the mask is made on the given device"): _DEVICE,
    ("pre_norm", "norm and sublayer are called once each"): NOTES["calls"],
    ("post_norm", "norm and sublayer are called once each"): NOTES["calls"],
}
