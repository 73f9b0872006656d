"""Debian packages on the host for the length of an audit: unpacked in a folder, never installed.

Nothing of the host changes: no package database, no running service, no list of packages. Why so:
docs/decisions/0013-audit-tools-are-unpacked.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from shlex import join, quote

from audits.subject import Subject

# The suite whose data judge a host of either Debian: the newest.
SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Some hundred MB for a minute; a folder that a cut connection left goes after a day.
FETCH = r"""
set -e
find /var/lib -maxdepth 1 -name 'slipway-audit.*' -mtime +0 -exec rm -rf {{}} +
root=$(mktemp -d /var/lib/slipway-audit.XXXXXX)
trap '[ $? = 0 ] || rm -rf "$root"' EXIT
# apt fetches as its own user, who has to get there.
chmod 711 "$root"
mkdir -p "$root/tree" "$root/data/lists" "$root/data/cache/archives" \
  "$root/own/lists" "$root/own/cache/archives"
archive=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' \
  | sed -n 's/^Debian|//p' | head -n 1)
echo "deb [signed-by={keyring}] $archive {suite} main" > "$root/data.list"
fetch() {{
  kind=$1; shift
  apt-get -qq -o "Dir::State::lists=$root/$kind/lists" -o "Dir::Cache=$root/$kind/cache" \
    -o Debug::NoLocking=1 "$@" >&2
}}
data() {{ fetch data -o "Dir::Etc::sourcelist=$root/data.list" -o Dir::Etc::sourceparts=- "$@"; }}
data update
cd "$root/data/cache/archives"
chown _apt .
data download {data}
if [ -n {own_quoted} ]; then
  fetch own update
  fetch own install --reinstall --download-only --no-install-recommends --yes {own}
fi
for package in "$root"/*/cache/archives/*.deb; do dpkg-deb -x "$package" "$root/tree"; done
rm -rf "$root/data" "$root/own"
echo "$root"
"""


@contextmanager
def unpacked(
    subject: Subject, data: tuple[str, ...] = (), own: tuple[str, ...] = ()
) -> Iterator[str]:
    """A folder of the host whose ``tree`` holds the packages' files; gone afterwards.

    ``data`` are packages of every processor, from Debian's newest suite; ``own`` come from the
    host's own suite, with what they need and the host lacks. Both are checked against the archive's
    signature.

    Raises:
        AuditError: the host's apt cannot fetch them.
    """
    root = subject.ask(
        FETCH.format(
            keyring=KEYRING,
            suite=SUITE,
            data=join(data),
            own=join(own),
            own_quoted=quote(" ".join(own)),
        )
    ).splitlines()[-1]
    try:
        yield root
    finally:
        subject.ask(f"rm -rf {quote(root)}")
