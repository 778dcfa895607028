"""The manual page, made from what help is made from."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence

from rdbtool import __version__

from .pages import Page, names_of


def manual(pages: Sequence[Page]) -> str:
    """The page, as ``man`` takes it."""
    program, *commands = pages
    lines = [
        f'.TH RDBTOOL 1 "" "rdbtool {__version__}" "User Commands"',
        ".SH NAME",
        rf"rdbtool \- {_text(_decapitalized(program.summary).rstrip('.'))}",
        ".SH SYNOPSIS",
        *(line for page in commands for line in (r"\fB" + _text(page.name) + r"\fR " + _text(page.words), ".br")),
        ".SH DESCRIPTION",
        *_paragraphs([program.summary, *program.paragraphs]),
        ".SH OPTIONS",
        *_tagged((names_of(option), option.help) for option in program.options),
        ".SH COMMANDS",
    ]
    for page in commands:
        lines += [
            f".SS {_text(page.name)}",
            r".B " + _text(page.name) + r" \fR" + _text(page.words),
            *_paragraphs([page.summary, *page.paragraphs], first=".PP"),
            *_tagged((argument.value, argument.help) for argument in page.arguments if argument.help),
        ]
        for title, options in page.panels():
            lines += [".PP", r"\fI" + _text(title) + r"\fR"]
            lines += _tagged((names_of(option), option.help) for option in options)
        if page.usage is not None:
            lines += [".PP", r"\fIExample\fR", ".RS", _text(page.usage.example), ".RE"]
            lines += [".PP", r"\fIExit codes\fR"]
            lines += _tagged((str(int(code)), text) for code, text in page.usage.exit_codes())
    return "\n".join(lines) + "\n"


def show(page: str) -> None:
    """Show the page on a terminal, where there is ``man``; elsewhere print its source."""
    man = shutil.which("man")
    if man is not None and sys.stdout.isatty():
        done = subprocess.run([man, "-l", "-"], input=page.encode(), check=False)  # noqa: S603 - a program of the system
        if done.returncode == 0:
            return
    print(page, end="")


def _paragraphs(texts: Iterable[str], first: str = "") -> list[str]:
    lines: list[str] = []
    for text in texts:
        mark = ".PP" if lines else first
        lines += [*([mark] if mark else []), _text(text)]
    return lines


def _tagged(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [line for name, text in rows for line in (".TP", r"\fB" + _text(name) + r"\fR", _text(text))]


def _text(text: str) -> str:
    """``text`` as it is meant: no sign of it is one of roff's."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return re.sub(r"^\.", r"\\&.", text)


def _decapitalized(text: str) -> str:
    return text[:1].lower() + text[1:]
