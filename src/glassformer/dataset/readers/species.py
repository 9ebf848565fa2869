"""Which species of a mixture each type of a file is."""

from collections.abc import Sequence

from glassformer.dataset.readers.contents import Contents


def assign_species(contents: Contents, names: Sequence[str], assignment: str = "") -> Contents:
    """Return `contents` with species counted in the order of `names`, those of a mixture.

    `assignment` says which type is which: '1=A,2=B'. Without it types are matched by name, or numbers in their order;
    such a guess is added to the notes. Raises `DatasetError` for a type without a species.
    """
    raise NotImplementedError
