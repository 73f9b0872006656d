"""The tasks of Slipway: `invoke --list` shows them. This file only composes."""

import os
import sys

from invoke.collection import Collection

# Invoke turns bytecode off, and then each run would compile all that is imported from here on: most
# of a second.
sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))


from audits.tasks import audit
from benchmarks.tasks import bench
from deploy.cli import (
    backup,
    config,
    db,
    db_upgrade,
    host,
    logs,
    maintenance,
    new,
    operate,
    patch,
    plan,
    ps,
    rehearse,
    release,
    site,
    status,
)
from doctor.tasks import doctor
from lab import tasks as lab

namespace = Collection(
    new.new,
    release.build,
    release.push,
    release.collectstatic,
    plan.plan,
    release.deploy,
    release.switch,
    release.rollback,
    release.releases,
    release.verify,
    operate.manage,
    operate.run,
    operate.shell,
    operate.dbshell,
    logs.logs,
    site.open_site,
    site.certs,
    status.status,
    host.provision,
    host.lock,
    patch.patch,
    backup.restore,
    backup.rebuild,
    audit,
    doctor,
    bench,
)
namespace.add_collection(Collection("backup", backup.verify))
namespace.collections["backup"].add_task(backup.now, default=True)
namespace.collections["backup"].add_task(backup.show, name="list")
namespace.add_collection(Collection("config", config.set_, config.unset, config.rotate))
namespace.collections["config"].add_task(config.show, default=True)
namespace.add_collection(Collection("db", db.pull, db.push, db.back, db.forget, db_upgrade.upgrade))
namespace.collections["db"].add_task(db.show, default=True)
namespace.add_collection(Collection("maintenance", maintenance.on, maintenance.off))
namespace.add_collection(Collection("migrate", rehearse.rehearse))
namespace.collections["migrate"].add_task(release.migrate, default=True)
namespace.add_collection(Collection("ps", ps.restart, ps.scale))
namespace.collections["ps"].add_task(ps.show, default=True)
namespace.add_collection(Collection.from_module(lab, name="lab"))
