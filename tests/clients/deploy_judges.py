"""Checks the files under deploy/ against published schemas: compose, Kubernetes, Grafana, Dockerfiles.

deploy_judges.py DEPLOY_FOLDER MEETWATCH: prints a line for each file that passes; the first failure ends it.
"""

import json
import pathlib
import re
import subprocess
import sys

import kubernetes_validate
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

BIN = pathlib.Path(sys.executable).parent
# The oldest and the newest version that were supported when this was written.
KUBERNETES = ("1.33", "1.37")
# No package of a registry holds the schemas of these kinds.
UNKNOWN_KINDS = {"Kustomization", "PrometheusRule", "ServiceMonitor"}


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.stdout}{done.stderr}")


def is_pinned(image):
    return re.search(r":v?\d+\.\d+[.\d]*[-\w]*$", image) is not None


def differences(ours, theirs, path=""):
    """Returns what another program made of a document, where it differs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key not in theirs:
                yield f"{path}/{key} is not known"
            else:
                yield from differences(value, theirs[key], f"{path}/{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, pair in enumerate(zip(ours, theirs)):
            yield from differences(*pair, f"{path}/{number}")
    elif ours != theirs:
        yield f"{path}: {ours!r} became {theirs!r}"


def judge_docker(folder, meetwatch):
    run(BIN / "hadolint", folder / "Dockerfile")
    images = re.findall(r"^FROM (\S+)", (folder / "Dockerfile").read_text(), re.MULTILINE)
    assert images and all(is_pinned(image) for image in images), images
    print("Dockerfile: agrees")

    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", folder / "compose.yaml")
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        assert is_pinned(service["image"]), service["image"]
        assert service["read_only"] and service["cap_drop"] == ["ALL"], f"{name} is not locked down"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (folder / source).exists() if source.startswith(".") else source in compose["volumes"]
            assert known, f"{name} mounts {source}, which does not exist"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} is open to the network"
        if service["image"].startswith("meetwatch:"):
            # An unknown argument is an error, even with --help.
            run(meetwatch, *service["command"], "--help")
    print("compose.yaml: agrees")


def judge_kubernetes(folder):
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    listed = set(kustomization["resources"]) | {"kustomization.yaml"}
    assert {path.name for path in folder.glob("*.yaml")} == listed, listed
    for path in sorted(folder.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] in UNKNOWN_KINDS:
                continue
            for version in KUBERNETES:
                kubernetes_validate.validate(document, version, strict=True)
    print("kubernetes: agrees")


def judge_grafana(folder):
    plugins.register_default_plugins()
    for path in sorted((folder / "dashboards").glob("*.json")):
        ours = json.loads(path.read_text())
        theirs = json.loads(json.dumps(Dashboard.from_json(ours), cls=JSONEncoder))
        found = list(differences(ours, theirs))
        assert not found, (path.name, found)
        ids = [panel["id"] for panel in ours["panels"]]
        assert len(ids) == len(set(ids)), path.name
    print("grafana: agrees")


def main():
    folder, meetwatch = pathlib.Path(sys.argv[1]), sys.argv[2]
    judge_docker(folder / "docker", meetwatch)
    judge_kubernetes(folder / "kubernetes")
    judge_grafana(folder / "grafana")


if __name__ == "__main__":
    main()
