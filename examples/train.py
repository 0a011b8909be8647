# SPDX-License-Identifier: Apache-2.0
"""Trains a small neural network with numpy and logs to W&B. It knows of nothing else.

Two interleaved spirals, one hidden layer, plain stochastic gradient descent. Each rank
trains on its own share of the data, as data-parallel jobs do.

    python examples/train.py --steps 200
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import wandb

HIDDEN = 256
BATCH = 512


def spirals(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` points of each of two spiral arms, and which arm each is on."""
    turn = np.sqrt(rng.random(2 * count)) * 3 * np.pi
    arm = np.repeat([0.0, 1.0], count)
    angle = turn + arm * np.pi
    points = np.stack([np.cos(angle) * turn, np.sin(angle) * turn], axis=1) / 10
    return points + rng.normal(scale=0.02, size=points.shape), arm


class Network:
    """Two inputs, one hidden layer, one output: the chance of being on the second arm."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.weights_in = rng.normal(scale=2.0, size=(2, HIDDEN))
        self.bias_in = rng.normal(scale=2.0, size=HIDDEN)
        self.weights_out = rng.normal(scale=0.1, size=HIDDEN)

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The hidden layer and the output for each point."""
        hidden = np.tanh(points @ self.weights_in + self.bias_in)
        return hidden, 1 / (1 + np.exp(-hidden @ self.weights_out))

    def step(self, points: np.ndarray, arm: np.ndarray, rate: float) -> dict[str, float]:
        """One step of gradient descent; returns what there is to log."""
        hidden, output = self.predict(points)
        error = (output - arm) / len(arm)
        gradient_out = hidden.T @ error
        slope = np.outer(error, self.weights_out) * (1 - hidden**2)
        gradient_in = points.T @ slope
        self.weights_out -= rate * gradient_out
        self.weights_in -= rate * gradient_in
        self.bias_in -= rate * slope.sum(axis=0)
        chance = np.clip(np.where(arm == 1, output, 1 - output), 1e-9, 1)
        return {
            "train/loss": -np.log(chance).mean(),
            "train/accuracy": ((output > 0.5) == arm).mean(),
            "train/grad_norm": np.sqrt((gradient_in**2).sum() + (gradient_out**2).sum()),
        }


def main() -> None:
    """Train for as many steps as asked."""
    parser = argparse.ArgumentParser(description="Train a small network and log to W&B.")
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps
    rank = int(os.environ.get("RANK", "0"))

    rng = np.random.default_rng(rank)
    points, arm = spirals(rng, 20_000)
    network = Network(np.random.default_rng(0))
    config = {"hidden": HIDDEN, "batch": BATCH, "steps": steps}
    wandb.init(project="spirals", name="two spirals", config=config)
    for step in range(steps):
        started = time.perf_counter()
        rate = 2.0 * (1 - step / steps)
        for _ in range(20):
            batch = rng.integers(len(arm), size=BATCH)
            metrics = network.step(points[batch], arm[batch], rate)
        seconds = time.perf_counter() - started
        wandb.log(
            {**metrics, "train/learning_rate": rate, "samples_per_second": 20 * BATCH / seconds}
        )
        if step % 20 == 0:
            _, output = network.predict(points[:2000])
            wandb.log({"eval/accuracy": ((output > 0.5) == arm[:2000]).mean()}, commit=False)
    wandb.finish()


if __name__ == "__main__":
    main()
