"""The droplet, as the benchmark names it."""

import os

droplet = [
    (
        os.environ["BENCH_HOST"],
        {
            "ssh_user": "root",
            "ssh_key": os.environ["BENCH_KEY"],
            "ssh_known_hosts_file": os.environ["BENCH_KNOWN_HOSTS"],
            "ssh_strict_host_key_checking": "yes",
        },
    )
]
