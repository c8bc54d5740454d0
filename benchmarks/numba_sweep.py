"""The machine's limit, as far as Numba finds it: one sweep Q -> T(Q) as fused parallel loops over rows of states.

The stand-in that `benchmarks.sweep` holds `quantal.bellman.sweep` against. It does what the engine may not: it knows
the number of agents, that moves are certain, that rewards depend on the state alone and that V is `expected`. Two
passes over the rows of the last agent's states, both on two levels of cache-sized temporaries:

1. policies and values: exponentials once per state and action, three visits to a row that stays in the cache;
2. contraction: five accumulators per agent and row, the opponents' joint moves gathered in registers (two agents) or
   as rows of values gathered along the last axes beforehand (three and four, where every value is used 25 times).

Rows whose length is a power of two are padded, or all that a state needs would share the same few cache lines.

Numba has no vector exponential of its own without Intel's library, so there are two: `libm` calls the C library for
every element; `vector` is a polynomial that LLVM vectorises, right to 2 ulp for arguments <= 0.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

FAST = {"fastmath": True, "boundscheck": False, "error_model": "numpy"}


@njit(inline="always", **FAST)
def vector(x):
    """exp(x) for -708 < x <= 0: 2^k times a polynomial on [-ln(2)/2, ln(2)/2]."""
    x = max(x, -708.0)
    k = np.floor(x * 1.4426950408889634 + 0.5)
    r = x - k * 0.6931471805599453
    p = 1 / 479001600.0
    p = p * r + 1 / 39916800.0
    p = p * r + 1 / 3628800.0
    p = p * r + 1 / 362880.0
    p = p * r + 1 / 40320.0
    p = p * r + 1 / 5040.0
    p = p * r + 1 / 720.0
    p = p * r + 1 / 120.0
    p = p * r + 1 / 24.0
    p = p * r + 1 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * np.int64((np.int64(k) + 1023) << 52).view(np.float64)


@njit(inline="always", **FAST)
def libm(x):
    """exp(x) from the C library."""
    return math.exp(x)


@njit(parallel=True, **FAST)
def triad(a, b, c):
    """A = b + 2 c: what the memory can do."""
    for k in prange(a.size):
        a[k] = b[k] + 2.0 * c[k]


def _policies(exponential):
    @njit(parallel=True, **FAST)
    def policies(n, q, illegal, beta, pi, v):
        """Pi and v of one agent from q [A, R, n]; `illegal` is 0 or -1e290, [A, R, 1] or [A, 1, n]."""
        actions, rows = q.shape[:2]
        by_row = illegal.shape[2] == 1
        for r in prange(rows):
            top = np.full(n, -1e300)
            total = np.zeros(n)
            value = np.zeros(n)
            for a in range(actions):
                if not by_row:
                    for x in range(n):
                        top[x] = max(top[x], q[a, r, x] + illegal[a, 0, x])
                elif illegal[a, r, 0] == 0.0:
                    for x in range(n):
                        top[x] = max(top[x], q[a, r, x])
            for a in range(actions):
                if not by_row:
                    for x in range(n):
                        z = q[a, r, x]
                        w = exponential(beta * (z + illegal[a, 0, x] - top[x]))
                        pi[a, r, x] = w
                        total[x] += w
                        value[x] += w * z
                elif illegal[a, r, 0] == 0.0:
                    for x in range(n):
                        z = q[a, r, x]
                        w = exponential(beta * (z - top[x]))
                        pi[a, r, x] = w
                        total[x] += w
                        value[x] += w * z
                else:
                    for x in range(n):
                        pi[a, r, x] = 0.0
            for x in range(n):
                total[x] = 1 / total[x]
                v[r, x] = value[x] * total[x]
            for a in range(actions):
                for x in range(n):
                    pi[a, r, x] *= total[x]

    return policies


_POLICIES = {"libm": _policies(libm), "vector": _policies(vector)}


@njit(parallel=True, **FAST)
def _contract_two(n, v0, v1, p0, p1, r0, r1, g0, g1, s0, s1, q0, q1):
    """Two agents with five moves each: Q from gathers in registers."""
    for x in prange(v0.shape[0]):
        i0, i1, i2, i3, i4 = s0[0, x], s0[1, x], s0[2, x], s0[3, x], s0[4, x]
        for y in range(n):
            a0, a1, a2, a3, a4 = 0.0, 0.0, 0.0, 0.0, 0.0
            for b in range(5):
                c, w = s1[b, y], p1[b, x, y]
                a0 += w * v0[i0, c]
                a1 += w * v0[i1, c]
                a2 += w * v0[i2, c]
                a3 += w * v0[i3, c]
                a4 += w * v0[i4, c]
                q1[b, x, y] = r1[x, y] + g1 * (
                    p0[0, x, y] * v1[i0, c]
                    + p0[1, x, y] * v1[i1, c]
                    + p0[2, x, y] * v1[i2, c]
                    + p0[3, x, y] * v1[i3, c]
                    + p0[4, x, y] * v1[i4, c]
                )
            q0[0, x, y] = r0[x, y] + g0 * a0
            q0[1, x, y] = r0[x, y] + g0 * a1
            q0[2, x, y] = r0[x, y] + g0 * a2
            q0[3, x, y] = r0[x, y] + g0 * a3
            q0[4, x, y] = r0[x, y] + g0 * a4


@njit(parallel=True, **FAST)
def _gather(v, tail, out):
    """Gather the last axes of v [rows, T] by the successor numbers tail [C, T]: out [rows, C, T]."""
    for r in prange(v.shape[0]):
        for c in range(tail.shape[0]):
            for y in range(tail.shape[1]):
                out[r, c, y] = v[r, tail[c, y]]


@njit(parallel=True, **FAST)
def _contract_three(n3, w, p, reward, g, s, q):
    """Three agents with five moves each; w [M, n1, n2, 5, n3] is V gathered along the last axis."""
    n1, n2 = w.shape[1], w.shape[2]
    for row in prange(n1 * n2):
        x, y = row // n2, row % n2
        e = np.zeros((3, 5, n3))
        for a in range(5):
            for b in range(5):
                u, v = s[a, x], s[b, y]
                for z in range(n3):
                    t0, t1 = 0.0, 0.0
                    pa, pb = p[0, a, x, y, z], p[1, b, x, y, z]
                    for c in range(5):
                        t0 += p[2, c, x, y, z] * w[0, u, v, c, z]
                        t1 += p[2, c, x, y, z] * w[1, u, v, c, z]
                        e[2, c, z] += pa * pb * w[2, u, v, c, z]
                    e[0, a, z] += pb * t0
                    e[1, b, z] += pa * t1
        for i in range(3):
            for a in range(5):
                for z in range(n3):
                    q[i, a, x, y, z] = reward[i, x, y, z] + g[i] * e[i, a, z]


@njit(parallel=True, **FAST)
def _contract_four(size, w, p, reward, g, s, q):
    """Four agents with five moves each; w [M, n1, n2, 25, T] is V gathered along the last two axes."""
    n1, n2 = w.shape[1], w.shape[2]
    for row in prange(n1 * n2):
        x, y = row // n2, row % n2
        e = np.zeros((4, 5, size))
        for a in range(5):
            for b in range(5):
                u, v = s[a, x], s[b, y]
                for c in range(5):
                    for z in range(size):
                        t0, t1, t2 = 0.0, 0.0, 0.0
                        pa, pb, pc = p[0, a, x, y, z], p[1, b, x, y, z], p[2, c, x, y, z]
                        for d in range(5):
                            pd, k = p[3, d, x, y, z], 5 * c + d
                            t0 += pd * w[0, u, v, k, z]
                            t1 += pd * w[1, u, v, k, z]
                            t2 += pd * w[2, u, v, k, z]
                            e[3, d, z] += pa * pb * pc * w[3, u, v, k, z]
                        e[0, a, z] += pb * pc * t0
                        e[1, b, z] += pa * pc * t1
                        e[2, c, z] += pa * pb * t2
        for i in range(4):
            for a in range(5):
                for z in range(size):
                    q[i, a, x, y, z] = reward[i, x, y, z] + g[i] * e[i, a, z]


class Sweeper:
    """A game of agents on one map, five certain moves each, rewards of the state alone: buffers and the sweep.

    Parameters
    ----------
    successors
        [5, n], one table for all agents.
    legal
        [5, n].
    rewards
        One array (n,)*M per agent.
    beta, discount
        One number per agent.
    exponential
        "libm" or "vector".
    """

    def __init__(self, successors, legal, rewards, beta, discount, exponential="vector"):
        n, agents = successors.shape[1], len(rewards)
        self.agents, self.n = agents, n
        self.table = successors.astype(np.int64)
        self.beta, self.discount = beta, np.asarray(discount, dtype=float)
        self.policies = _POLICIES[exponential]
        # All arrays are [.., lead, row]: the last agent is the row, of four agents the last two.
        joined = 2 if agents == 4 else 1
        self.lead, self.row = (n,) * (agents - joined), n**joined
        self.padded = self.row + (8 if self.row % 64 == 0 else 0)
        penalty = np.where(legal, 0.0, -1e290)
        self.illegal = [self._mask(penalty, j) for j in range(agents)]
        self.reward = self.pad(np.stack(rewards))
        self.pi = np.empty((agents, 5, *self.lead, self.padded))
        self.v = np.empty((agents, *self.lead, self.padded))
        if agents > 2:
            self.tail = self.table
            if joined == 2:
                a, b, x, y = np.ogrid[:5, :5, :n, :n]
                self.tail = np.ascontiguousarray((self.table[a, x] * n + self.table[b, y]).reshape(25, n * n))
            self.wide = np.empty((agents, n * n, len(self.tail), self.padded))

    def _mask(self, penalty, j):
        """Agent j's mask against rows, [5, R, 1], or within a row, [5, 1, row]."""
        lead, n = len(self.lead), self.n
        if j < lead:
            shape = (5, *(n if k == j else 1 for k in range(lead)))
            return np.ascontiguousarray(np.broadcast_to(penalty.reshape(shape), (5, *self.lead))).reshape(5, -1, 1)
        shape = (5, *(n if k == j else 1 for k in range(lead, self.agents)))
        full = np.broadcast_to(penalty.reshape(shape), (5,) + (n,) * (self.agents - lead))
        return np.ascontiguousarray(full).reshape(5, 1, -1)

    def pad(self, x):
        """[.., *states] to [.., *lead, row], the row padded."""
        x = x.reshape((*x.shape[: x.ndim - self.agents], *self.lead, self.row))
        return np.ascontiguousarray(np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, self.padded - self.row)]))

    def unpad(self, x):
        """Undo `pad`."""
        x = x[..., : self.row]
        return x.reshape((*x.shape[: x.ndim - 1 - len(self.lead)], *(self.n,) * self.agents))

    def __call__(self, q, out):
        """Write T(q) to `out`; both padded, [M, 5, *lead, row]."""
        agents, row, table, width = self.agents, self.row, self.table, self.padded
        for i in range(agents):
            self.policies(
                row,
                q[i].reshape(5, -1, width),
                self.illegal[i],
                self.beta[i],
                self.pi[i].reshape(5, -1, width),
                self.v[i].reshape(-1, width),
            )
        if agents == 2:
            g, r, v, p = self.discount, self.reward, self.v, self.pi
            _contract_two(row, v[0], v[1], p[0], p[1], r[0], r[1], g[0], g[1], table, table, out[0], out[1])
            return
        for i in range(agents):
            _gather(self.v[i].reshape(-1, width), self.tail, self.wide[i])
        n, contract = self.n, _contract_three if agents == 3 else _contract_four
        wide = self.wide.reshape((agents, n, n, len(self.tail), width))
        contract(row, wide, self.pi, self.reward, self.discount, table, out)
