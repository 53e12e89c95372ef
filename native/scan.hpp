// The selective scan (paper equation 3; Mamba, arXiv 2312.00752, algorithm 2) over kLanes channels.
//
//   h[n] = exp(delta * A[n]) * h[n] + delta * u * B[n]
//   y    = sum_n C[n] * h[n] + D * u
//
// The vector runs over channels, so that B and C are broadcasts and the states stay in registers.
#pragma once

#include "kernels.hpp"
#include "simd.hpp"

namespace dvmsr::DVMSR_ISA {

// One group of kLanes channels over `tokens` tokens. `emit(t, y)` gets every token's y. `States` is the
// number of states where it is known at compile time, else 0.
//
//   u, delta   (tokens, stride) at the group's first channel; delta is already positive
//   B, C       (tokens, bc_stride) at the first state
//   a_log2     A * log2(e) as (states, a_stride) at the group's first channel
//   h          (states, h_stride) at the group's first channel: read, then updated
template <int States, typename Emit>
DVMSR_ALWAYS_INLINE void scan_group(int tokens, int states, const float* u, const float* delta,
                             std::ptrdiff_t stride, const float* B, const float* C,
                             std::ptrdiff_t bc_stride, const float* a_log2,
                             std::ptrdiff_t a_stride, Vec D, float* h, std::ptrdiff_t h_stride,
                             Emit&& emit) {
  const int count = States ? States : states;
  Vec state[States ? States : kMaxStates];
#pragma GCC unroll 16
  for (int n = 0; n < count; ++n) state[n] = load(h + n * h_stride);
  for (int t = 0; t < tokens; ++t) {
    const Vec ut = load(u + t * stride);
    const Vec dt = load(delta + t * stride);
    const Vec dtu = dt * ut;
    const float* Bt = B + t * bc_stride;
    const float* Ct = C + t * bc_stride;
    Vec y[2] = {D * ut, Vec{}};
#pragma GCC unroll 16
    for (int n = 0; n < count; ++n) {
      const Vec decay = exp2(dt * load(a_log2 + n * a_stride));
      state[n] = fma(decay, state[n], dtu * Bt[n]);
      y[n & 1] = fma(state[n], broadcast(Ct[n]), y[n & 1]);
    }
    emit(t, y[0] + y[1]);
  }
#pragma GCC unroll 16
  for (int n = 0; n < count; ++n) store(h + n * h_stride, state[n]);
}

}  // namespace dvmsr::DVMSR_ISA
