"""The embedded mongod and S3 server of an installed host: folders, ports and passwords."""

import asyncio
import dataclasses
import os
import pwd
from collections.abc import Awaitable, Mapping
from pathlib import Path

from tagify.deploy.install import paths
from tagify.errors import TagifyError
from tagify.servers import discovery, s3
from tagify.servers.minio import minio_server
from tagify.servers.mongod import MongoServer, mongo_server
from tagify.servers.seaweedfs import seaweedfs_server
from tagify.settings import CommonSettings, load
from tagify.settings.loader import SETTINGS_FILE_VARIABLE

MONGO_PORT = 27017
S3_PORT = 9000
"""MinIO's port, and the first of SeaweedFS's ten."""

MONGO_STOP_GRACE_S = 50.0
"""Time for mongod's final checkpoint before it is killed, in seconds."""

MONGO_UNIT = "tagify-mongod.service"
UNITS = (MONGO_UNIT, "tagify-s3.service")


def host_mongod() -> MongoServer:
    """Return the mongod of this host. Raises ServerNotFound."""
    server = mongo_server(
        discovery.find_mongod(), paths.STATE / "mongod", MONGO_PORT, None, database=_database()
    )
    return dataclasses.replace(
        server, program=dataclasses.replace(server.program, stop_grace_s=MONGO_STOP_GRACE_S)
    )


def host_s3_server() -> s3.S3Server:
    """Return the S3 server of this host. Raises ServerNotFound, S3ServerMismatch."""
    folder = paths.STATE / "s3"
    kind, binary = s3.select_server(folder)
    make = minio_server if kind == "minio" else seaweedfs_server
    return make(binary, folder, S3_PORT, None)


def _database() -> str:
    """The database of this host's settings; the default where they are missing or invalid."""
    if paths.SETTINGS.is_file():
        os.environ.setdefault(SETTINGS_FILE_VARIABLE, str(paths.SETTINGS))
    try:
        return load(CommonSettings).mongo_database
    except TagifyError:
        return str(CommonSettings.model_fields["mongo_database"].default)


def create_mongo_users() -> None:
    """Create the services' users in the mongod of this host, which must be running."""
    if post_start := host_mongod().program.post_start:
        asyncio.run(_await(post_start()))


async def _await(done: Awaitable[None]) -> None:
    await done


def prepare_servers(user: str) -> Mapping[str, str]:
    """Create the servers' folders, owned by this user, and credentials; returns those as settings.

    A MongoDB URI of one service has the name `SERVICE/mongo_uri`.
    """
    mongo, s3_server = host_mongod(), host_s3_server()
    for top in (paths.STATE / "mongod", paths.STATE / "s3"):
        _chown_tree(top, user)
    return {
        "mongo_uri": mongo.uri,
        **{f"{service}/mongo_uri": uri for service, uri in mongo.service_uris.items()},
        "s3_access_key": s3_server.access_key,
        "s3_secret_key": s3_server.secret_key,
    }


def _chown_tree(top: Path, user: str) -> None:
    entry = pwd.getpwnam(user)
    for folder, _, files in os.walk(top):
        for path in (Path(folder), *(Path(folder) / name for name in files)):
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
