"""What the right answer is, by torch's own functions in float64. Nothing here is the course's.

Weights come from `scaled_dot_product_attention` as well: attention over an identity matrix
of values returns the weights themselves.
"""

import numpy as np
import torch
import torch.nn.functional as F


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """torch's softmax along `axis`."""
    return torch.softmax(torch.from_numpy(x), dim=axis).numpy()


def attention(q, k, v, mask=None) -> tuple[np.ndarray, np.ndarray]:
    """`(output, weights)`; rows with nothing to attend to are zeros."""
    output, weights = _attention(*map(torch.from_numpy, (q, k, v)), mask)
    return output.numpy(), weights.numpy()


def attention_gradients(q, k, v, cotangents, mask=None) -> dict[str, np.ndarray]:
    """Gradients of the sum of output and weights, each times its cotangent."""
    tensors = [torch.from_numpy(a).requires_grad_() for a in (q, k, v)]
    return _gradients(_attention(*tensors, mask), tensors, cotangents)


def masked_softmax(scores, mask) -> np.ndarray:
    """Softmax over what the mask allows; rows that allow nothing are zeros."""
    return _masked_softmax(torch.from_numpy(scores), mask).numpy()


def masked_softmax_gradients(scores, mask, cotangent) -> dict[str, np.ndarray]:
    """The gradient of the scores."""
    tensor = torch.from_numpy(scores).requires_grad_()
    return _gradients([_masked_softmax(tensor, mask)], [tensor], [cotangent])


def self_attention(x, weights: dict, *, causal: bool) -> np.ndarray:
    """One head over `x`, with linear layers given by their weights."""
    return _self_attention(torch.from_numpy(x), _parameters(weights), causal).numpy()


def self_attention_gradients(x, weights, cotangent, *, causal: bool) -> dict[str, np.ndarray]:
    """Gradients of `x` ("argument 0") and of every weight, by name."""
    tensor = torch.from_numpy(x).requires_grad_()
    parameters = {name: p.requires_grad_() for name, p in _parameters(weights).items()}
    output = _self_attention(tensor, parameters, causal)
    found = _gradients([output], [tensor, *parameters.values()], [cotangent])
    return dict(zip(["argument 0", *parameters], found.values(), strict=True))


def influence(fn, x) -> np.ndarray:
    """Norms of the blocks of the Jacobian, one reverse pass for each number that `fn` returns."""
    point = torch.from_numpy(x).requires_grad_()
    output = fn(point)
    rows = [torch.autograd.grad(y, point, retain_graph=True)[0] for y in output.flatten()]
    n_positions, width = x.shape
    blocks = torch.stack(rows).reshape(n_positions, -1, n_positions, width).transpose(1, 2)
    return torch.linalg.matrix_norm(blocks).numpy()


def _attention(q, k, v, mask):
    identity = torch.eye(k.shape[-2], dtype=k.dtype).expand(*k.shape[:-1], k.shape[-2])
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v), F.scaled_dot_product_attention(
            q, k, identity
        )
    allowed = torch.from_numpy(mask)
    some = allowed.any(dim=-1, keepdim=True)
    attend = [
        F.scaled_dot_product_attention(q, k, values, attn_mask=allowed | ~some)
        for values in (v, identity)
    ]
    return tuple(torch.where(some, result, 0.0) for result in attend)


def _masked_softmax(scores, mask):
    allowed = torch.from_numpy(mask).expand(scores.shape)
    some = allowed.any(dim=-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(~(allowed | ~some), -torch.inf), dim=-1)
    return torch.where(some, weights, 0.0)


def _parameters(weights: dict) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array).clone() for name, array in weights.items()}


def _self_attention(x, parameters, causal):
    q, k, v = (F.linear(x, parameters[f"{name}.weight"]) for name in ("query", "key", "value"))
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def _gradients(outputs, inputs, cotangents) -> dict[str, np.ndarray]:
    total = sum(
        (output * torch.from_numpy(cotangent)).sum()
        for output, cotangent in zip(outputs, cotangents, strict=True)
        if cotangent is not None
    )
    found = torch.autograd.grad(total, inputs)
    return {f"argument {n}": gradient.numpy() for n, gradient in enumerate(found)}


def multi_head(x, weights: dict, n_heads: int, mask=None) -> np.ndarray:
    """Multi-head self-attention with the weights of `.qkv` and `.out`; biases may be missing."""
    return _multi_head(torch.from_numpy(x), _parameters(weights), n_heads, mask).numpy()


def multi_head_gradients(x, weights, n_heads, cotangent, mask=None) -> dict[str, np.ndarray]:
    """Gradients of `x` ("argument 0") and of every weight, by name."""
    tensor = torch.from_numpy(x).requires_grad_()
    parameters = {name: p.requires_grad_() for name, p in _parameters(weights).items()}
    output = _multi_head(tensor, parameters, n_heads, mask)
    found = _gradients([output], [tensor, *parameters.values()], [cotangent])
    return dict(zip(["argument 0", *parameters], found.values(), strict=True))


def _multi_head(x, parameters, n_heads: int, mask):
    """What `nn.MultiheadAttention` computes; there, True in a mask means may *not* attend."""
    n_texts, n_tokens, d_model = x.shape
    hidden, some = None, torch.ones(n_texts, n_tokens, 1, dtype=torch.bool)
    if mask is not None:
        allowed = torch.from_numpy(mask).expand(n_texts, n_tokens, n_tokens)
        some = allowed.any(dim=-1, keepdim=True)
        hidden = ~(allowed | ~some).repeat_interleave(n_heads, dim=0)  # one for each text and head
    by_position = x.transpose(0, 1)
    out_bias = parameters.get("out.bias", x.new_zeros(d_model))
    output, _ = F.multi_head_attention_forward(
        *[by_position] * 3,
        embed_dim_to_check=d_model,
        num_heads=n_heads,
        in_proj_weight=parameters["qkv.weight"],
        in_proj_bias=parameters.get("qkv.bias"),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=parameters["out.weight"],
        out_proj_bias=out_bias,
        training=False,
        attn_mask=hidden,
    )
    return torch.where(some, output.transpose(0, 1), out_bias)


def layer_norm(x, weight, bias, eps: float = 1e-5) -> np.ndarray:
    """torch's layer norm over the last axis; `bias` may be None."""
    return F.layer_norm(
        torch.from_numpy(x),
        x.shape[-1:],
        torch.from_numpy(weight),
        None if bias is None else torch.from_numpy(bias),
        eps,
    ).numpy()


def layer_norm_gradients(x, weight, bias, cotangent, eps: float = 1e-5) -> dict[str, np.ndarray]:
    """Gradients of `x`, `weight` and (where there is one) `bias`, as arguments 0, 1 and 2."""
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias) if a is not None]
    return _gradients(
        [F.layer_norm(tensors[0], x.shape[-1:], *tensors[1:], eps=eps)], tensors, [cotangent]
    )


def residual(x, norm, sublayer, *, norm_first: bool, cotangent) -> tuple[np.ndarray, dict]:
    """The residual sum around `sublayer`, and the gradient of `x` ("argument 0")."""
    point = torch.from_numpy(x).requires_grad_()
    output = point + sublayer(norm(point)) if norm_first else norm(point + sublayer(point))
    gradients = _gradients([output], [point], [cotangent])
    return output.detach().numpy(), gradients
