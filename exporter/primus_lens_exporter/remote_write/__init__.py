# SPDX-License-Identifier: Apache-2.0
"""Sends every sample to a remote-write receiver, with the time at which it was logged.

`outbox` collects what is read and commits it to `spool`, together with the positions it was
read up to; `sender` empties the spool through `client`, in order, until the receiver has
acknowledged each request. A receiver that is away costs nothing but time: requests wait in
the spool, and when that is full, lines wait in their files.
"""
