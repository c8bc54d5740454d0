"""All measurements, one after the other: `make bench`."""

from benchmarks import crowd, crowd_gap, inference, learners, peers, solvers, sweep

for part in (solvers, peers, sweep, crowd, crowd_gap, learners, inference):
    print(f"\n## {part.__name__}\n")
    part.main()
