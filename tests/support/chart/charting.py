# SPDX-License-Identifier: Apache-2.0
"""The chart, rendered by Helm itself as a given Kubernetes would have it."""

import functools

import kubernetes_validate.utils
import yaml

from support.chart.helm import CHART, Helm

VERSIONS = "1.20", "1.27", "1.30", "1.36"
# The oldest schemas that there are. What was gone by then, the cluster's own test has to show.
SCHEMAS = {"1.20": "1.25"}
GONE = {("policy/v1beta1", "PodDisruptionBudget")}
FOREIGN = "monitoring.coreos.com/", "cert-manager.io/"


# It would read megabytes of JSON again for each object.
kubernetes_validate.utils.schema_contents = functools.cache(
    kubernetes_validate.utils.schema_contents
)


class Strict(yaml.CSafeLoader):
    """Refuses what YAML forbids and most parsers take: one key twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key twice, {node.start_mark}"
        return super().construct_mapping(node, deep)


# A lone `=`, for which PyYAML follows a draft of YAML that nobody else does, and a lone `<<`,
# which to Go's parsers is a text but for a key.
for tag in "value", "merge":
    Strict.add_constructor(f"tag:yaml.org,2002:{tag}", yaml.CSafeLoader.construct_yaml_str)


def texts(values=None, version="1.30", name="lens", namespace="monitoring"):
    """What Helm renders, by template. Raises HelmError."""
    return Helm(namespace).render(name, values or {}, version)


def documents(values=None, version="1.30", **options):
    """Every object, those of `helm test` too."""
    rendered = texts(values, version, **options).values()
    each = (yaml.load_all(text, Strict) for text in rendered)
    return [document for found in each for document in found if document]


def by_name(objects):
    """The objects, by kind and the end of their name."""
    return {(each["kind"], each["metadata"]["name"].rsplit("-", 1)[-1]): each for each in objects}


def check(document, version):
    """Raises ValidationError for what that Kubernetes would not take."""
    kind = document["apiVersion"], document["kind"]
    if kind[0].startswith(FOREIGN) or (version == "1.20" and kind in GONE):
        return
    kubernetes_validate.validate(document, SCHEMAS.get(version, version), strict=True)


def names(document):
    """All that has to be a DNS label, or the value of a label."""
    metadata = document["metadata"]
    yield metadata["name"]
    yield from metadata.get("labels", {}).values()
    template = document.get("spec", {}).get("template", {})
    yield from template.get("metadata", {}).get("labels", {}).values()
    for container in template.get("spec", {}).get("containers", ()):
        yield container["name"]


def leaves(values, path=()):
    """The path of every value that is no section of further ones."""
    for key, value in values.items():
        if isinstance(value, dict) and value and not opaque((*path, key)):
            yield from leaves(value, (*path, key))
        else:
            yield ".".join((*path, key))


# What one comment describes as a whole: pieces of Kubernetes objects.
OPAQUE = {
    "annotations",
    "labels",
    "livenessProbe",
    "nodeSelector",
    "podSecurityContext",
    "readinessProbe",
    "resources",
    "securityContext",
    "updateStrategy",
}


def opaque(path):
    return path[-1] in OPAQUE


def defaults():
    return yaml.safe_load((CHART / "values.yaml").read_text())


def described():
    """Each leaf's description: the `# --` line above it."""
    found, path, comment = {}, [], ""
    for line in (CHART / "values.yaml").read_text().splitlines():
        text = line.strip()
        if text.startswith("# -- "):
            comment = text.removeprefix("# -- ")
        elif text and not text.startswith(("#", "- ")):
            depth = (len(line) - len(line.lstrip())) // 2
            path[depth:] = [text.split(":")[0]]
            if comment:
                found[".".join(path)] = comment
            comment = ""
    return found


CASES = {
    path.name.removesuffix("-values.yaml"): yaml.safe_load(path.read_text())
    for path in sorted((CHART / "ci").glob("*-values.yaml"))
}


def found(values=None, version="1.30", **options):
    return by_name(documents(values, version, **options))


def pod(values, component="exporter", **options):
    kind = {"exporter": "DaemonSet", "webhook": "Deployment"}[component]
    return found(values, **options)[kind, component]["spec"]["template"]


def container(values, component="exporter"):
    return pod(values, component)["spec"]["containers"][0]


def flags(values, component="exporter"):
    return dict(each.partition("=")[::2] for each in container(values, component)["args"][1:])
