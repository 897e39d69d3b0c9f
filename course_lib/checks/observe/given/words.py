"""Words as a program reads them from a file: equal to those in the source, and other objects."""


def read_anew(value):
    """The same call, each word in it made anew: who compares words by `is` finds none."""
    if isinstance(value, str):
        return "".join(list(value))
    if isinstance(value, dict):
        return {name: read_anew(one) for name, one in value.items()}
    if isinstance(value, list):
        return [read_anew(one) for one in value]
    return value
