"""Writing to disks that fill up: atomic files, and a reader's error in place of a bare OSError."""

import errno
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from spica.errors import Fault, PrerequisiteError

FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def free_bytes(path: Path) -> int:
    """Bytes free on the file system that holds `path` (or will, once it exists)."""
    place = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(place).free


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn a full disk anywhere, and a forbidden one at `path`, into a PrerequisiteError; the rest passes."""
    try:
        yield
    except OSError as error:
        written = error.filename2 or error.filename  # a copy names its source first
        place = path if _concerns(written, path) else Path(written)
        if error.errno in FULL:
            found = f"disk full, {free_bytes(place)} bytes free"
            advice = "free space on that disk, then run the same command again: it goes on from what is there"
        elif error.errno in FORBIDDEN and place == path:
            found = f"no permission to write ({error.strerror})"
            advice = f"check `ls -ld {error.filename or path}`, or choose another folder"
        elif error.errno == errno.ENOTDIR and place == path:
            found = f"a file stands where a folder is needed ({error.strerror})"
            advice = "remove that file, or choose another folder"
        else:
            raise
        raise PrerequisiteError(Fault(str(place), found, "a writable disk with room", advice)) from error


def _concerns(written: object, path: Path) -> bool:
    if not isinstance(written, str):
        return True
    return Path(written).is_relative_to(path.parent) or path.is_relative_to(written)


def require_free(path: Path, needed: int) -> None:
    """Check the disk before work starts.

    Args:
        path: folder that will be written to; it need not exist yet.
        needed: bytes.

    Raises:
        PrerequisiteError: fewer than `needed` bytes are free.
    """
    free = free_bytes(path)
    if free < needed:
        raise PrerequisiteError(
            Fault(
                str(path),
                f"{free / 2**30:.1f} GiB free",
                f"at least {needed / 2**30:.1f} GiB",
                "free space on that disk, or point the recipe's `store` and SPICA_STATE at a larger one",
            )
        )


def folder_aside(target: Path) -> Path:
    """Make a folder beside `target` that will be renamed to it; those of dead processes of this host go."""
    mine = f".{target.name}-{socket.gethostname()}"
    for old in target.parent.glob(f"{mine}-*-*"):
        pid = old.name.removeprefix(f"{mine}-").partition("-")[0]
        if pid.isdigit() and not is_alive(int(pid)):
            shutil.rmtree(old, ignore_errors=True)
    aside = target.parent / f"{mine}-{os.getpid()}-{secrets.token_hex(4)}"
    aside.mkdir(parents=True)
    return aside


def is_alive(pid: int) -> bool:
    """Whether a process of this host has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that appears under its name whole or not at all.

    Raises:
        PrerequisiteError: the disk is full or not writable; nothing is left behind.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)
