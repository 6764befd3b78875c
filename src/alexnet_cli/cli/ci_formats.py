"""What CI systems read: GitHub's annotations and JUnit's XML."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from alexnet_cli.analyses.check import Check, sentence
from alexnet_cli.answers.check import CheckResult

_IN_MESSAGES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTIES = {**_IN_MESSAGES, ":": "%3A", ",": "%2C"}
_NOT_IN_XML = dict.fromkeys(
    [*(point for point in range(32) if chr(point) not in "\t\n\r"), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\ufffd"
)


def github(result: CheckResult) -> str:
    """Write an annotation for each check that fails, or a notice if all hold.

    See "Workflow commands for GitHub Actions", "Setting an error message".
    """
    target = _target(result)
    lines = [
        _annotation("error", f"{check.name} of {target}", sentence(check))
        for check in result.checks
        if not check.passed
    ]
    if result.error is not None:
        lines.append(_annotation("error", f"{target} failed", result.error.message))
    if not lines:
        lines = [_annotation("notice", target, f"{len(result.checks)} of {len(result.checks)} checks hold")]
    return "".join(f"{line}\n" for line in lines)


def junit(result: CheckResult) -> str:
    """Write a test case for each check, and one for the forward if it failed."""
    name = f"alexnet check {_target(result)}"
    failures = sum(not check.passed for check in result.checks)
    broken = result.error is not None
    suite = Element(
        "testsuite",
        name=_xml(name),
        tests=str(len(result.checks) + broken),
        failures=str(failures),
        errors=str(int(broken)),
    )
    for check in result.checks:
        _add_case(suite, name, check)
    if result.error is not None:
        case = SubElement(suite, "testcase", classname=_xml(name), name="forward")
        SubElement(case, "error", message=_xml(result.error.message), type=result.error.code)
    indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suite, encoding="unicode")}\n'


CI_FORMATS: dict[str, Callable[[CheckResult], str]] = {"github": github, "junit": junit}


def _annotation(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={_escaped(title, _IN_PROPERTIES)}::{_escaped(message, _IN_MESSAGES)}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(char, char) for char in text)


def _add_case(suite: Element, name: str, check: Check) -> None:
    case = SubElement(suite, "testcase", classname=_xml(name), name=_xml(check.name))
    if not check.passed:
        failure = SubElement(case, "failure", message=_xml(sentence(check)), type="limit")
        value = "unknown" if check.value is None else check.value
        failure.text = f"value: {value}, limit: {check.limit} {check.unit}"


def _target(result: CheckResult) -> str:
    return result.model.target if result.model else ""


def _xml(text: str) -> str:
    """Replace characters that are not allowed in XML."""
    return text.translate(_NOT_IN_XML)
