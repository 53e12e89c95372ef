// Gradients of weights: products over tokens, register-blocked as matmul.hpp.
#pragma once

#include <type_traits>

#include "kernels.hpp"
#include "matmul.hpp"
#include "simd.hpp"

namespace dvmsr::DVMSR_ISA {

template <int Rows, int Vectors>
DVMSR_ALWAYS_INLINE void outer_block(const float* x, std::ptrdiff_t x_stride, const float* y, std::ptrdiff_t y_stride,
                                     int tokens, float* sums, std::ptrdiff_t sums_stride) {
  Vec sum[Rows][Vectors];
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[r][v] = load(sums + r * sums_stride + v * kLanes);
  for (int t = 0; t < tokens; ++t, x += x_stride, y += y_stride) {
    Vec row[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) row[v] = load(y + v * kLanes);
#pragma GCC unroll 24
    for (int r = 0; r < Rows; ++r) {
      const Vec input = broadcast(x[r]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(input, row[v], sum[r][v]);
    }
  }
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store(sums + r * sums_stride + v * kLanes, sum[r][v]);
}

template <int Vectors>
void outer_panels(const float* x, std::ptrdiff_t x_stride, int inputs, const float* y, std::ptrdiff_t y_stride,
                  int outputs, int tokens, float* sums, std::ptrdiff_t sums_stride) {
  constexpr int kRows = kAccumulators / Vectors;
  for (int column = 0; column < outputs; column += Vectors * kLanes) {
    int first = 0;
    const auto run = [&](auto rows) {
      for (; first + rows <= inputs; first += rows)
        outer_block<rows, Vectors>(x + first, x_stride, y + column, y_stride, tokens,
                                   sums + first * sums_stride + column, sums_stride);
    };
    run(std::integral_constant<int, kRows>());
    run(std::integral_constant<int, kRows / 3>());
    run(std::integral_constant<int, 1>());
  }
}

// sums += x^T y, summed over `tokens` tokens of `inputs` and `outputs` numbers. Up to kOuterPadding numbers
// behind each token of y are read, and as many of each row of `sums` are written, of no meaning.
inline void outer(const float* x, std::ptrdiff_t x_stride, int inputs, const float* y, std::ptrdiff_t y_stride,
                  int outputs, int tokens, float* sums, std::ptrdiff_t sums_stride) {
  const int vectors = panel_vectors(outputs, kLanes, kPanelVectors);
  const auto run = vectors == 2 ? outer_panels<2> : vectors == 3 ? outer_panels<3> : outer_panels<4>;
  run(x, x_stride, inputs, y, y_stride, outputs, tokens, sums, sums_stride);
}

}  // namespace dvmsr::DVMSR_ISA
