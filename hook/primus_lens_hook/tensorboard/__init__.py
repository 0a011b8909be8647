# SPDX-License-Identifier: Apache-2.0
"""Records what wandb reads out of TensorBoard's event files (`sync_tensorboard`).

wandb reads them in another process, so that none of its log calls sees the values. It must never
import TensorBoard, protobuf or TensorFlow, nor touch a writer whose directory wandb does not read.
"""
