"""The selective scan over chunks of the sequence, in Triton.

A program works on one chunk of tokens, a block of channels (BLOCK_D, one thread each) and all states
(BLOCK_N, in that thread's registers), token after token. What a chunk does to the state that enters it is

    leaving = exp(A * sum(step)) * entering + end

with `end` the state that it would leave had it started at zero. So `chunk_ends` finds every chunk's `end` and
sum of steps at once, `carry` runs over chunks only, and `scan_forward` does each chunk again with its
true start. The backward pass has the same three parts from right to left, with the gradient that reaches the
state in the state's place: `chunk_gradients`, `carry` in reverse, `scan_backward`.

`scan_backward` needs every state, from the last one to the first. The forward pass leaves one in CHECKPOINT
tokens. From there a program computes forward to each GROUP of tokens, whose states it holds in registers.

Loops over a GROUP are unrolled, and store their results at the end: no load can move ahead of a store that
might be to the same place.

B and C are the same for all threads of a program. Their strides are in units of ALIGN numbers, so that the
compiler sees that it can read them a vector at a time.

How the compiler spreads a tile over threads follows from what it can read as vectors. Where sums are over
states, a thread shall have all states of a channel: A is (states, channels), and nothing is known of the
number of channels (do_not_specialize). Where they are over channels as well, in `scan_backward`, vectors of
channels are better: their number is in units of UNIT.

Masked tokens past the end have step 0 and input 0, which leave a state as it is.
"""

from __future__ import annotations

import triton
import triton.language as tl

from dvmsr.kernels.gpu.arithmetic import sigmoid, softplus

_LOG2_E = tl.constexpr(1.4426950408889634)
_LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def _load_channels(x, d, channels):
    return tl.load(x + d, mask=d < channels, other=0.0).to(tl.float32)


@triton.jit
def _load_rates(A, n, d, states, channels):
    """A of (states, channels) for 2**x in place of exp(x), as (BLOCK_N, BLOCK_D)."""
    mask = (n < states)[:, None] & (d < channels)[None, :]
    return tl.load(A + n[:, None] * channels + d[None, :], mask=mask, other=0.0).to(tl.float32) * _LOG2_E


@triton.jit
def _load_state(states_of, index, n, d, states, channels):
    """Entry `index` of an array (..., states, channels), as (BLOCK_N, BLOCK_D)."""
    mask = (n < states)[:, None] & (d < channels)[None, :]
    at = index.to(tl.int64) * states * channels
    return tl.load(states_of + at + n[:, None] * channels + d[None, :], mask=mask, other=0.0)


@triton.jit
def _store_state(states_of, index, h, n, d, states, channels):
    mask = (n < states)[:, None] & (d < channels)[None, :]
    at = index.to(tl.int64) * states * channels
    tl.store(states_of + at + n[:, None] * channels + d[None, :], h, mask=mask)


@triton.jit
def _load_token(x, t, end, stride, d, channels):
    """The channels of token t, 0 past the end."""
    return tl.load(x + t * stride + d, mask=(d < channels) & (t < end), other=0.0).to(tl.float32)


@triton.jit
def _load_shared(x, t, end, stride, n, states):
    """B or C of token t. Past the end that of the last token, which a step of 0 leaves without effect."""
    return tl.load(x + tl.minimum(t, end - 1) * stride + n, mask=n < states, other=0.0).to(tl.float32)


@triton.jit
def _store_token(x, t, end, stride, values, d, channels):
    tl.store(x + t * stride + d, values.to(x.dtype.element_ty), mask=(d < channels) & (t < end))


@triton.jit
def _load_step(delta, t, end, stride, d, channels, bias):
    """The step of token t before softplus, and after it: 0 past the end."""
    raw = _load_token(delta, t, end, stride, d, channels) + bias
    return raw, tl.where(t < end, softplus(raw), 0.0)


