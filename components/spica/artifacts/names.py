"""Names of files inside an artifact. They come from checkpoints, data sets and buckets: none is trusted."""

MANIFEST_NAME = "manifest.json"


def relative_name(name: str) -> str:
    """Return `name` if it is a relative posix path that stays below its folder.

    Raises:
        ValueError: it is empty, absolute, climbs with `..`, holds a backslash or a control character, or is
            the manifest's own name.
    """
    if not name:
        raise ValueError("a file name is empty")
    if "\\" in name or any(ord(char) < 32 or ord(char) == 127 for char in name):
        raise ValueError(f"{name!r} holds a backslash or a control character")
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"{name!r} is absolute, climbs out of its folder, or has an empty part")
    if name == MANIFEST_NAME:
        raise ValueError(f"{name!r} is reserved for the manifest")
    return name
