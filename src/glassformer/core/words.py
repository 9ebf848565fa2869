"""Numbers, alone and with their nouns, as messages need them."""

from collections.abc import Iterable, Sequence

# Lines of a message that may have thousands.
MOST_NAMED = 10


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return '1 core', '2 cores', '4,096 particles'; `plural` where an s does not make it."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def decimals(value: float) -> str:
    """Return `value` with two decimals, and as many more as it has: '0.50', '0.441'."""
    text = f"{value:.10g}"
    return f"{value:.2f}" if len(text.partition(".")[2]) < 2 and "e" not in text else text


def some_of(lines: Sequence[str]) -> list[str]:
    """Return the first `MOST_NAMED` of `lines`, and a line that counts the others."""
    more = len(lines) - MOST_NAMED
    return [*lines[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]


def listed(parts: Iterable[str]) -> str:
    """Return 'a', 'a and b', or 'a, b and c'."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
