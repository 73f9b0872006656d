"""How long pages of LocalLibrary take, and how many queries: manage.py shell < pages.py

Variables: ASKED, how often each is asked for; PAGES, name -> path, as JSON. The answer is JSON:
name -> [milliseconds of each answer, those of one that has to count anew, queries].
"""

import json
import os
import time

from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings

asked, pages = int(os.environ["ASKED"]), json.loads(os.environ["PAGES"])
librarian, _ = User.objects.get_or_create(username="bench", is_superuser=True)
client = Client(HTTP_X_FORWARDED_PROTO="https")
client.force_login(librarian)


def milliseconds(path: str) -> float:
    begun = time.perf_counter()
    response = client.get(path)
    seconds = time.perf_counter() - begun
    assert response.status_code == 200, f"{path}: {response.status_code}"
    return 1000 * seconds


found = {}
with override_settings(ALLOWED_HOSTS=["*"]):
    for name, path in pages.items():
        milliseconds(path)  # makes ready what the others find: templates, plans, large counts
        times = [milliseconds(path) for _ in range(asked)]
        with CaptureQueriesContext(connection) as captured:
            client.get(path)
        queries = len(captured)
        cache.clear()
        found[name] = [times, milliseconds(path), queries]
print(json.dumps(found))
