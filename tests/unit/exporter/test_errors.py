# SPDX-License-Identifier: Apache-2.0
import importlib
import inspect
import pkgutil

import primus_lens_exporter
from primus_lens_exporter.model.errors import ExporterError


def test_every_exception_of_the_exporter_has_its_base():
    found = set()
    for info in pkgutil.walk_packages(primus_lens_exporter.__path__, "primus_lens_exporter."):
        members = vars(importlib.import_module(info.name)).values()
        found |= {each for each in members if inspect.isclass(each) and issubclass(each, Exception)}
    ours = {each for each in found if each.__module__.startswith("primus_lens_exporter")}
    assert len(ours) > 10
    assert {each for each in ours if not issubclass(each, ExporterError)} == set()
