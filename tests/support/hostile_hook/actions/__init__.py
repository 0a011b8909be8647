# SPDX-License-Identifier: Apache-2.0
"""What lives do: each line of a generated program calls one of these functions.

They run with the hook and without it, so nothing here may depend on whether it is there. What
comes of an action is noted (`notes`), and the notes of both lives are compared.
"""

from support.hostile_hook.actions.descriptors import *
from support.hostile_hook.actions.disks import *
from support.hostile_hook.actions.endings import *
from support.hostile_hook.actions.interruptions import *
from support.hostile_hook.actions.notes import *
from support.hostile_hook.actions.processes import *
from support.hostile_hook.actions.rows import *
from support.hostile_hook.actions.values import *
