"""Open files: a service that serves thousands of clients needs more than the usual 1,024."""

import resource


def raise_limit() -> int:
    """Raise this process's limit as far as the system lets it; what it is then."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
