# SPDX-License-Identifier: Apache-2.0
import sys
import types

import pytest


@pytest.fixture(autouse=True)
def _model_of_the_newest_wandb(monkeypatch):
    """The step fix asks the module that is loaded for its version; that of the model is new."""
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(__version__="99.0"))