@triton.jit(do_not_specialize=["channels"])
def chunk_ends(
    u, delta, A, B, delta_bias, ends, steps, length, channels, states, chunk_length,
    u_batch, u_token, delta_batch, delta_token, B_batch, B_token,
    GROUP: tl.constexpr, ALIGN: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """The state that each chunk leaves, having started at zero, and its sum of steps."""
    chunk, batch = tl.program_id(0), tl.program_id(2).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    first = chunk.to(tl.int64) * chunk_length
    end = tl.minimum(chunk_length, length - first).to(tl.int32)
    u += batch * u_batch + first * u_token
    delta += batch * delta_batch + first * delta_token
    B += (batch * B_batch + first * B_token) * ALIGN
    rates = _load_rates(A, n, d, states, channels)
    bias = _load_channels(delta_bias, d, channels)
    h = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_D,), tl.float32)
    for t0 in range(0, end, GROUP):
        for i in tl.static_range(GROUP):
            t = t0 + i
            _, step = _load_step(delta, t, end, delta_token, d, channels, bias)
            x = _load_token(u, t, end, u_token, d, channels)
            b = _load_shared(B, t, end, B_token * ALIGN, n, states)
            h = tl.exp2(step[None, :] * rates) * h + (step * x)[None, :] * b[:, None]
            total += step
    index = batch * tl.num_programs(0) + chunk
    _store_state(ends, index, h, n, d, states, channels)
    tl.store(steps + index * channels + d, total, mask=d < channels)


@triton.jit
def _then(decay, end, next_decay, next_end):
    """What two runs of chunks do, one after the other."""
    return decay * next_decay, next_decay * end + next_end


@triton.jit(do_not_specialize=["channels"])
def carry(
    A, ends, steps, entering, starts, leaving, channels, states, chunks,
    REVERSE: tl.constexpr, BLOCK_D: tl.constexpr, AHEAD: tl.constexpr,
):  # fmt: skip
    """The state that enters each chunk, from the first one to the last, or in REVERSE; and the last one out.

    `entering` and `leaving` are (batch, channels, states). A program has one state, and reads AHEAD chunks
    before it uses the first of them, because it has nothing else to do while it waits.
    """
    n, batch = tl.program_id(0), tl.program_id(2).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    width = states * channels
    ends += (batch * chunks * states + n) * channels
    starts += (batch * chunks * states + n) * channels
    steps += batch * chunks * channels
    rate = tl.load(A + n * channels + d, mask=d < channels, other=0.0).to(tl.float32) * _LOG2_E
    at = batch * width + d * states + n
    h = tl.load(entering + at, mask=d < channels, other=0.0)
    first = chunks - 1 if REVERSE else 0
    onward: tl.constexpr = -1 if REVERSE else 1
    tl.store(starts + first * width + d, h, mask=d < channels)
    for c0 in range(0, chunks, AHEAD):
        c = c0 + tl.arange(0, AHEAD)
        index = (first + onward * c)[:, None]
        inside = (c < chunks)[:, None] & (d < channels)[None, :]
        total = tl.load(steps + index * channels + d[None, :], mask=inside, other=0.0)
        end = tl.load(ends + index * width + d[None, :], mask=inside, other=0.0)
        decay, added = tl.associative_scan((tl.exp2(total * rate[None, :]), end), 0, _then)
        after = decay * h[None, :] + added
        entered = inside & (c + 1 < chunks)[:, None]
        tl.store(starts + (index + onward) * width + d[None, :], after, mask=entered)
        h = tl.sum(tl.where((tl.arange(0, AHEAD) == AHEAD - 1)[:, None], after, 0.0), axis=0)
    tl.store(leaving + at, h, mask=d < channels)


