"""Rules of places: every URI of a recipe has a scheme that is known there, and no secret in it."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from spica.recipe.document import Loc, Problem, Problems
from spica.recipe.faults import show
from spica.recipe.miniature_base import read_base
from spica.recipe.profile_checks import Profiles
from spica.recipe.schema import Evaluate, Models, Sources

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
BUCKETS = "s3://BUCKET/... with 3 to 63 small letters, digits, . and - as BUCKET"
"""Amazon S3 User Guide, General purpose bucket naming rules."""
_ENDPOINTS = ("http", "https", "miniature")


def places(models: Models, store: str, sources: Sources) -> Problems:
    """Teachers, the store, the student and every source."""
    anywhere = ("file", "s3", "hf", "miniature")
    for name, teacher in models.teachers.items():
        yield from _uri(("models", "teachers", name, "url"), teacher.url, _ENDPOINTS)
    yield from _store(("store",), store)
    if "://" in models.student.path:
        yield from _uri(("models", "student", "path"), models.student.path, anywhere)
    if models.student.path.startswith("miniature://"):
        yield from _base(("models", "student", "path"), models.student.path)
    for loc, source in _each_source(sources):
        yield from _uri((*loc, "uri"), source.uri, anywhere)


def judges(evaluate: Evaluate) -> Problems:
    """The judge answers over HTTP; the miniature has none."""
    if evaluate.judge is not None:
        yield from _uri(("evaluate", "judge", "url"), evaluate.judge.url, ("http", "https"))


def profile_stores(profiles: Profiles) -> Problems:
    """A profile's own store."""
    for name, scale in profiles.items():
        if scale.store is not None:
            yield from _store(("profiles", name, "store"), scale.store)


def _store(loc: Loc, uri: str) -> Problems:
    problems = list(_uri(loc, uri, ("file", "s3")))
    yield from problems
    bucket = uri.removeprefix("s3://").partition("/")[0]
    if not problems and uri.startswith("s3://") and not BUCKET_NAME.fullmatch(bucket):
        found = f"a bucket of {len(bucket)} characters, {show(bucket)}"
        yield Problem(loc, found, BUCKETS, "write the bucket's name as S3 has it")


def _uri(loc: Loc, uri: str, schemes: tuple[str, ...]) -> Problems:
    allowed = " or ".join(f"{scheme}://..." for scheme in schemes)
    try:
        parts = urlsplit(uri)
        has_secret = "@" in parts.netloc and parts.scheme != "hf"
        has_query = bool(parts.query) and parts.scheme not in ("miniature", "file")
    except ValueError:
        yield Problem(loc, show(uri), allowed, "write a URI")
        return
    if has_secret or has_query:
        yield Problem(
            loc,
            f"a URI with {'a user or password' if has_secret else 'a query'} (not shown)",
            allowed + (" without credentials" if has_secret else " without a query, which may hold a key"),
            "take it out; keys come from the environment (api_key_env, AWS_...)",
        )
    elif parts.scheme not in schemes or not (parts.netloc or parts.path.strip("/")):
        yield Problem(loc, show(uri), allowed, "write a URI with one of these schemes")


def _base(loc: Loc, uri: str) -> Problems:
    try:
        read_base(uri)
    except ValueError as error:
        yield Problem(loc, show(uri), str(error), "correct the URI")


def _each_source(sources: Sources) -> Iterator[tuple[Loc, Any]]:
    for part, listed in sources:
        for index, source in enumerate(listed):
            yield ("sources", part, index), source
