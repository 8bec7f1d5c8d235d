"""Questions of no known benchmark: no official groups, one right answer."""

from spica.artifacts.types import Gold, PromptRow


def groups(row: PromptRow) -> dict[str, str]:
    """Only whether the fonts of the picture were seen in training, where the row says so."""
    return pick(row, "glyphs")


def golds(row: PromptRow) -> list[Gold]:
    """The gold answer."""
    return [row.gold]


def pick(row: PromptRow, *keys: str) -> dict[str, str]:
    """The meta keys that the row has, in this order."""
    return {key: row.meta[key] for key in keys if key in row.meta}
