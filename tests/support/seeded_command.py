# SPDX-License-Identifier: Apache-2.0
"""The arguments that the commands share which train random programs from a seed."""

import argparse
import os


def parser(module, description, examples, *, count, of):
    """A parser of how many there are `of` something, the seed, and `--native`."""
    parser = argparse.ArgumentParser(
        f"python -m {module}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("count", type=int, nargs="?", default=count, help=f"how many {of}")
    parser.add_argument("--seed", default=str(os.getpid()), help=f"same seed, same {of}")
    parser.add_argument("--native", action="store_true", help="compare native with native")
    return parser
