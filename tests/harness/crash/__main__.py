"""`python -m tests.harness.crash`: kill brokers under load, seed after seed, and see whether they keep what they promised."""
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.harness.crash.client import Found
from tests.harness.crash.run import CrashRun


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.harness.crash", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=15, help="in each run")
    parser.add_argument("--durability", choices=("always", "interval", "off"), default="always")
    options = parser.parse_args()
    for seed in range(options.seed, options.seed + options.runs):
        with TemporaryDirectory() as folder:
            run = CrashRun(seed, Path(folder), durability=options.durability)
            try:
                run.run(options.kills)
            except Found as error:
                raise SystemExit(f"{error}\nagain: python -m tests.harness.crash --seed {seed} --runs 1 --kills {options.kills} "
                                 f"--durability {options.durability}") from None
            sent = sum(len(publisher.acknowledged) for publisher in run.publishers)
            print(f"seed {seed}: {run.kills}; {sent} messages acknowledged, all kept", flush=True)


if __name__ == "__main__":
    main()
