# SPDX-License-Identifier: Apache-2.0
"""What people look at: the live page, and the JSON that it and `primus-lens top` read.

Reads the store and the ranks' own files and changes neither. The past of a value is not
kept in memory: it stands in the files, and is read again when somebody asks for it.
"""