@triton.jit(do_not_specialize=["channels"])
def scan_forward(
    u, delta, A, B, C, D, z, delta_bias, starts, y, checkpoints,
    length, channels, states, chunk_length,
    u_batch, u_token, delta_batch, delta_token, B_batch, B_token, C_batch, C_token, z_batch, z_token,
    SAVE: tl.constexpr, CHECKPOINT: tl.constexpr, GROUP: tl.constexpr,
    ALIGN: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """The outputs of each chunk, from the state that enters it."""
    chunk, batch = tl.program_id(0), tl.program_id(2).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    first = chunk.to(tl.int64) * chunk_length
    end = tl.minimum(chunk_length, length - first).to(tl.int32)
    u += batch * u_batch + first * u_token
    delta += batch * delta_batch + first * delta_token
    B += (batch * B_batch + first * B_token) * ALIGN
    C += (batch * C_batch + first * C_token) * ALIGN
    z += batch * z_batch + first * z_token
    y += (batch * length + first) * channels
    rates = _load_rates(A, n, d, states, channels)
    skip = _load_channels(D, d, channels)
    bias = _load_channels(delta_bias, d, channels)
    h = _load_state(starts, batch * tl.num_programs(0) + chunk, n, d, states, channels)
    kept = batch * tl.cdiv(length, CHECKPOINT) + first // CHECKPOINT
    for t0 in range(0, end, GROUP):
        if SAVE and t0 % CHECKPOINT == 0:
            _store_state(checkpoints, kept + t0 // CHECKPOINT, h, n, d, states, channels)
        outputs = ()
        for i in tl.static_range(GROUP):
            t = t0 + i
            _, step = _load_step(delta, t, end, delta_token, d, channels, bias)
            x = _load_token(u, t, end, u_token, d, channels)
            gate = _load_token(z, t, end, z_token, d, channels)
            b = _load_shared(B, t, end, B_token * ALIGN, n, states)
            c = _load_shared(C, t, end, C_token * ALIGN, n, states)
            h = tl.exp2(step[None, :] * rates) * h + (step * x)[None, :] * b[:, None]
            outputs = outputs + ((tl.sum(h * c[:, None], axis=0) + skip * x) * gate * sigmoid(gate),)
        for i in tl.static_range(GROUP):
            _store_token(y, t0 + i, end, channels, outputs[i], d, channels)


@triton.jit(do_not_specialize=["channels"])
def chunk_gradients(
    delta, A, C, z, delta_bias, grad_y, ends, steps, length, channels, states, chunk_length,
    delta_batch, delta_token, C_batch, C_token, z_batch, z_token,
    GROUP: tl.constexpr, ALIGN: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """The gradient that each chunk's own outputs send to the state that enters it, and its sum of steps."""
    chunk, batch = tl.program_id(0), tl.program_id(2).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    first = chunk.to(tl.int64) * chunk_length
    end = tl.minimum(chunk_length, length - first).to(tl.int32)
    delta += batch * delta_batch + first * delta_token
    C += (batch * C_batch + first * C_token) * ALIGN
    z += batch * z_batch + first * z_token
    grad_y += (batch * length + first) * channels
    rates = _load_rates(A, n, d, states, channels)
    bias = _load_channels(delta_bias, d, channels)
    g = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    total = tl.zeros((BLOCK_D,), tl.float32)
    groups = tl.cdiv(end, GROUP)
    for k in range(0, groups):
        t0 = (groups - 1 - k) * GROUP
        for i in tl.static_range(GROUP):
            t = t0 + GROUP - 1 - i
            _, step = _load_step(delta, t, end, delta_token, d, channels, bias)
            gate = _load_token(z, t, end, z_token, d, channels)
            dy = _load_token(grad_y, t, end, channels, d, channels) * gate * sigmoid(gate)
            c = _load_shared(C, t, end, C_token * ALIGN, n, states)
            g = tl.exp2(step[None, :] * rates) * (g + dy[None, :] * c[:, None])
            total += step
    index = batch * tl.num_programs(0) + chunk
    _store_state(ends, index, g, n, d, states, channels)
    tl.store(steps + index * channels + d, total, mask=d < channels)


@triton.jit
def scan_backward(
    u, delta, A, B, C, D, z, delta_bias, checkpoints, entering, grad_y,
    grad_u, grad_delta, parts_A, parts_B, parts_C, parts_D, grad_z, parts_bias,
    length, channels, states, chunk_length,
    u_batch, u_token, delta_batch, delta_token, B_batch, B_token, C_batch, C_token, z_batch, z_token,
    CHECKPOINT: tl.constexpr, GROUP: tl.constexpr,
    UNIT: tl.constexpr, ALIGN: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Every gradient of each chunk, given the one that reaches the state which leaves it.

    With g that gradient, multiplied by the decays on its way, at each token from the last one to the first,
    and dh = g + dy * C (derived by hand from the recurrence in reference.py; dy is y's before the gate):

        dC = sum over channels of dy * h              dB = sum over channels of dh * step * u
        d(step * u) = <dh, B>                         g = dh * decay
        d(step) = <g * h_before, A> + d(step * u) * u   dA += g * h_before * step

    Sums over channels are of this block of them, in (block, batch, length, states); those over tokens of this
    chunk, in (batch, chunk, ...): the caller adds up the parts, in a fixed order. `channels` counts UNITs.
    """
    channels = channels * UNIT
    chunk, block, batch = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    d = block * BLOCK_D + tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    first = chunk.to(tl.int64) * chunk_length
    end = tl.minimum(chunk_length, length - first).to(tl.int32)
    u += batch * u_batch + first * u_token
    delta += batch * delta_batch + first * delta_token
    B += (batch * B_batch + first * B_token) * ALIGN
    C += (batch * C_batch + first * C_token) * ALIGN
    z += batch * z_batch + first * z_token
    dense = (batch * length + first) * channels
    grad_y += dense
    grad_u += dense
    grad_delta += dense
    grad_z += dense
    shared = ((block * tl.num_programs(2) + batch) * length + first) * states
    parts_B += shared
    parts_C += shared
    rates = _load_rates(A, n, d, states, channels)
    skip = _load_channels(D, d, channels)
    bias = _load_channels(delta_bias, d, channels)
    index = batch * tl.num_programs(0) + chunk
    g = _load_state(entering, index, n, d, states, channels)
    dA = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    dD = tl.zeros((BLOCK_D,), tl.float32)
    dbias = tl.zeros((BLOCK_D,), tl.float32)
    kept = batch * tl.cdiv(length, CHECKPOINT) + first // CHECKPOINT
    groups = tl.cdiv(end, GROUP)
    for k in range(0, groups):
        t0 = (groups - 1 - k) * GROUP
        checkpoint = t0 // CHECKPOINT
        h = _load_state(checkpoints, kept + checkpoint, n, d, states, channels)
        for t in range(checkpoint * CHECKPOINT, t0):
            _, step = _load_step(delta, t, end, delta_token, d, channels, bias)
            x = _load_token(u, t, end, u_token, d, channels)
            b = _load_shared(B, t, end, B_token * ALIGN, n, states)
            h = tl.exp2(step[None, :] * rates) * h + (step * x)[None, :] * b[:, None]
        befores = ()
        for i in tl.static_range(GROUP):
            befores = befores + (h,)
            _, step = _load_step(delta, t0 + i, end, delta_token, d, channels, bias)
            x = _load_token(u, t0 + i, end, u_token, d, channels)
            b = _load_shared(B, t0 + i, end, B_token * ALIGN, n, states)
            h = tl.exp2(step[None, :] * rates) * h + (step * x)[None, :] * b[:, None]
        results = ()
        for j in tl.static_range(GROUP):
            t = t0 + GROUP - 1 - j
            before = befores[GROUP - 1 - j]
            raw, step = _load_step(delta, t, end, delta_token, d, channels, bias)
            x = _load_token(u, t, end, u_token, d, channels)
            b = _load_shared(B, t, end, B_token * ALIGN, n, states)
            c = _load_shared(C, t, end, C_token * ALIGN, n, states)
            dout = _load_token(grad_y, t, end, channels, d, channels)
            gate = _load_token(z, t, end, z_token, d, channels)
            opened = sigmoid(gate)
            dy = dout * gate * opened
            y = tl.sum(h * c[:, None], axis=0) + skip * x
            dz = dout * y * opened * (1.0 + gate * (1.0 - opened))
            dh = g + dy[None, :] * c[:, None]
            dc = tl.sum(dy[None, :] * h, axis=1)
            db = tl.sum(dh * (step * x)[None, :], axis=1)
            d_input = tl.sum(dh * b[:, None], axis=0)
            g = dh * tl.exp2(step[None, :] * rates)
            to_rate = g * before
            # The rates are A * log2(e).
            d_raw = (tl.sum(to_rate * rates, axis=0) * _LN_2 + d_input * x) * sigmoid(raw)
            d_raw = tl.where(t < end, d_raw, 0.0)
            dA += to_rate * step[None, :]
            dD += dy * x
            dbias += d_raw
            h = before
            results = results + ((d_input * step + dy * skip, d_raw, dz, db, dc),)
        for j in tl.static_range(GROUP):
            t = t0 + GROUP - 1 - j
            du, d_raw, dz, db, dc = results[j]
            _store_token(grad_u, t, end, channels, du, d, channels)
            _store_token(grad_delta, t, end, channels, d_raw, d, channels)
            _store_token(grad_z, t, end, channels, dz, d, channels)
            _store_token(parts_B, t, end, states, db, n, states)
            _store_token(parts_C, t, end, states, dc, n, states)
    _store_state(parts_A, index, dA, n, d, states, channels)
    tl.store(parts_D + index * channels + d, dD, mask=d < channels)
    tl.store(parts_bias + index * channels + d, dbias, mask=d < channels)
