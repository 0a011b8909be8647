# SPDX-License-Identifier: Apache-2.0
import sys
import types

import pytest

from support import native_model


@pytest.fixture(autouse=True)
def _model_of_the_newest_wandb(monkeypatch):
    """The step fix asks the modules that are loaded; those of the model are new."""
    wandb = types.SimpleNamespace(__version__="99.0", patched={"tensorboard": []})
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "wandb.sdk.interface.summary_record", native_model)
