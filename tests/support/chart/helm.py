# SPDX-License-Identifier: Apache-2.0
"""Helm: the command where there is one on PATH, else the same as a library.

Both raise HelmError, with what Helm says.
"""

import functools
import json
import re
import shutil
import subprocess

import helm_python
from helm_python import HelmError, _native

from support.repository import ROOT

CHART = ROOT / "charts" / "primus-lens-wandb"
COMMAND = shutil.which("helm")
SOURCE = re.compile(r"^---\n# Source: [^/\n]+/templates/(.+)\n", re.MULTILINE)
SECONDS = 120


class Command:
    """`helm` in a namespace, of version 3.13 or newer."""

    def __init__(self, namespace):
        self.namespace = namespace

    def run(self, *arguments, values=None):
        command = [COMMAND, *arguments, "--namespace", self.namespace]
        if values is not None:
            command += ["--values", "-"]
        text = json.dumps(values)  # is YAML
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode:
            raise HelmError(done.stdout + done.stderr)
        return done.stdout

    def lint(self, values):
        self.run("lint", CHART, "--strict", values=values)

    def render(self, name, values, version):
        flags = "--kube-version", f"v{version}.0"
        _, *parts = SOURCE.split(self.run("template", name, CHART, *flags, values=values))
        texts = {}
        for path, text in sorted(zip(parts[::2], parts[1::2], strict=True), key=lambda x: x[0]):
            texts[path] = f"{texts[path]}---\n{text}" if path in texts else text
        return texts

    def install(self, name, values, *, wait=False):
        waiting = ("--wait", "--timeout", f"{SECONDS}s") if wait else ()
        self.run("install", name, CHART, *waiting, values=values)

    def upgrade(self, name, values):
        self.run("upgrade", name, CHART, "--reset-values", values=values)

    def rollback(self, name, revision):
        self.run("rollback", name, str(revision))

    def test(self, name):
        self.run("test", name, "--timeout", f"{SECONDS}s")

    def uninstall(self, name):
        self.run("uninstall", name, "--ignore-not-found")


class Library:
    """The same without a command."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.config = helm_python.Config(namespace=namespace)

    def lint(self, values):
        report = helm_python.lint(CHART, values, strict=True, namespace=self.namespace)
        if report["errors"]:
            raise HelmError(str(report["errors"]))

    def render(self, name, values, version):
        loaded().validate_schema(values)
        # Chart.render() of the SDK has no name for its library's kube_version.
        options = {"name": name, "namespace": self.namespace, "kube_version": f"v{version}.0"}
        arguments = loaded()._raw(), json.dumps(values), json.dumps(options)
        rendered = json.loads(_native.call_string("helm_render", *arguments))
        texts = {path.split("/templates/")[1]: text for path, text in rendered.items()}
        del texts["NOTES.txt"]
        return texts

    def install(self, name, values, *, wait=False):
        waiting = {"wait": "watcher", "timeout": SECONDS} if wait else {}
        self.config.install(CHART, name, values, **waiting)

    def upgrade(self, name, values):
        self.config.upgrade(CHART, name, values, reset_values=True)

    def rollback(self, name, revision):
        self.config.rollback(name, version=revision)

    def test(self, name):
        self.config.test(name, timeout=SECONDS)

    def uninstall(self, name):
        self.config.uninstall(name, ignore_not_found=True)


Helm = Command if COMMAND else Library


@functools.cache
def loaded():
    """The chart, as the library knows it."""
    return helm_python.Chart.load(CHART)


def notes(values):
    """What users are told after an installation; `helm template` does not say it."""
    rendered = loaded().render(values, name="lens", namespace="monitoring")
    return next(text for path, text in rendered.items() if path.endswith("/NOTES.txt"))
