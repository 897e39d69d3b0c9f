"""What must hold of `CausalSelfAttention`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import differs, returns
from ...judges.tolerances import Tolerance
from ...oracles import attention as oracles
from ..attention.self_attention import add_head_properties, head_weights
from .fixtures import LESSON

causal_self_attention = ComponentCheck("CausalSelfAttention", "masking", LESSON)

add_head_properties(causal_self_attention, causal=True)


@causal_self_attention.core(
    "no position sees a later one, however large it is",
    hint="the mask stands between the scores and the softmax, in both modes, and hides with -inf",
)
def causal_self_attention_hostile(draw: Draw):
    n_tokens, d_model, d_head = draw.sizes(3)
    weights = head_weights(draw, d_model, d_head)
    x = draw.normal(2, n_tokens, d_model)
    x[:, n_tokens // 2 :] *= 1e3
    expected = oracles.self_attention(x, weights, causal=True)

    def past_is_right(seen):
        finding = returns(expected, dtype="float64", skip_values=True)(seen)
        past = slice(0, n_tokens // 2)
        return finding or differs(
            seen.outputs[0].array[:, past], expected[:, past], Tolerance(1e-9, 1e-9)
        )

    yield causal_self_attention.build(d_model, d_head, x=x, weights=weights).expect(past_is_right)
    large = 1e3 * draw.normal(32, n_tokens, d_model)  # the first scores of some are far below 0
    judge = returns(
        oracles.self_attention(large, weights, causal=True),
        dtype="float64",
        tolerance=Tolerance(1e-7, 1e-6),  # scores of a million leave ten digits for the weights
    )
    yield causal_self_attention.build(d_model, d_head, x=large, weights=weights).expect(judge)
