"""The programs of `tagify up`: servers, services and nginx, with their ports and settings."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tagify.servers import discovery, s3, seaweedfs
from tagify.servers.local_profile import save_profile
from tagify.servers.minio import minio_server
from tagify.servers.mongod import mongo_server
from tagify.servers.ports import http_responds, url_host
from tagify.servers.process import Program
from tagify.servers.seaweedfs import seaweedfs_server
from tagify.settings import PREFIX, CommonSettings
from tagify.up import nginx
from tagify.up.data_dir import DataDir

DEFAULT_DATABASE = str(CommonSettings.model_fields["mongo_database"].default)


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The command-line options of `tagify up`."""

    data_dir: Path
    hosts: tuple[str, ...]
    port: int
    library: Path | None
    mongo_uri: str | None
    s3_endpoint: str | None
    use_nginx: bool


@dataclass(frozen=True, slots=True)
class Stack:
    """Programs in the order of their start (servers, services, nginx), and the URLs of page and API."""

    servers: tuple[Program, ...]
    services: tuple[Program, ...]
    nginx: Program | None
    url: str
    api_url: str


def build_stack(options: UpOptions, data_dir: DataDir, roots: tuple[Path, ...]) -> Stack:
    """Build the stack for these options and save its settings as the local profile.

    `roots`: the folders that libraries may be in. Raises ServerNotFound, S3ServerMismatch.
    """
    servers: list[Program] = []
    mongo_uris: Mapping[str, str] = {}
    values: dict[str, str] = {"library_roots": ",".join(map(str, roots)), "log_format": "text"}
    if not (options.mongo_uri and options.s3_endpoint):
        values["ingest_disk_folders"] = str(data_dir.path)
    if options.mongo_uri:
        values["mongo_uri"] = options.mongo_uri
    else:
        mongo = mongo_server(
            discovery.find_mongod(),
            data_dir.subdirectory("mongo"),
            data_dir.allocate_ports("mongod"),
            data_dir.log_path("mongod"),
            database=os.environ.get(f"{PREFIX}MONGO_DATABASE") or DEFAULT_DATABASE,
        )
        servers.append(mongo.program)
        values["mongo_uri"] = mongo.uri
        mongo_uris = mongo.service_uris
    if options.s3_endpoint:
        values["s3_endpoint"] = options.s3_endpoint
    else:
        store = _s3_server(data_dir)
        servers.append(store.program)
        values |= store.settings
    return _with_services(options, data_dir, tuple(servers), values, mongo_uris)


def _s3_server(data_dir: DataDir) -> s3.S3Server:
    s3_folder = data_dir.subdirectory("s3")
    kind, binary = s3.select_server(s3_folder)
    if kind == "minio":
        return minio_server(binary, s3_folder, data_dir.allocate_ports("minio"), data_dir.log_path("minio"))
    # "weed": the key in the ports.json of existing data folders.
    port = data_dir.allocate_ports("weed", length=seaweedfs.PORTS)
    return seaweedfs_server(binary, s3_folder, port, data_dir.log_path("seaweedfs"))


def _with_services(
    options: UpOptions,
    data_dir: DataDir,
    servers: tuple[Program, ...],
    values: dict[str, str],
    mongo_uris: Mapping[str, str],
) -> Stack:
    binary = nginx.find_nginx() if options.use_nginx else None
    api_port = data_dir.allocate_ports("api") if binary else options.port
    edge_port, ingest_port = data_dir.allocate_ports("edge"), data_dir.allocate_ports("ingest")
    internal_port = data_dir.allocate_ports("nginx") if binary else 0
    host = url_host(options.hosts[0])
    url = f"http://{host}:{options.port}"
    # Behind nginx the services listen on loopback; without it browsers connect to api and edge directly.
    bind = "127.0.0.1" if binary else ",".join(options.hosts)
    web_host = "127.0.0.1" if binary else host
    values |= {
        "ingest_port": str(ingest_port),
        "api_host": bind,
        "api_port": str(api_port),
        "edge_host": bind,
        "edge_port": str(edge_port),
        "edge_cache_dir": str(data_dir.subdirectory("cache", "edge")),
        "edge_purge_url": f"http://127.0.0.1:{internal_port}" if binary else "",
        "media_base_url": "" if binary else f"http://{host}:{edge_port}",
    }
    environment = {PREFIX + name.upper(): value for name, value in values.items()}
    save_profile(data_dir.path, environment)
    services = tuple(
        _service(
            name, data_dir.log_path(name), _for_service(name, environment, mongo_uris), f"{probe_host}:{port}"
        )
        for name, probe_host, port in (
            ("ingest", "127.0.0.1", ingest_port),
            ("api", web_host, api_port),
            ("edge", web_host, edge_port),
        )
    )
    nginx_program = None
    if binary:
        config = nginx.write_config(
            data_dir.subdirectory("nginx"),
            hosts=options.hosts,
            port=options.port,
            internal_port=internal_port,
            api_port=api_port,
            edge_port=edge_port,
            edge_cache=data_dir.subdirectory("cache", "edge"),
        )
        nginx_program = nginx.nginx_program(binary, config, url, data_dir.log_path("nginx"))
    return Stack(servers, services, nginx_program, url, f"http://{web_host}:{api_port}")


def _for_service(
    name: str, environment: Mapping[str, str], mongo_uris: Mapping[str, str]
) -> Mapping[str, str]:
    """The environment with the service's own user of the embedded MongoDB."""
    return {**environment, f"{PREFIX}MONGO_URI": mongo_uris[name]} if mongo_uris else environment


def _service(name: str, log: Path, environment: Mapping[str, str], address: str) -> Program:
    async def ready() -> bool:
        return await http_responds(f"http://{address}/readyz")

    return Program(
        name=name,
        # -P: no module of the current folder.
        argv=(sys.executable, "-P", "-m", name),
        env=environment,
        log=log,
        ready=ready,
    )
