// Dense layers and 3x3 convolutions as one register-blocked product.
//
// A block of kRows tokens by one panel of outputs is kept in registers while the inner dimension
// runs: each step loads one row of the panel's weights and broadcasts one input of each token.
// A convolution is the same product with a longer inner dimension: for each of its three rows
// (segments), three neighbouring tokens (taps) of `inner` channels each.
#pragma once

#include <type_traits>

#include "kernels.hpp"
#include "simd.hpp"

namespace dvmsr::DVMSR_ISA {

// Accumulators, one row of weights and a broadcast have to fit the registers: 32 of them with
// AVX-512 and NEON, 16 else.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kAccumulators = 24;
#else
inline constexpr int kAccumulators = 12;
#endif

// Tokens [0, Rows) of one panel and one segment. Every output is one chain of fused
// multiply-adds in a fixed order, whatever the block it is computed in.
template <int Rows, int Vectors>
DVMSR_ALWAYS_INLINE void matmul_block(const Matrix& m, const float* weights, const float* in, std::ptrdiff_t in_stride,
                               const float* start, std::ptrdiff_t start_stride, const float* bias, float* out,
                               std::ptrdiff_t out_stride) {
  Vec sum[Rows][Vectors];
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      sum[r][v] = start ? load(start + r * start_stride + v * kLanes) : Vec{};
      if (bias) sum[r][v] += load(bias + v * kLanes);
    }
  for (int tap = 0; tap < m.taps; ++tap) {
    const float* x = in + tap * in_stride;
    for (int k = 0; k < m.inner; ++k) {
      Vec row[Vectors];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) row[v] = load(weights + v * kLanes);
      weights += Vectors * kLanes;
#pragma GCC unroll 24
      for (int r = 0; r < Rows; ++r) {
        const Vec input = broadcast(x[r * in_stride + k]);
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(input, row[v], sum[r][v]);
      }
    }
  }
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store(out + r * out_stride + v * kLanes, sum[r][v]);
}

template <int Vectors>
void matmul_panels(const Matrix& m, const float* const* in, std::ptrdiff_t in_stride, int tokens,
                   const float* residual, float* out, std::ptrdiff_t out_stride) {
  constexpr int kRows = kAccumulators / Vectors;
  const std::ptrdiff_t segment_weights = static_cast<std::ptrdiff_t>(m.taps) * m.inner * Vectors * kLanes;
  const float* weights = m.weights;
  for (int panel = 0; panel < m.panels; ++panel) {
    const std::ptrdiff_t column = panel * Vectors * kLanes;
    // One segment at a time over all tokens: its weights stay in the nearest cache.
    for (int segment = 0; segment < m.segments; ++segment, weights += segment_weights) {
      const float* start = segment ? out + column : residual ? residual + column : nullptr;
      const float* bias = segment || !m.bias ? nullptr : m.bias + column;
      int t = 0;
      const auto run = [&](auto rows) {
        for (; t + rows <= tokens; t += rows)
          matmul_block<rows, Vectors>(m, weights, in[segment] + t * in_stride, in_stride,
                                      start ? start + t * out_stride : nullptr, out_stride, bias,
                                      out + column + t * out_stride, out_stride);
      };
      run(std::integral_constant<int, kRows>());
      run(std::integral_constant<int, 3>());
      run(std::integral_constant<int, 1>());
    }
  }
}

inline void matmul(const Matrix& m, const float* const* in, std::ptrdiff_t in_stride, int tokens,
                   const float* residual, float* out, std::ptrdiff_t out_stride) {
  (m.panel_vectors == 3 ? matmul_panels<3> : matmul_panels<2>)(m, in, in_stride, tokens, residual, out,
                                                               out_stride);
}

}  // namespace dvmsr::DVMSR_ISA
