# SPDX-License-Identifier: Apache-2.0
"""Sends every sample to a receiver, with the time at which it was logged, whatever the protocol.

`outbox` collects what is read and commits it to `spool`, together with the positions it was
read up to; `sender` empties the spool through `client`, in order, until the receiver has
acknowledged each request. A receiver that is away costs nothing but time: requests wait in
the spool, and when that is full, lines wait in their files. What differs between protocols
is behind `wire_format`: nothing else in here may depend on one.
"""
