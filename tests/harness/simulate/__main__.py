"""`python -m tests.harness.simulate`: a cluster in one process, seed after seed, each twice."""
import os
import sys
from argparse import ArgumentParser

from tests.harness.simulate.run import fingerprint, simulate
from tests.harness.simulate.world import OPTIONS, Found, Loads


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.harness.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    for name, meaning in OPTIONS.items():
        parser.add_argument(f"--{name}", action="store_true", help=meaning)
    parser.add_argument("--log", action="store_true", help="print all that happened")
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets belongs to what a seed decides
        os.execve(sys.executable, [sys.executable, "-m", "tests.harness.simulate", *sys.argv[1:]],
                  {**os.environ, "PYTHONHASHSEED": "0"})
    loads = Loads(**{name: getattr(options, name) for name in OPTIONS})
    failed = 0
    for seed in range(options.seed, options.seed + options.seeds):
        try:
            simulation = simulate(seed, loads)
        except Found as error:
            failed += 1
            print(f"{error}\n", flush=True)
            continue
        if options.log:
            print("\n".join(simulation.world.log))
        if options.seeds < 20 or seed % 100 == 0:
            print(f"seed {seed}: {simulation.told()}, log {fingerprint(simulation.world.log)}", flush=True)
    if failed:
        raise SystemExit(f"{failed} of {options.seeds} seeds failed")


if __name__ == "__main__":
    main()
