"""The tasks of Slipway: `invoke --list` shows them. This file only composes."""

from invoke.collection import Collection

from audits.tasks import audit
from deploy.cli import (
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
    release.migrate,
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
    audit,
    doctor,
)
namespace.add_collection(Collection("config", config.set_, config.unset, config.rotate))
namespace.collections["config"].add_task(config.show, default=True)
namespace.add_collection(Collection("db", db.pull, db.push, db.back, db.forget, db_upgrade.upgrade))
namespace.collections["db"].add_task(db.show, default=True)
namespace.add_collection(Collection("maintenance", maintenance.on, maintenance.off))
namespace.add_collection(Collection("ps", ps.restart, ps.scale))
namespace.collections["ps"].add_task(ps.show, default=True)
namespace.add_collection(Collection.from_module(lab, name="lab"))
