"""The names that a component's own code sees."""

import inspect


def namespace_of(component) -> dict:
    """The global names that a function, or the making of an object, looks up."""
    component = inspect.unwrap(component)
    function = component.__init__ if isinstance(component, type) else component
    return getattr(inspect.unwrap(function), "__globals__", {})
