"""Where in the book something stands: one scheme of pages and anchors for all that link to it."""

REFERENCE = "reference"  # the page that says what each component must do


def rules_address(component: str) -> str:
    """Where the book says what a component must do, seen from its first page.

    >>> rules_address("causal_mask")
    'reference.html#causal_mask'
    """
    return f"{REFERENCE}.html#{component}"


def exercise_anchor(component: str) -> str:
    """The anchor of a component's exercise, on the page of its lesson and in its notebook."""
    return f"exercise-{component}"
