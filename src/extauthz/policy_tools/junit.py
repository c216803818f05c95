"""Test results as JUnit has them, which CI systems read."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, tostring

from extauthz.policy_tools.suite import Played


def junit(played: Iterable[Played]) -> bytes:
    """The document: one `testcase` for each request, a `failure` in those that ended otherwise."""
    cases = [*played]
    failures = sum(1 for case in cases if case.differences)
    root = Element("testsuites", tests=str(len(cases)), failures=str(failures), errors="0")
    suite = SubElement(
        root, "testsuite", name="extauthz policy", tests=str(len(cases)), failures=str(failures), errors="0"
    )
    for case in cases:
        name = f"{case.name} [{case.request}]"
        element = SubElement(suite, "testcase", name=name, classname=case.file, file=case.file, line=str(case.line))
        if case.differences:
            failure = SubElement(element, "failure", message="; ".join(case.differences))
            failure.text = "\n".join((f"{case.file}:{case.line}", *case.differences, *case.told))
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document
