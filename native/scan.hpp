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

// States that are worked on together, with their constants in registers.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kScanStates = 16;
#else
inline constexpr int kScanStates = 4;
#endif

// Tokens that one call of scan_group takes at most.
inline constexpr int kScanTokens = 64;

// `States` states of scan_group, whose sums are added to y.
template <int States>
DVMSR_ALWAYS_INLINE void scan_states(int tokens, const float* u, const float* delta, std::ptrdiff_t stride,
                                     const float* B, const float* C, std::ptrdiff_t bc_stride, const float* a_log2,
                                     std::ptrdiff_t a_stride, float* h, std::ptrdiff_t h_stride, Vec* y) {
  Vec state[States];
#pragma GCC unroll 16
  for (int n = 0; n < States; ++n) state[n] = load(h + n * h_stride);
  for (int t = 0; t < tokens; ++t) {
    const Vec dt = load(delta + t * stride);
    const Vec dtu = dt * load(u + t * stride);
    const float* Bt = B + t * bc_stride;
    const float* Ct = C + t * bc_stride;
    Vec sums[2] = {y[t], Vec{}};
    // A few at a time, so that what is between stays in registers.
    constexpr int kTogether = States < 4 ? States : 4;
#pragma GCC unroll 4
    for (int first = 0; first < States; first += kTogether) {
      Vec decay[kTogether];
#pragma GCC unroll 4
      for (int i = 0; i < kTogether; ++i) decay[i] = dt * load(a_log2 + (first + i) * a_stride);
      exp2_of_negative(decay);
#pragma GCC unroll 4
      for (int i = 0; i < kTogether; ++i) {
        const int n = first + i;
        state[n] = fma(decay[i], state[n], dtu * Bt[n]);
        sums[n & 1] = fma(state[n], broadcast(Ct[n]), sums[n & 1]);
      }
    }
    y[t] = States > 1 ? sums[0] + sums[1] : sums[0];
  }
#pragma GCC unroll 16
  for (int n = 0; n < States; ++n) store(h + n * h_stride, state[n]);
}

// One group of kLanes channels over `tokens` tokens. `emit(t, y)` gets every token's y.
//
//   u, delta   (tokens, stride) at the group's first channel; delta is already positive
//   B, C       (tokens, bc_stride) at the first state
//   a_log2     A * log2(e) as (states, a_stride) at the group's first channel
//   h          (states, h_stride) at the group's first channel: read, then updated
template <typename Emit>
DVMSR_ALWAYS_INLINE void scan_group(int tokens, int states, const float* u, const float* delta, std::ptrdiff_t stride,
                                    const float* B, const float* C, std::ptrdiff_t bc_stride, const float* a_log2,
                                    std::ptrdiff_t a_stride, Vec D, float* h, std::ptrdiff_t h_stride, Emit&& emit) {
  Vec y[kScanTokens];
  for (int t = 0; t < tokens; ++t) y[t] = D * load(u + t * stride);
  int n = 0;
  for (; n + kScanStates <= states; n += kScanStates)
    scan_states<kScanStates>(tokens, u, delta, stride, B + n, C + n, bc_stride, a_log2 + n * a_stride, a_stride,
                             h + n * h_stride, h_stride, y);
  for (; n < states; ++n)
    scan_states<1>(tokens, u, delta, stride, B + n, C + n, bc_stride, a_log2 + n * a_stride, a_stride,
                   h + n * h_stride, h_stride, y);
  for (int t = 0; t < tokens; ++t) emit(t, y[t]);
}

}  // namespace dvmsr::DVMSR_ISA
