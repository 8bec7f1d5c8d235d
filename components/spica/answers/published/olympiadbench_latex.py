"""LaTeX to sympy exactly as sympy 1.12 and 1.13 read it, on the antlr4 runtime that is installed.

The grammar that sympy carries did not change between 1.12 and 1.14. Its `parse_latex` refuses every antlr4
runtime but 4.11, although later ones read the same tables.
"""

import importlib.util
from functools import lru_cache
from types import ModuleType
from typing import Any

from antlr4 import CommonTokenStream, InputStream
from sympy.parsing.latex._antlr.latexlexer import LaTeXLexer
from sympy.parsing.latex._antlr.latexparser import LaTeXParser


class _Lexer(LaTeXLexer):  # type: ignore[misc]  # sympy is untyped
    def checkVersion(self, toolVersion: str) -> None:  # prints where runtime and generator differ
        pass


class _Parser(LaTeXParser):  # type: ignore[misc]  # sympy is untyped
    def checkVersion(self, toolVersion: str) -> None:
        pass


def _own_converter() -> ModuleType:
    """A second copy of sympy's converter, so that its calls of itself on derivatives come here."""
    spec = importlib.util.find_spec("sympy.parsing.latex._parse_latex_antlr")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.__dict__["parse_latex"] = parse
    return module


@lru_cache(maxsize=64)
def parse(latex: str) -> Any:
    """The sympy object, unevaluated, of the longest start of `latex` that is an expression or a relation.

    A bare derivative operator gives a list, as it does in sympy.

    Raises:
        LaTeXParsingError: nothing can be read.
        Exception: whatever sympy raises on senseless input, RecursionError included.
    """
    listener = _converter.MathErrorListener(latex)
    lexer = _Lexer(InputStream(latex))
    parser = _Parser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(listener)
    return _converter.convert_relation(parser.math().relation())


_converter = _own_converter()
