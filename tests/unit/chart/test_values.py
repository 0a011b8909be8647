# SPDX-License-Identifier: Apache-2.0
"""Values: each is described, is in the README and the schema, and says what is wrong with it."""

import json

import pytest

from support.chart import charting, helm

LEAVES = sorted(charting.leaves(charting.defaults()))
SCHEMA = json.loads((charting.CHART / "values.schema.json").read_text())
DIGEST = "sha256:" + "0" * 64


def resolved(schema):
    if "$ref" in schema:
        return SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def in_schema(path):
    schema = SCHEMA
    for key in path.split("."):
        schema = resolved(schema)["properties"].get(key)
        if schema is None:
            return False
    return True


def objects(schema, path=""):
    """Every schema of an object that has properties."""
    for key, each in schema.items():
        if isinstance(each, dict):
            yield from objects(each, f"{path}/{key}")
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        yield path, schema


@pytest.mark.parametrize("leaf", LEAVES)
def test_each_value_is_described_in_three_places(leaf):
    assert leaf in charting.described(), "a `# --` line above it in values.yaml"
    assert f"\n| `{leaf}` |" in (charting.CHART / "README.md").read_text(), "`make manifests`"
    assert in_schema(leaf), "values.schema.json"


def test_nothing_is_described_that_is_no_value():
    assert sorted(charting.described()) == LEAVES


@pytest.mark.parametrize(("path", "schema"), list(objects(SCHEMA)))
def test_no_object_takes_what_it_does_not_know(path, schema):
    # Parents put what they like into `global`.
    assert schema["additionalProperties"] is path.endswith("/global")


def test_the_default_values_fit_the_schema():
    helm.loaded().validate_schema(charting.defaults())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"exporters": {}}, "additional properties 'exporters' not allowed"),
        ({"exporter": {"prot": 1}}, "additional properties 'prot' not allowed"),
        ({"exporter": {"port": "http"}}, "got string, want integer"),
        ({"exporter": {"port": 70000}}, "maximum: got 70,000, want 65,535"),
        ({"rules": {"runbookUrl": "docs/runbooks"}}, "does not match pattern"),
        ({"records": {"type": "tmpfs"}}, "value must be one of 'emptyDir'"),
        ({"records": {"hostPath": "relative"}}, "does not match pattern"),
        ({"image": {"digest": "latest"}}, "does not match pattern"),
        ({"image": {"pullPolicy": "Sometimes"}}, "value must be one of 'Always'"),
        ({"webhook": {"failurePolicy": "Fail"}}, "'failurePolicy' not allowed"),
        ({"webhook": {"timeoutSeconds": 10}}, "maximum: got 10, want 5"),
        ({"webhook": {"certs": {"mode": "both"}}}, "value must be one of 'selfManaged'"),
        ({"webhook": {"certs": {"caBundle": "aGVsbG8="}}}, "does not match pattern"),
        ({"exporter": {"podLabels": {"a b": "c"}}}, "additional properties 'a b' not allowed"),
        ({"exporter": {"podLabels": {"replicas": 2}}}, "got number, want string"),
        ({"exporter": {"extraArgs": ["-v"]}}, "does not match pattern"),
        ({"injection": {"imagePullSecrets": ["pull"]}}, "got string, want object"),
        ({"exporter": {"tolerations": [{"operator": "In"}]}}, "value must be one of 'Exists'"),
        ({"networkPolicy": {"apiServerCidrs": ["10.0.0.1"]}}, "does not match pattern"),
        # To Kubernetes an empty list of peers is everybody.
        ({"networkPolicy": {"prometheus": []}}, "minItems: got 0, want 1"),
        ({"fullnameOverride": "Capital"}, "does not match pattern"),
    ],
)
def test_a_wrong_value_is_named_by_the_schema(values, words):
    with pytest.raises(helm.HelmError) as error:
        # The words of the command are other ones before 3.18.
        helm.loaded().validate_schema(values)
    assert words in str(error.value)
    [key] = values
    assert key in str(error.value)


CERTS = {
    "existingSecret": "tls",
    "caBundle": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"webhook": {"certs": {"mode": "existing"}}}, "give webhook.certs.existingSecret"),
        ({"webhook": {"certs": CERTS}}, "mode is selfManaged: one mode only"),
        (
            {"webhook": {"certs": {"mode": "certManager", **CERTS}}},
            "mode is certManager: one mode only",
        ),
        ({"webhook": {"certs": {"issuerRef": {"name": "x"}}}}, "issuerRef is given, but"),
        (
            {"webhook": {"certs": {"mode": "existing", **CERTS, "caSecretName": "x"}}},
            "caSecretName is given, but",
        ),
        ({"records": {"type": "persistentVolumeClaim"}}, "name the claim in records.claimName"),
        ({"records": {"claimName": "x"}}, "records.type is emptyDir: set it to"),
        (
            {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}},
            "enable one of them",
        ),
        ({"webhook": {"metricsPort": 9443}}, "webhook.metricsPort is 9443, which is the port"),
        ({"webhook": {"metricsPort": 443}}, "webhook.metricsPort is 443, which is the port"),
    ],
)
def test_values_that_make_no_sense_together_are_refused(values, words):
    with pytest.raises(helm.HelmError) as error:
        charting.texts(values)
    assert words in str(error.value)
