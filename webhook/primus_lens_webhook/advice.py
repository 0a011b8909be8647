# SPDX-License-Identifier: Apache-2.0
"""What the author of an injected pod should know: why something may not be as expected.

It must never rule out an injection, and never guess: each line says what is known for sure.
"""

from __future__ import annotations

from primus_lens_webhook.document import Object, annotations_of, strings, text
from primus_lens_webhook.idle import SSHD, idle_program
from primus_lens_webhook.options import EXEC
from primus_lens_webhook.python_env import IMAGE_PYTHONPATH, MODE, SET, is_wrapped

LONGEST_WARNING = 120  # characters; API servers cut longer ones (admission/v1, Warnings)


def advice(pod: Object, container: Object, mode: str) -> list[str]:
    """Of one target. `mode` is what was done for Python. Raises Malformed.

    The name comes last: long warnings are cut.
    """
    of_container = f" (container {text(container, 'name')})"
    found = []
    if mode == SET and IMAGE_PYTHONPATH not in annotations_of(pod):
        found.append(f"a PYTHONPATH of the image is hidden; name it in {IMAGE_PYTHONPATH}")
    program = idle_program(_own_command(container) + strings(container, "args"))
    if program == SSHD:
        found.append("sessions of sshd are recorded only if given its variables (mpirun -x)")
    elif program and mode == EXEC:  # other modes have PYTHONPATH, or need none
        found.append(f"what kubectl exec starts is not recorded; set {MODE}: prepend")
    return [each + of_container for each in found]


def _own_command(container: Object) -> list[str]:
    """The user's, without what ours begins with."""
    command = strings(container, "command")
    return command[2:] if is_wrapped(command) else command
