# SPDX-License-Identifier: Apache-2.0
"""`python -m primus_lens_cli`, for when the script is not on PATH."""

import sys

from primus_lens_cli.main import main

sys.exit(main())
