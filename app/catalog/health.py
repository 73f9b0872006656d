"""Is this process alive, and is it ready for visitors? Asked by machines, many times."""

import logging
from functools import cache
from importlib.util import find_spec
from pkgutil import iter_modules

from django.apps import apps
from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

logger = logging.getLogger(__name__)


@cache
def known_migrations():
    """The migrations that this code brings: looked for on disk once, they never change.

    By their files, as Django finds them: a worker needs long to import hundreds of them.
    """
    known = set()
    for app in apps.get_app_configs():
        name, _ = MigrationLoader.migrations_module(app.label)
        spec = find_spec(name) if name else None
        # Neither a module nor a folder without code is a package of migrations.
        if spec and isinstance(spec.submodule_search_locations, list):
            found = iter_modules(spec.submodule_search_locations)
            known |= {
                (app.label, one.name) for one in found if not one.ispkg and one.name[0] not in "_~"
            }
    return known


@never_cache
@require_safe
def live(request):
    """The process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request):
    """The database answers and knows every migration of this code; 503 with the cause if not."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except Error as error:
        logger.warning("Not ready, the database does not answer: %s", error)
        return unavailable("The database does not answer.")
    if missing := sorted(known_migrations() - applied.keys()):
        names = ", ".join(f"{app}.{name}" for app, name in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        return unavailable(f"Migrations are not applied: {names}{more}.")
    return JsonResponse({"status": "ok"})


def unavailable(cause):
    return JsonResponse(
        {"status": "unavailable", "cause": cause}, status=503, headers={"Retry-After": "2"}
    )
