// The selective scan backward over kLanes channels: gradients by the recurrence of scan.hpp, from the last
// token to the first. With G[n] the gradient that reaches state n from the tokens to the right, already
// multiplied by their decay, and g = G[n] + dy * C[n] (derived by hand):
//   dC[n] += dy * h[n]             dB[n] += g * delta * u        d(delta * u) += g * B[n]
//   d(delta) += g * decay * h_before[n] * A[n]                   dA[n] += g * decay * h_before[n] * delta
//
// The states at the first token are given, those of the others are computed again: a few states at a time
// over some tokens, so that what is between lies in the nearest cache and what is carried in registers.
#pragma once

#include <type_traits>

#include "kernels.hpp"
#include "simd.hpp"

namespace dvmsr::DVMSR_ISA {

// States that are worked on together.
inline constexpr int kStateBlock = 4;

// Tokens that one call takes at most.
inline constexpr int kScanBackwardTokens = 32;

// Some tokens of one group of channels.
struct ScanBackward {
  Vec u[kScanBackwardTokens], delta[kScanBackwardTokens];
  Vec dy[kScanBackwardTokens];            // of the sum before the gate
  Vec y[kScanBackwardTokens];             // added to, as the next two: that sum
  Vec d_dtu[kScanBackwardTokens];         // of delta * u
  Vec d_delta_log2[kScanBackwardTokens];  // of delta, but for the factor ln(2)
  // Of the states in work:
  Vec decay[kScanBackwardTokens][kStateBlock], h[kScanBackwardTokens + 1][kStateBlock];
};

// What belongs to the states.
struct ScanBackwardStates {
  const float* B;  // (tokens, bc_stride), as C
  const float* C;
  std::ptrdiff_t bc_stride;
  const float* a_log2;  // (states, a_stride), as G and dA
  std::ptrdiff_t a_stride;
  const float* h;  // before the first token, (states, h_stride)
  std::ptrdiff_t h_stride;
  float* G;   // of the tokens to the right; then of these
  float* dA;  // added to, as the next two
  Vec* dB;    // (tokens, states): lanes still to be added up
  Vec* dC;
  // What is read after these tokens: it is brought nearer a line with each token of a block of states, as many
  // at once would wait for each other.
  const float* ahead = nullptr;
  std::ptrdiff_t ahead_floats = 0;
};

// `States` states from state `first` on.
template <int States>
DVMSR_ALWAYS_INLINE void scan_backward_states(ScanBackward& s, const ScanBackwardStates of, int tokens, int states,
                                              int first) {
  // What is read more than once is in registers: in the backward pass reads are as dear as products.
  Vec a_log2[States], state[States];
#pragma GCC unroll 4
  for (int n = 0; n < States; ++n) {
    a_log2[n] = load(of.a_log2 + (first + n) * of.a_stride);
    s.h[0][n] = state[n] = load(of.h + (first + n) * of.h_stride);
  }
  for (int t = 0; t < tokens; ++t) {
    const float* B = of.B + t * of.bc_stride + first;
    const float* C = of.C + t * of.bc_stride + first;
    const Vec delta = s.delta[t], dtu = delta * s.u[t];
    Vec y = s.y[t], decay[States];
#pragma GCC unroll 4
    for (int n = 0; n < States; ++n) decay[n] = delta * a_log2[n];
    exp2_of_negative(decay);
#pragma GCC unroll 4
    for (int n = 0; n < States; ++n) {
      s.decay[t][n] = decay[n];
      state[n] = fma(decay[n], state[n], dtu * B[n]);
      s.h[t + 1][n] = state[n];
      y = fma(state[n], broadcast(C[n]), y);
    }
    s.y[t] = y;
  }
  Vec carried[States], to_A[States];
  float* G = of.G + first * of.a_stride;
  float* dA = of.dA + first * of.a_stride;
#pragma GCC unroll 4
  for (int n = 0; n < States; ++n) {
    carried[n] = load(G + n * of.a_stride);
    to_A[n] = load(dA + n * of.a_stride);
  }
  constexpr std::ptrdiff_t kLine = 64 / sizeof(float);
  std::ptrdiff_t ahead = first / kStateBlock * tokens * kLine;
  for (int t = tokens - 1; t >= 0; --t, ahead += kLine) {
    if (ahead < of.ahead_floats) __builtin_prefetch(of.ahead + ahead);
    const float* B = of.B + t * of.bc_stride + first;
    const float* C = of.C + t * of.bc_stride + first;
    Vec* dB = of.dB + t * states + first;
    Vec* dC = of.dC + t * states + first;
    const Vec dy = s.dy[t], delta = s.delta[t], dtu = delta * s.u[t];
    Vec to_dtu = s.d_dtu[t], to_delta = s.d_delta_log2[t];
#pragma GCC unroll 4
    for (int n = 0; n < States; ++n) {
      const Vec to_state = fma(dy, broadcast(C[n]), carried[n]);
      dC[n] = fma(dy, state[n], dC[n]);
      state[n] = s.h[t][n];
      dB[n] = fma(to_state, dtu, dB[n]);
      to_dtu = fma(to_state, broadcast(B[n]), to_dtu);
      carried[n] = to_state * s.decay[t][n];
      const Vec to_exponent = carried[n] * state[n];
      to_delta = fma(to_exponent, a_log2[n], to_delta);
      to_A[n] = fma(to_exponent, delta, to_A[n]);
    }
    s.d_dtu[t] = to_dtu;
    s.d_delta_log2[t] = to_delta;
  }
#pragma GCC unroll 4
  for (int n = 0; n < States; ++n) {
    store(G + n * of.a_stride, carried[n]);
    store(dA + n * of.a_stride, to_A[n]);
  }
}

inline void scan_backward_group(ScanBackward& s, const ScanBackwardStates& of, int tokens, int states) {
  int first = 0;
  for (; first + kStateBlock <= states; first += kStateBlock)
    scan_backward_states<kStateBlock>(s, of, tokens, states, first);
  for (; first < states; ++first) scan_backward_states<1>(s, of, tokens, states, first);
}

inline constexpr float kLn2 = 0.69314718055994531f;

}  // namespace dvmsr::DVMSR_ISA
