"""What runs under `tagify up`: which servers, which services, on which ports, with which settings."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tagify.servers import discovery, s3
from tagify.servers.local_profile import save_profile
from tagify.servers.minio import minio_server
from tagify.servers.mongod import mongo_server
from tagify.servers.ports import answers
from tagify.servers.process import Program
from tagify.servers.seaweedfs import weed_server
from tagify.settings import PREFIX
from tagify.up import nginx
from tagify.up.data_dir import DataFolder


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the command line asks for."""

    data_dir: Path
    host: str
    port: int
    library: Path | None
    mongo_uri: str | None
    s3_endpoint: str | None
    use_nginx: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Groups of programs, started one after the other, and where the page and the API will be."""

    servers: tuple[Program, ...]
    services: tuple[Program, ...]
    front: Program | None
    url: str
    api_url: str


def make_plan(wishes: UpOptions, folder: DataFolder, roots: tuple[Path, ...]) -> Plan:
    """The plan for these wishes; `roots` are the folders under which libraries may lie."""
    servers: list[Program] = []
    values: dict[str, str] = {"library_roots": ",".join(map(str, roots)), "log_format": "text"}
    if wishes.mongo_uri:
        values["mongo_uri"] = wishes.mongo_uri
    else:
        mongo = mongo_server(
            discovery.mongod(), folder.sub("mongo"), folder.port("mongod"), folder.log("mongod")
        )
        servers.append(mongo.program)
        values["mongo_uri"] = mongo.uri
    if wishes.s3_endpoint:
        values["s3_endpoint"] = wishes.s3_endpoint
    else:
        store = _s3(folder)
        servers.append(store.program)
        values |= store.settings
    return _with_services(wishes, folder, tuple(servers), values)


def _s3(folder: DataFolder) -> s3.S3Server:
    place = folder.sub("s3")
    kind, binary = s3.choose(place)
    if kind == "minio":
        return minio_server(binary, place, folder.port("minio"), folder.log("minio"))
    return weed_server(binary, place, folder.port("weed", length=10), folder.log("weed"))


def _with_services(
    wishes: UpOptions, folder: DataFolder, servers: tuple[Program, ...], values: dict[str, str]
) -> Plan:
    binary = nginx.installed() if wishes.use_nginx else None
    api_port = folder.port("api") if binary else wishes.port
    edge_port, ingest_port = folder.port("edge"), folder.port("ingest")
    internal_port = folder.port("nginx") if binary else 0
    url = f"http://{wishes.host}:{wishes.port}"
    # Behind nginx the services are on loopback; without it browsers come to both of them.
    bind = "127.0.0.1" if binary else wishes.host
    values |= {
        "ingest_port": str(ingest_port),
        "api_host": bind,
        "api_port": str(api_port),
        "edge_host": bind,
        "edge_port": str(edge_port),
        "edge_cache_dir": str(folder.sub("cache", "edge")),
        "edge_purge_url": f"http://127.0.0.1:{internal_port}" if binary else "",
        "media_base_url": "" if binary else f"http://{wishes.host}:{edge_port}",
    }
    environment = {PREFIX + name.upper(): value for name, value in values.items()}
    save_profile(folder.path, environment)
    services = tuple(
        _service(name, port, folder.log(name), environment, bind if name != "ingest" else "127.0.0.1")
        for name, port in (("ingest", ingest_port), ("api", api_port), ("edge", edge_port))
    )
    front = None
    if binary:
        config = nginx.configure(
            folder.sub("nginx"),
            host=wishes.host,
            port=wishes.port,
            internal_port=internal_port,
            api_port=api_port,
            edge_port=edge_port,
            edge_cache=folder.sub("cache", "edge"),
        )
        front = nginx.program(binary, config, wishes.port, folder.log("nginx"))
    return Plan(servers, services, front, url, f"http://{bind}:{api_port}")


def _service(name: str, port: int, log: Path, environment: Mapping[str, str], host: str) -> Program:
    async def ready() -> bool:
        return await answers(f"http://{host}:{port}/readyz")

    return Program(
        name=name,
        argv=(sys.executable, "-m", name),
        env=environment,
        log=log,
        ready=ready,
    )
