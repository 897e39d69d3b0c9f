"""The shape annotations of the model, with or without jaxtyping.

`Float[Tensor, "T D"]` is jaxtyping's where jaxtyping is installed, so that a test run can check
it; on a machine that has only numpy and torch the same line means its first part, `Tensor`.
"""

try:
    from jaxtyping import Bool, Float, Int
except ModuleNotFoundError:

    class _Unchecked:
        def __class_getitem__(cls, array_and_shape):
            return array_and_shape[0]

    Bool = Float = Int = _Unchecked

__all__ = ["Bool", "Float", "Int"]
