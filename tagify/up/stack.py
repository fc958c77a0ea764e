"""The programs of `tagify up`: servers, services and nginx, with their ports and settings."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tagify.servers import discovery, s3, seaweedfs
from tagify.servers.local_profile import save_profile
from tagify.servers.minio import minio_server
from tagify.servers.mongod import MongoServer, mongo_server
from tagify.servers.ports import http_responds, url_host
from tagify.servers.process import Program
from tagify.servers.seaweedfs import seaweedfs_server
from tagify.settings import PREFIX, CommonSettings, load
from tagify.up import nginx
from tagify.up.data_dir import DataDir
from tagify.web.client_address import parse_address

LOOPBACK = "127.0.0.1"
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


@dataclass(frozen=True, slots=True)
class _Addresses:
    """The ports of the services, and the hosts they listen on. `internal_port`: of nginx; 0 without it."""

    bind: str
    web_host: str
    ingest_port: int
    api_port: int
    edge_port: int
    internal_port: int


@dataclass(frozen=True, slots=True)
class _Servers:
    """The servers that are not elsewhere, the settings of all services that name them, and the URI of
    MongoDB by service where each has a user of its own.
    """

    programs: tuple[Program, ...]
    values: Mapping[str, str]
    mongo_uris: Mapping[str, str]


def build_stack(options: UpOptions, data_dir: DataDir, roots: tuple[Path, ...]) -> Stack:
    """Build the stack for these options and save its settings as the local profile.

    `roots`: the folders that libraries may be in. Raises ServerNotFound, S3ServerMismatch.
    """
    servers = _servers(options, data_dir)
    binary = nginx.find_nginx() if options.use_nginx else None
    addresses = _allocate_addresses(options, data_dir, behind_nginx=binary is not None)
    values = {
        "library_roots": ",".join(map(str, roots)),
        "log_format": "text",
        **servers.values,
        **_address_values(options, data_dir, addresses),
    }
    environment = {PREFIX + name.upper(): value for name, value in values.items()}
    save_profile(data_dir.path, environment)
    url = f"http://{url_host(options.hosts[0])}:{options.port}"
    return Stack(
        servers.programs,
        _services(data_dir, addresses, environment, servers.mongo_uris),
        _nginx_program(binary, options, data_dir, addresses, url) if binary else None,
        url,
        f"http://{addresses.web_host}:{addresses.api_port}",
    )


def _servers(options: UpOptions, data_dir: DataDir) -> _Servers:
    """The servers that the options do not name. Raises ServerNotFound, S3ServerMismatch."""
    programs: list[Program] = []
    mongo_uris: Mapping[str, str] = {}
    values: dict[str, str] = {}
    if not (options.mongo_uri and options.s3_endpoint):
        values["ingest_disk_folders"] = str(data_dir.path)
    if options.mongo_uri:
        values["mongo_uri"] = options.mongo_uri
    else:
        mongo = _mongo_server(data_dir)
        programs.append(mongo.program)
        values["mongo_uri"] = mongo.uri
        mongo_uris = mongo.service_uris
    if options.s3_endpoint:
        values["s3_endpoint"] = options.s3_endpoint
    else:
        store = _s3_server(data_dir)
        programs.append(store.program)
        values |= store.settings
    return _Servers(tuple(programs), values, mongo_uris)


def _mongo_server(data_dir: DataDir) -> MongoServer:
    return mongo_server(
        discovery.find_mongod(),
        data_dir.subdirectory("mongo"),
        data_dir.allocate_ports("mongod"),
        data_dir.log_path("mongod"),
        database=os.environ.get(f"{PREFIX}MONGO_DATABASE") or DEFAULT_DATABASE,
    )


def _s3_server(data_dir: DataDir) -> s3.S3Server:
    s3_folder = data_dir.subdirectory("s3")
    kind, binary = s3.select_server(s3_folder)
    if kind == "minio":
        return minio_server(binary, s3_folder, data_dir.allocate_ports("minio"), data_dir.log_path("minio"))
    # "weed": the key in the ports.json of existing data folders.
    port = data_dir.allocate_ports("weed", length=seaweedfs.PORTS)
    return seaweedfs_server(binary, s3_folder, port, data_dir.log_path("seaweedfs"))


def _allocate_addresses(options: UpOptions, data_dir: DataDir, *, behind_nginx: bool) -> _Addresses:
    """Behind nginx the services listen on loopback; without it browsers connect to api and edge directly."""
    return _Addresses(
        bind=LOOPBACK if behind_nginx else ",".join(options.hosts),
        web_host=LOOPBACK if behind_nginx else url_host(options.hosts[0]),
        ingest_port=data_dir.allocate_ports("ingest"),
        api_port=data_dir.allocate_ports("api") if behind_nginx else options.port,
        edge_port=data_dir.allocate_ports("edge"),
        internal_port=data_dir.allocate_ports("nginx") if behind_nginx else 0,
    )


def _address_values(options: UpOptions, data_dir: DataDir, addresses: _Addresses) -> Mapping[str, str]:
    """The settings that follow from the addresses."""
    internal_port = addresses.internal_port
    return {
        "ingest_port": str(addresses.ingest_port),
        "api_host": addresses.bind,
        "api_port": str(addresses.api_port),
        "edge_host": addresses.bind,
        "edge_port": str(addresses.edge_port),
        "edge_cache_dir": str(data_dir.subdirectory("cache", "edge")),
        "edge_purge_url": f"http://{LOOPBACK}:{internal_port}" if internal_port else "",
        "media_base_url": "",
        "media_port": "0" if internal_port else str(addresses.edge_port),
        "hosts": ",".join(_site_hosts(options)),
    }


def _site_hosts(options: UpOptions) -> list[str]:
    """The names of the site: those of TAGIFY_HOSTS, and the names (not addresses) of `--host`."""
    names = [host.encode("idna").decode() for host in options.hosts if parse_address(host) is None]
    return list(dict.fromkeys((*load(CommonSettings).hosts, *names)))


def _services(
    data_dir: DataDir, addresses: _Addresses, environment: Mapping[str, str], mongo_uris: Mapping[str, str]
) -> tuple[Program, ...]:
    probe_addresses = {
        "ingest": f"{LOOPBACK}:{addresses.ingest_port}",
        "api": f"{addresses.web_host}:{addresses.api_port}",
        "edge": f"{addresses.web_host}:{addresses.edge_port}",
    }
    return tuple(
        _service(name, data_dir.log_path(name), _for_service(name, environment, mongo_uris), address)
        for name, address in probe_addresses.items()
    )


def _nginx_program(
    binary: Path, options: UpOptions, data_dir: DataDir, addresses: _Addresses, url: str
) -> Program:
    config = nginx.write_config(
        data_dir.subdirectory("nginx"),
        hosts=options.hosts,
        site_hosts=_site_hosts(options),
        port=options.port,
        internal_port=addresses.internal_port,
        api_port=addresses.api_port,
        edge_port=addresses.edge_port,
        edge_cache=data_dir.subdirectory("cache", "edge"),
    )
    return nginx.nginx_program(binary, config, url, data_dir.log_path("nginx"))


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
