// The selective scan over whole sequences, forward and backward, for training.
//
// The backward pass needs every state, which would be `states` floats for each input. Instead the
// forward pass keeps the state at the start of every chunk of tokens, and the backward pass runs
// each chunk forward again, from the last one to the first, in a scratch that fits the cache.
#pragma once

#include <initializer_list>

#include "kernels.hpp"
#include "scan.hpp"
#include "scan_backward.hpp"
#include "scratch.hpp"

namespace dvmsr::DVMSR_ISA {

static_assert(kScanChunk <= kScanTokens && kScanChunk <= kScanBackwardTokens);

// The part of the inputs that one sequence and one group of channels see.
struct ScanGroup {
  ScanGroup(const ScanInputs& in, std::ptrdiff_t sequence, std::ptrdiff_t group)
      : channel(group * kLanes),
        width(static_cast<int>(in.channels - channel < kLanes ? in.channels - channel : kLanes)),
        D(load_partial(in.D + channel, width)),
        delta_bias(load_partial(in.delta_bias + channel, width)),
        in_(in),
        sequence_(sequence),
        first_(sequence * in.length) {}

  // a_log2[n] and A[n] for the group's channels, from the (channels, states) array.
  void load_A(Vec* A) const {
    for (std::ptrdiff_t n = 0; n < in_.states; ++n) {
      A[n] = Vec{};
      for (int lane = 0; lane < width; ++lane)
        A[n][lane] = in_.A[(channel + lane) * in_.states + n];
    }
  }
  // State n of the group's channels, in an array (batch, channels, states).
  Vec state(const float* states, std::ptrdiff_t n) const {
    Vec values{};
    for (int lane = 0; lane < width; ++lane) values[lane] = states[state_at(n, lane)];
    return values;
  }
  void store_state(float* states, std::ptrdiff_t n, Vec values) const {
    for (int lane = 0; lane < width; ++lane) states[state_at(n, lane)] = values[lane];
  }
  std::ptrdiff_t at(std::ptrdiff_t token) const { return (first_ + token) * in_.channels + channel; }
  std::ptrdiff_t z_at(std::ptrdiff_t token) const { return (first_ + token) * in_.z_stride + channel; }
  const float* B(std::ptrdiff_t token) const { return in_.B + (first_ + token) * in_.states; }
  const float* C(std::ptrdiff_t token) const { return in_.C + (first_ + token) * in_.states; }
  Vec u(std::ptrdiff_t token) const { return load_partial(in_.u + at(token), width); }
  Vec z(std::ptrdiff_t token) const { return load_partial(in_.z + z_at(token), width); }
  Vec raw_delta(std::ptrdiff_t token) const {
    return load_partial(in_.delta + at(token), width) + delta_bias;
  }

  // Asks for this token's inputs. The arrays outgrow the near caches, and neither this stride nor
  // the backward pass's direction is one that processors foresee. (Always inlined: GCC takes a
  // function that only prefetches for one without effect, and drops the call.)
  DVMSR_ALWAYS_INLINE void prefetch(std::ptrdiff_t token) const {
    if (token >= in_.length) return;
    for (const float* first : {in_.u + at(token), in_.delta + at(token), in_.z + z_at(token)}) {
      __builtin_prefetch(first);
      __builtin_prefetch(first + width - 1);
    }
  }

  std::ptrdiff_t channel;  // the first one
  int width;               // how many of the lanes are channels
  Vec D, delta_bias;

 private:
  std::ptrdiff_t state_at(std::ptrdiff_t n, int lane) const {
    return (sequence_ * in_.channels + channel + lane) * in_.states + n;
  }

