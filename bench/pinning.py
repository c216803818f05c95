"""Processes kept on a core, so that gateway and authorizer together have one and the load generator does not take it."""

import contextlib
import os
from collections.abc import Iterable, Iterator

from bench.stage import Part


@contextlib.contextmanager
def pinned(parts: Iterable[Part]) -> Iterator[None]:
    """These on the first core, and what is started meanwhile on the others; afterwards as before.

    On a machine of one core nothing is pinned.
    """
    cores = os.sched_getaffinity(0)
    first = {min(cores)}
    if len(cores) == 1:
        yield
        return
    threads = [thread for part in parts for thread in part.threads()]
    try:
        _keep(threads, first)
        os.sched_setaffinity(0, cores - first)
        yield
    finally:
        os.sched_setaffinity(0, cores)
        _keep(threads, cores)


def _keep(threads: Iterable[int], cores: set[int]) -> None:
    for thread in threads:
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.sched_setaffinity(thread, cores)
