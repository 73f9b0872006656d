"""What the audits look at: both droplets, provisioned and with a release that is live."""

import pytest

from audits import waivers
from audits.model import Audit, Verdict, judge
from audits.subject import Subject, connect
from deploy.inventory import read_target
from tests.lab.preparations import SUITES, Preparations
from tests.lab.site import ROOT


@pytest.fixture(scope="session", params=SUITES)
def subject(request: pytest.FixtureRequest, preparations: Preparations) -> Subject:
    """Each droplet in turn, with a site that works."""
    ready = preparations.wait(request.param)
    assert ready.first.code == 0, ready.first
    site = ready.site
    done = site.invoke("deploy")
    assert done.code == 0, done
    return connect(read_target(site.clone, site.name), site.clone)


def verdict(audit: Audit, subject: Subject) -> Verdict:
    """The audit's, held against docs/waivers.yml; fails with what is not met."""
    found = judge(audit, audit.run(subject), waivers.read(ROOT))
    problems = [f"{check.control}: {check.title}: {check.problem}" for check in found.failed]
    assert not problems, "\n".join(problems)
    assert not found.report.skipped, found.report.skipped
    return found