  const ScanInputs& in_;
  std::ptrdiff_t sequence_;
  std::ptrdiff_t first_;  // the sequence's first token among all
};

DVMSR_ALWAYS_INLINE const float* floats(const Vec* v) { return reinterpret_cast<const float*>(v); }
DVMSR_ALWAYS_INLINE float* floats(Vec* v) { return reinterpret_cast<float*>(v); }

inline void scan_forward(const ScanInputs& in, const ScanOutputs& out, std::ptrdiff_t sequence,
                  std::ptrdiff_t group) {
  const ScanGroup part(in, sequence, group);
  const auto N = in.states;
  Scratch scratch(2 * N + 2 * kScanChunk);
  Vec* a_log2 = scratch.get();
  Vec* h = a_log2 + N;
  Vec* u = h + N;
  Vec* delta = u + kScanChunk;
  part.load_A(a_log2);
  for (std::ptrdiff_t n = 0; n < N; ++n) {
    a_log2[n] *= kLog2E;
    h[n] = part.state(in.initial_state, n);
  }
  const auto chunks = (in.length + kScanChunk - 1) / kScanChunk;
  for (std::ptrdiff_t chunk = 0; chunk < chunks; ++chunk) {
    const auto start = chunk * kScanChunk;
    const int tokens = static_cast<int>(in.length - start < kScanChunk ? in.length - start : kScanChunk);
    for (std::ptrdiff_t n = 0; n < N; ++n)
      store_partial(out.checkpoints + ((sequence * chunks + chunk) * N + n) * in.channels + part.channel, h[n],
                    part.width);
    for (int t = 0; t < tokens; ++t) {
      part.prefetch(start + t + kScanChunk);
      u[t] = part.u(start + t);
      delta[t] = softplus(part.raw_delta(start + t));
    }
    scan_group(tokens, static_cast<int>(N), floats(u), floats(delta), kLanes, part.B(start),
                       part.C(start), N, floats(a_log2), kLanes, part.D, floats(h), kLanes,
                       [&](int t, Vec y) {
                         store_partial(out.y + part.at(start + t), y * silu(part.z(start + t)), part.width);
                       });
  }
  for (std::ptrdiff_t n = 0; n < N; ++n) part.store_state(out.last_state, n, h[n]);
}

// Asks for one of `parts` equal parts of what the chunk at token `first` reads and writes: the
// backward pass spreads the coming chunk's memory traffic over this chunk's groups.
DVMSR_ALWAYS_INLINE void prefetch_part(const ScanInputs& in, const ScanGradients& grad, std::ptrdiff_t first,
                                       std::ptrdiff_t part, std::ptrdiff_t parts) {
  constexpr std::ptrdiff_t kLine = 64 / sizeof(float);
  for (auto i = (first + kScanChunk * part / parts) * in.channels,
            end = (first + kScanChunk * (part + 1) / parts) * in.channels;
       i < end; i += kLine) {
    for (const float* array : {in.u, in.delta, grad.y}) __builtin_prefetch(array + i);
    for (const float* array : {grad.u, grad.delta, grad.z}) __builtin_prefetch(array + i, 1);
  }
  for (auto token = first + kScanChunk * part / parts; token < first + kScanChunk * (part + 1) / parts; ++token)
    for (std::ptrdiff_t i = 0; i < in.channels; i += kLine) __builtin_prefetch(in.z + token * in.z_stride + i);
}

inline void scan_backward(const ScanInputs& in, const float* checkpoints, const ScanGradients& grad,
                          std::ptrdiff_t sequence) {
  const auto N = in.states;
  const auto groups = (in.channels + kLanes - 1) / kLanes;
  const auto chunks = (in.length + kScanChunk - 1) / kScanChunk;
  Scratch scratch(groups * (3 * N + 2) + N * (1 + 2 * kScanChunk) + 2 * kScanChunk);
  Vec* a_log2 = scratch.get();   // (groups, N)
  Vec* G = a_log2 + groups * N;  // (groups, N)
  Vec* dA = G + groups * N;      // (groups, N)
  Vec* dD = dA + groups * N;     // (groups)
  Vec* dbias = dD + groups;      // (groups)
  Vec* h = dbias + groups;       // (N)
  Vec* dB = h + N;               // (chunk, N): lanes still to be added up
  Vec* dC = dB + kScanChunk * N;     // (chunk, N)
  Vec* raw = dC + kScanChunk * N;    // (chunk)
  Vec* gradient = raw + kScanChunk;  // (chunk): of z, but for the factor y
  ScanBackward s;

  for (std::ptrdiff_t g = 0; g < groups; ++g) {
    const ScanGroup part(in, sequence, g);
    part.load_A(a_log2 + g * N);
    dD[g] = dbias[g] = Vec{};
    for (std::ptrdiff_t n = 0; n < N; ++n) {
      a_log2[g * N + n] *= kLog2E;
      dA[g * N + n] = Vec{};
      G[g * N + n] = part.state(grad.last_state, n);
    }
  }
  for (auto chunk = chunks - 1; chunk >= 0; --chunk) {
    const auto start = chunk * kScanChunk;
    const int tokens = static_cast<int>(in.length - start < kScanChunk ? in.length - start : kScanChunk);
    for (std::ptrdiff_t i = 0; i < tokens * N; ++i) dB[i] = dC[i] = Vec{};
    for (std::ptrdiff_t g = 0; g < groups; ++g) {
      if (chunk > 0)
        prefetch_part(in, grad, sequence * in.length + start - kScanChunk, g, groups);
      const ScanGroup part(in, sequence, g);
      for (std::ptrdiff_t n = 0; n < N; ++n)
        h[n] = load_partial(
            checkpoints + ((sequence * chunks + chunk) * N + n) * in.channels + part.channel, part.width);
      for (int t = 0; t < tokens; ++t) {
        raw[t] = part.raw_delta(start + t);
        const Vec dout = load_partial(grad.y + part.at(start + t), part.width);
        const Vec z = part.z(start + t);
        const Vec gate = sigmoid(z);
        gradient[t] = dout * gate * fma(z, 1.0f - gate, broadcast(1.0f));
        s.u[t] = part.u(start + t);
        s.delta[t] = softplus(raw[t]);
        s.dy[t] = dout * z * gate;
        s.y[t] = part.D * s.u[t];
        s.d_dtu[t] = s.d_delta_log2[t] = Vec{};
      }
      scan_backward_group(s,
                          {part.B(start), part.C(start), N, floats(a_log2 + g * N), kLanes, floats(h), kLanes,
                           floats(G + g * N), floats(dA + g * N), dB, dC},
                          tokens, static_cast<int>(N));
      for (int t = 0; t < tokens; ++t) {
        const Vec d_raw = fma(s.d_dtu[t], s.u[t], s.d_delta_log2[t] * kLn2) * sigmoid(raw[t]);
        dD[g] = fma(s.dy[t], s.u[t], dD[g]);
        dbias[g] += d_raw;
        store_partial(grad.z + part.at(start + t), gradient[t] * s.y[t], part.width);
        store_partial(grad.u + part.at(start + t), fma(s.d_dtu[t], s.delta[t], s.dy[t] * part.D), part.width);
        store_partial(grad.delta + part.at(start + t), d_raw, part.width);
      }
    }
    store_sums(grad.B + (sequence * in.length + start) * N, dB, tokens * N);
    store_sums(grad.C + (sequence * in.length + start) * N, dC, tokens * N);
  }
  for (std::ptrdiff_t g = 0; g < groups; ++g) {
    const ScanGroup part(in, sequence, g);
    store_partial(grad.D + sequence * in.channels + part.channel, dD[g], part.width);
    store_partial(grad.delta_bias + sequence * in.channels + part.channel, dbias[g], part.width);
    for (std::ptrdiff_t n = 0; n < N; ++n) {
      part.store_state(grad.A, n, dA[g * N + n]);
      part.store_state(grad.initial_state, n, G[g * N + n]);
    }
  }
}

}  // namespace dvmsr::DVMSR_ISA
