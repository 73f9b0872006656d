"""OpenSCAP with Debian's SCAP security guide: ANSSI BP-028, minimal and intermediary."""

from __future__ import annotations

import re

from audits.model import Audit, Check, Report
from audits.subject import Subject
from audits.unpacked import unpacked

PREFIX = "xccdf_org.ssgproject.content_rule_"
# Of the intermediary level.
WAIVED = 5

# Debian 13's guide has content for Debian 12 alone, and its rules hold for both: on another release
# a copy says that it is for any. oscap ends with 2 when a rule failed.
RUN = """
tree={root}/tree
export LD_LIBRARY_PATH=$(echo "$tree"/usr/lib "$tree"/usr/lib/*-linux-gnu "$tree"/lib/*-linux-gnu \\
  | tr ' ' :)
export OSCAP_SCHEMA_PATH=$tree/usr/share/openscap/schemas
export OSCAP_XSLT_PATH=$tree/usr/share/openscap/xsl
[ ! -d "$tree/usr/share/openscap/cpe" ] || export OSCAP_CPE_PATH=$tree/usr/share/openscap/cpe
guide=$tree/usr/share/xml/scap/ssg/content/ssg-debian12-ds.xml
sed -i '/platform idref="cpe:\\/o:debian:debian_linux:12"/d' "$guide"
"$tree/usr/bin/oscap" xccdf eval --profile anssi_bp28_{level} "$guide" 2>{root}/said \\
  || [ $? = 2 ] || {{ tail -n 1 {root}/said >&2; exit 1; }}
"""
RULE = re.compile(r"^Title\s+(.*)\nRule\s+(\S+)\n(?:Ident.*\n)*Result\s+(\w+)$", re.MULTILINE)


def read(said: str, prefix: str = "") -> dict[str, Check]:
    """A check by each rule that was judged. What does not apply to the host is none."""
    return {
        rule.removeprefix(PREFIX): Check(
            prefix + rule.removeprefix(PREFIX), title, "failed" if result != "pass" else None
        )
        for title, rule, result in RULE.findall(said)
        if result in ("pass", "fail", "error", "unknown")
    }


def run(subject: Subject) -> Report:
    """A minute or two. The minimal level's rules have ids of their own: none may be waived."""
    with unpacked(subject, data=("ssg-debian",), own=("openscap-scanner",)) as root:
        minimal, intermediary = (
            subject.ask(RUN.format(root=root, level=level)) for level in ("minimal", "intermediary")
        )
    lower, upper = read(minimal, "minimal/"), read(intermediary)
    figures = [
        f"{level} {sum(1 for check in found.values() if check.problem)} of {len(found)} failed"
        for level, found in (("minimal", lower), ("intermediary", upper))
    ]
    further = [check for rule, check in upper.items() if rule not in lower]
    return Report(", ".join(figures), (*lower.values(), *further))


AUDIT = Audit(
    name="openscap",
    reference="OpenSCAP, ANSSI BP-028",
    bar=f"minimal: no failure; intermediary: at most {WAIVED} waived",
    run=run,
    slow=True,
)
