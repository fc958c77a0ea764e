"""The embedded mongod and S3 server of an installed host: folders, ports and passwords."""

import dataclasses
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from tagify.deploy.install import paths
from tagify.servers import discovery, s3
from tagify.servers.minio import minio_server
from tagify.servers.mongod import MongoServer, mongo_server
from tagify.servers.seaweedfs import seaweedfs_server

MONGO_PORT = 27017
S3_PORT = 9000
"""MinIO's port, and the first of SeaweedFS's ten."""

MONGO_STOP_GRACE_S = 50.0
"""Time for mongod's final checkpoint before it is killed, in seconds."""

UNITS = ("tagify-mongod.service", "tagify-s3.service")


def host_mongod() -> MongoServer:
    """Return the mongod of this host. Raises ServerNotFound."""
    server = mongo_server(discovery.find_mongod(), paths.STATE / "mongod", MONGO_PORT, None)
    return dataclasses.replace(
        server, program=dataclasses.replace(server.program, stop_grace_s=MONGO_STOP_GRACE_S)
    )


def host_s3_server() -> s3.S3Server:
    """Return the S3 server of this host. Raises ServerNotFound, S3ServerMismatch."""
    folder = paths.STATE / "s3"
    kind, binary = s3.select_server(folder)
    make = minio_server if kind == "minio" else seaweedfs_server
    return make(binary, folder, S3_PORT, None)


def prepare_servers(user: str) -> Mapping[str, str]:
    """Create the servers' folders, owned by this user, and credentials; returns those as settings."""
    mongo, s3_server = host_mongod(), host_s3_server()
    for top in (paths.STATE / "mongod", paths.STATE / "s3"):
        _chown_tree(top, user)
    return {
        "mongo_uri": mongo.uri,
        "s3_access_key": s3_server.access_key,
        "s3_secret_key": s3_server.secret_key,
    }


def _chown_tree(top: Path, user: str) -> None:
    entry = pwd.getpwnam(user)
    for folder, _, files in os.walk(top):
        for path in (Path(folder), *(Path(folder) / name for name in files)):
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
