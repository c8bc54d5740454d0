"""The machine's limit, as far as Numba finds it: one forward-backward iteration of a crowd, in fused parallel loops.

The stand-in that `benchmarks.crowd` holds `quantal.solvers.forward_backward` against. It does what the engine may not:
it knows that everyone shares one open map of five certain moves, that rewards depend on the cell alone, that V is
`expected`, that nobody is ever absorbed. Per agent and decision time it makes two visits to a row of cells, which
stays in the cache: the backward pass writes policies to a buffer that the thread keeps, the forward pass reads them.

Exponentials are a polynomial that LLVM vectorises, right to about 1 ulp of float32 for arguments <= 0.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, njit, prange

FAST = {"fastmath": True, "boundscheck": False, "error_model": "numpy"}
F = np.float32
PIECE = 4096
"""Cells taken at a time."""


@njit(inline="always", **FAST)
def exponential(x):
    """exp(x) for -87 < x <= 0: 2^k times a polynomial on [-ln(2)/2, ln(2)/2]."""
    x = max(x, F(-87.0))
    k = np.floor(x * F(1.44269504) + F(0.5))
    r = x - k * F(0.693147182)
    p = F(1 / 5040.0)
    p = p * r + F(1 / 720.0)
    p = p * r + F(1 / 120.0)
    p = p * r + F(1 / 24.0)
    p = p * r + F(1 / 6.0)
    p = p * r + F(0.5)
    p = p * r + F(1.0)
    p = p * r + F(1.0)
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(inline="never", **FAST)
def _summed(base, ahead, illegal, beta, q, top):
    for x in range(base.size):
        q[x] = base[x] + ahead[x]
        top[x] = max(top[x], beta * q[x] + illegal[x])


@njit(inline="never", **FAST)
def _weighed(q, illegal, beta, top, total, policy):
    for x in range(q.size):
        w = exponential(beta * q[x] + illegal[x] - top[x])
        total[x] += w
        policy[x] = w


@njit(inline="never", **FAST)
def _averaged(q, scale, value, policy):
    for x in range(q.size):
        p = policy[x] * scale[x]
        policy[x] = p
        value[x] += p * q[x]


@njit(inline="never", **FAST)
def _inverted(total):
    for x in range(total.size):
        total[x] = F(1.0) / total[x]


@njit(inline="never", **FAST)
def backward(side, beta, base, ahead, illegal, value, policy, room):
    """One decision: values `value` and policies (5, n + 2 side) from values one step ahead, both with a margin.

    In pieces that stay in the first cache, in loops over so few arrays that LLVM vectorises them.
    """
    cells = side * side
    for begin in range(0, cells, PIECE):
        end = min(cells, begin + PIECE)
        size = end - begin
        first = begin + side
        top, total, q = room[5, :size], room[6, :size], room
        top[:] = F(-1e30)
        total[:] = F(0.0)
        here = value[first : first + size]
        here[:] = F(0.0)
        for a in range(5):
            to = first + (0, -side, side, -1, 1)[a]
            _summed(base[begin:end], ahead[to : to + size], illegal[a, begin:end], beta, q[a, :size], top)
        for a in range(5):
            _weighed(q[a, :size], illegal[a, begin:end], beta, top, total, policy[a, first : first + size])
        _inverted(total)
        for a in range(5):
            _averaged(q[a, :size], total, here, policy[a, first : first + size])


@njit(inline="never", **FAST)
def _flown(policy, mass, arrived):
    for x in range(arrived.size):
        arrived[x] += policy[x] * mass[x]


@njit(inline="never", **FAST)
def forward(side, policy, mass, arrived):
    """One move: `arrived` (n,) from `mass`, which has a margin."""
    cells = side * side
    for begin in range(0, cells, PIECE):
        end = min(cells, begin + PIECE)
        arrived[begin:end] = F(0.0)
        for a in range(5):
            came = begin + side - (0, -side, side, -1, 1)[a]
            _flown(policy[a, came : came + end - begin], mass[came : came + end - begin], arrived[begin:end])


@njit(parallel=True, **FAST)
def iterate(side, beta, reward, field, weight, own, start, illegal, image, policy):
    """One iteration: occupancies `image` (M, T + 1, n) from `own`, of the same shape, and their `field` (T, n).

    Parameters
    ----------
    side
        The map is side x side cells.
    reward
        Per agent and cell, (M, n).
    start
        Where each agent starts, (M,).
    weight
        Of each agent's presence, (M,).
    illegal
        -1e30 where a move leaves the map (a weight of exp(-87)), else 0, (5, n): stay, up, down, left,
        right. All the weight there is in cells of the margin, which are never read as mass.
    policy
        Room for the policies of one agent per thread, (threads, T, 5, n + 2 side).
    """
    agents, times, cells = own.shape[0], own.shape[1] - 1, side * side
    threads = policy.shape[0]
    share = (agents + threads - 1) // threads
    for thread in prange(threads):
        value = np.zeros(cells + 2 * side, dtype=np.float32)
        ahead = np.zeros(cells + 2 * side, dtype=np.float32)
        base = np.empty(cells, dtype=np.float32)
        rows = np.empty((7, PIECE), dtype=np.float32)
        mass = np.zeros(cells + 2 * side, dtype=np.float32)
        room = policy[thread]
        for i in range(thread * share, min(agents, (thread + 1) * share)):
            value[:] = F(0.0)
            for time in range(times - 1, -1, -1):
                value, ahead = ahead, value
                for x in range(cells):
                    base[x] = reward[i, x] - field[time, x] + weight[i] * own[i, time, x]
                backward(side, beta, base, ahead, illegal, value, room[time], rows)
            mass[:] = F(0.0)
            mass[start[i] + side] = F(1.0)
            image[i, 0] = mass[side : side + cells]
            for time in range(times):
                forward(side, room[time], mass, image[i, time + 1])
                mass[side : side + cells] = image[i, time + 1]


@njit(parallel=True, **FAST)
def total(own, weight, field):
    """What everyone feels of everyone: field (T, n) = sum_i weight_i own_i."""
    agents, times, cells = own.shape[0], field.shape[0], field.shape[1]
    for time in prange(times):
        row = np.zeros(cells, dtype=np.float32)
        for i in range(agents):
            for x in range(cells):
                row[x] += weight[i] * own[i, time, x]
        field[time] = row


def room_for(times: int, side: int) -> np.ndarray:
    """Buffers for `iterate`, one per thread."""
    return np.zeros((get_num_threads(), times, 5, side * side + 2 * side), dtype=np.float32)
