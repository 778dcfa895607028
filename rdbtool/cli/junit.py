"""Judgements as JUnit's XML, which GitLab, Jenkins and GitHub show: a suite for each subject, a case for each check."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rdbtool.tasks.judgement import MET, UNKNOWN, Judgement

from .render import finding_line, show_path

_NOT_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document can hold."""


def junit_text(command: str, judgements: Sequence[Judgement]) -> str:
    """The document, as the schema junit-10.xsd of Jenkins' xUnit plugin has it."""
    top = Element("testsuites", name=f"rdbtool {command}")
    for judgement in judgements:
        subject = _safe(show_path(judgement.subject))
        suite = SubElement(top, "testsuite", name=subject)
        for check in judgement.checks:
            case = SubElement(suite, "testcase", name=_safe(check.name), classname=subject)
            if check.verdict != MET:
                what = "error" if check.verdict == UNKNOWN else "failure"
                message = _safe(f"expected {check.expected}, found {check.found}")
                SubElement(case, what, message=message, type=_safe(check.name.partition(" ")[0]))
        if judgement.error is not None:
            case = SubElement(suite, "testcase", name="readable", classname=subject)
            SubElement(case, "error", message=_safe(str(judgement.error)), type=judgement.error.code)
        cases = suite.findall("testcase")
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("errors", str(len(suite.findall("testcase/error"))))
        told = [*judgement.notes, *(finding_line(f) for f in judgement.findings.items), *judgement.steps]
        if told:
            SubElement(suite, "system-out").text = _safe("\n".join(map(show_path, told)))
    indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(top, encoding="unicode")}\n'


def _safe(text: str) -> str:
    return _NOT_XML.sub("?", text)
