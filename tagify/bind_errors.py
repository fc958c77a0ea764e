"""Why a server cannot listen on an address, in plain words."""

import errno


def describe_bind_error(host: str, port: int, error: OSError) -> str:
    """Return the reason of a failed bind as a clause."""
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} of {host} is in use by another process"
        case errno.EACCES | errno.EPERM:
            return f"port {port} of {host} needs the rights of root"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine"
        case errno.EAFNOSUPPORT:
            return f"{host} is an IPv6 address, and this machine has IPv6 disabled"
        case _:
            return f"cannot listen on port {port} of {host}: {error.strerror or error}"
