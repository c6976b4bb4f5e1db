"""Our docstrings as mkdocstrings reads them: an extension of griffe, named in ``mkdocs.yml``.

They are written to be read in a terminal: shapes and units in square brackets, which Markdown takes for links;
``:func:`` roles; examples headed by "Example:", which griffe takes for a remark; and fields that a comment, ``#:``,
describes.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:func|class|data|mod|meth):`~?(?:[\w.]+\.)?(\w+)`")
CODE = re.compile(r"(``.+?``|`[^`]+`)")


class DocstringStyle(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is None and obj.is_attribute and obj.lines and "#:" in obj.lines[-1]:
            obj.docstring = griffe.Docstring(obj.lines[-1].partition("#:")[2].strip(), parent=obj)
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(docstring: str) -> str:
    """The docstring in mkdocstrings' terms; what follows "Example:" is code and stays as it is."""
    text, heading, example = docstring.partition("\nExample:\n")
    text = ROLE.sub(r"`\1`", text)
    parts = CODE.split(text)  # every second one is code
    parts[::2] = [part.replace("[", r"\[").replace("]", r"\]").replace("*shape", r"\*shape") for part in parts[::2]]
    return "".join(parts) + heading.replace("Example", "Examples") + example
