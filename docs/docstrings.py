"""Docstrings as Markdown for the site: doctests become code blocks, roles of Sphinx plain code."""

import re

import griffe

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(?=`)")


def as_markdown(text: str) -> str:
    """A docstring with its doctests fenced and without roles."""
    lines: list[str] = []
    fence = ""
    for line in _ROLE.sub("", text).splitlines():
        if not fence and line.lstrip().startswith(">>>"):
            indent = line[: len(line) - len(line.lstrip())]
            fence = f"{indent}```"
            lines.append(f"{fence}pycon")
        elif fence and not line.strip():
            lines.append(fence)
            fence = ""
        lines.append(line)
    return "\n".join([*lines, fence] if fence else lines)


class Docstrings(griffe.Extension):
    """Rewrites docstrings before they are parsed."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rewrite that of an object."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
