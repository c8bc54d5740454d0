"""Maximum causal entropy inverse reinforcement learning of one agent, by `imitation`.

Writes `tests/reference/imitation.json`, which holds the problems too. Run it in an environment of its own:

    pip install imitation "numpy<2"

A problem has random moves, rewards that are linear in features of states, and T decisions. What is observed is the
occupancy that play at the true weights leads to (imitation's own, exact), so that the weights found are the true ones.
Its search (Adam on a linear reward network) stops when occupancies differ by less than 1e-7. It counts the state after
the last decision too; recorded are visits at decisions.
"""

import json
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from imitation.algorithms import mce_irl
from seals import base_envs

OUT = Path(__file__).parents[2] / "tests" / "reference" / "imitation.json"
CLOSE = 1e-7


class Linear(torch.nn.Module):
    """<theta, features of the state>, in the form that imitation asks of a reward network."""

    def __init__(self, env):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.zeros(env.observation_matrix.shape[1], dtype=torch.float64))

    def forward(self, state, action, next_state, done):
        return state.double() @ self.theta

    @property
    def device(self):
        return torch.device("cpu")

    @property
    def dtype(self):
        return torch.float64


def problem(states, actions, features, horizon, seed):
    rng = np.random.default_rng(seed)
    moves = rng.dirichlet(np.full(states, 0.3), size=(states, actions))
    start = rng.dirichlet(np.ones(states))
    phi = rng.normal(size=(states, features))
    truth = rng.normal(size=features)
    env = base_envs.TabularModelPOMDP(
        transition_matrix=moves,
        observation_matrix=phi.astype(np.float32).astype(np.float64),
        reward_matrix=phi @ truth,
        initial_state_dist=start,
        horizon=horizon,
    )
    return env, moves, start, phi, truth


def main():
    found = {}
    for name, given in {"6 states": (6, 3, 3, 10, 0), "14 states": (14, 4, 5, 15, 1)}.items():
        env, moves, start, phi, truth = problem(*given)
        _, _, pi = mce_irl.mce_partition_fh(env)
        each, visits = mce_irl.mce_occupancy_measures(env, pi=pi)
        network = Linear(env)
        search = mce_irl.MCEIRL(
            visits,
            env,
            network,
            rng=np.random.default_rng(0),
            optimizer_kwargs={"lr": 0.03},
            linf_eps=CLOSE,
            grad_l2_eps=1e-10,
            log_interval=None,
        )
        began = time.perf_counter()
        search.train(max_iter=20_000)
        seconds = time.perf_counter() - began
        theta = network.theta.detach().numpy()
        print(name, "off the truth by", np.abs(theta - truth).max(), f"in {seconds:.1f} s")
        found[name] = {
            "horizon": given[3],
            "moves": moves.tolist(),
            "start": start.tolist(),
            "features": phi.tolist(),
            "visits": each[: given[3]].sum(axis=0).tolist(),
            "policy_at_0": pi[0].tolist(),
            "theta": theta.tolist(),
        }
    OUT.write_text(json.dumps({"imitation": version("imitation"), "problems": found}) + "\n")


if __name__ == "__main__":
    main()
