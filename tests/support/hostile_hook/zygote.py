# SPDX-License-Identifier: Apache-2.0
"""A process that has imported wandb, without the hook, and forks a life for each request.

The life then loads the hook as a process does that has imported wandb already, with settings of
its own; it ends as every interpreter does. A request is a line of JSON on a descriptor; the answers
are the pid, and how the life has ended.
"""

import contextlib
import gc
import json
import os
import resource
import signal
import sys
import tempfile
import types

# Loaded for lives of both kinds: nothing is patched before `boot.start`.
import primus_lens_hook.patch  # noqa: F401
from primus_lens_hook import boot

import support.hostile_hook.actions  # noqa: F401


def serve(requests):
    """Fork lives; returns the request of a life in that life, None when there are no more."""
    gc.collect()
    gc.freeze()
    with open(requests, "r+b", buffering=0) as pipe:
        while line := pipe.readline():
            child = os.fork()
            if not child:
                return json.loads(line)
            pipe.write(b"%d\n" % child)
            pipe.write(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return None


def become(request):
    """Be the process that the request asks for; returns its module `__main__`."""
    os.setsid()
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["env"])
    tempfile.tempdir = None
    for number, path in enumerate(("/dev/null", *request["printed"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    names = ("stdin", "stdout", "stderr")
    for number in request["closed"]:
        os.close(number)
        setattr(sys, names[number], None)  # as Python itself does
        setattr(sys, f"__{names[number]}__", None)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job of a shell's may ignore it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    script = request["script"]
    if request["starts"] == "interpreter":
        os.execv(sys.executable, [sys.executable, script])
    sys.argv[:] = [script]
    boot.start()
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__file__ = script
    return module


if __name__ == "__main__":
    request = None
    # The one that asks may be gone: it was interrupted.
    with contextlib.suppress(ConnectionError):
        request = serve(int(sys.argv[1]))
    if request is not None:
        module = become(request)
        with open(module.__file__) as file:
            code = compile(file.read(), module.__file__, "exec")
        exec(code, module.__dict__)
