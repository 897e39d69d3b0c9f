"""The names that a component's own code sees."""

import inspect


def namespace_of(component) -> dict:
    """The names that the component's own code sees."""
    return getattr(inspect.unwrap(component), "__globals__", {})
