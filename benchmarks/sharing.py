"""What two trainings that share the cores cost each other, with threads that spin and that sleep.

python -m benchmarks.sharing [--seconds 8] [--json]

Each training is a process of its own with as many threads as there are cores, as where a trial of
settings runs beside a training. Spinning is what OpenMP does by default; the worker starts its
processes with sleeping threads.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import torch
from torch import nn

from engine.machine import usable_cores


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        print(train(options.seconds))
        return
    result = {}
    for name, policy in (("spinning", "ACTIVE"), ("sleeping", "PASSIVE")):
        alone = steps_per_second(1, policy, options.seconds)
        shared = steps_per_second(2, policy, options.seconds)
        result |= {f"{name}_alone": alone, f"{name}_shared": shared}
        print(f"{name} threads: {alone:.1f} steps/s alone, {shared:.1f} in all when two share")
    result["ratio"] = result["sleeping_shared"] / result["spinning_shared"]
    print(f"Sleeping is {result['ratio']:.2f} times as fast where two share.")
    if options.json:
        print(json.dumps(result))


def steps_per_second(num_processes: int, policy: str, seconds: float) -> float:
    """Steps per second of some trainings together."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(usable_cores()),
        "OMP_WAIT_POLICY": policy,
    }
    command = [sys.executable, "-m", "benchmarks.sharing", "--train", "--seconds", str(seconds)]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(num_processes)
    ]
    return sum(float(process.communicate()[0]) for process in processes)


def train(seconds: float) -> float:
    """Steps per second of a small network on one batch."""
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 1, 3, padding=1),
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters())
    images_NCHW = torch.rand(2, 3, 128, 128).to(memory_format=torch.channels_last)
    num_steps, started_at = 0, time.monotonic()
    while time.monotonic() - started_at < seconds:
        optimizer.zero_grad()
        model(images_NCHW).mean().backward()
        optimizer.step()
        num_steps += 1
    return num_steps / (time.monotonic() - started_at)


if __name__ == "__main__":
    main()
