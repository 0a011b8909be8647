#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh OUTPUT: the static exec wrapper, the same bytes each time. Needs Debian's musl-tools
# (CC: another compiler).
set -eu
exec ${CC:-musl-gcc} -std=c11 -Os -Wall -Wextra -Werror -static -s \
    -Wl,--build-id=none -Wl,-z,noexecstack -o "$1" "$(dirname "$0")/exec.c"
