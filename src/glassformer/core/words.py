"""Numbers with their nouns, as messages need them."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return '1 core', '2 cores', '4,096 particles'; `plural` where an s does not make it."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
