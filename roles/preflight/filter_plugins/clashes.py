"""Whether the site can live beside the others of its droplet: no name is taken twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# The field of the home in a line of passwd(5).
HOME = 5


def clash_findings(said: str, site: Mapping[str, Any], operators: Mapping[str, Any]) -> list[str]:
    """One sentence for each name of the site that somebody else on the droplet has.

    Args:
        said: lines of passwd(5); after an empty one what Ansible wrote of every site, JSON.
        site: what it would write of this one.
        operators: accounts of the droplet, by name.
    """
    users, _, sites = said.partition("\n\n")
    homes = {fields[0]: fields[HOME] for fields in map(_fields, users.splitlines())}
    return [*_names(site, homes, operators), *_others(site, list(_documents(sites)), operators)]


def _fields(line: str) -> list[str]:
    return line.split(":")


def _documents(text: str) -> Iterator[dict[str, Any]]:
    """Every JSON document of a text that has one after the other."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        yield document
        text = text[end:]


def _names(
    site: Mapping[str, Any], homes: Mapping[str, str], operators: Mapping[str, Any]
) -> Iterator[str]:
    """Its two users against those of the droplet itself."""
    app, user = site["app"], site["user"]
    if app == user:
        yield f"site_app and site_deploy_user are both {app}: the site must not own its releases."
    for name in sorted({app, user} & operators.keys()):
        yield f"site_operators has {name}, a user of the site: call one of them otherwise."
    if homes.get(app, site["root"]) != site["root"]:
        yield f"site_app is {app}, a user that the droplet has already: choose another name."


def _others(
    site: Mapping[str, Any], there: Sequence[Mapping[str, Any]], operators: Mapping[str, Any]
) -> Iterator[str]:
    """Its names against those of the other sites."""
    app, user, environment = site["app"], site["user"], site["environment"]
    for other in there:
        name = f"{other['app']} (environment {other['environment']})"
        if other["app"] == app:
            if other["environment"] != environment:
                yield (
                    f"site_app is {app}, which is on this droplet already for the environment "
                    f"{other['environment']}: choose another name. Was the environment renamed? "
                    f"Write its new name into /etc/slipway/{app}.json there."
                )
            continue
        for domain in sorted({*site["domains"]} & {*other["domains"]}):
            yield f"site_domains has {domain}, where {name} is: take it from one of them first."
        if other["user"] == user:
            yield (
                f"site_deploy_user is {user}, who deploys {name} on this droplet, and whoever "
                f"deploys one site must not write another: write site_deploy_user: {user}-{app}."
            )
        for key, taken in (("site_app", app), ("site_deploy_user", user)):
            if taken == other["app" if key == "site_deploy_user" else "user"]:
                yield f"{key} is {taken}, a user of {name} on this droplet: choose another name."
        for taken in sorted({other["app"], other["user"]} & operators.keys()):
            yield f"site_operators has {taken}, a user of {name}: call the operator otherwise."


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"clash_findings": clash_findings}
