// Gradients of weights: products over tokens, register-blocked as matmul.hpp.
#pragma once

#include <type_traits>

#include "kernels.hpp"
#include "matmul.hpp"
#include "simd.hpp"

namespace dvmsr::DVMSR_ISA {

// A number of x in every lane, numbers of y, and their product added. In bfloat16 a 32-bit lane holds those of two
// tokens, one behind the other.
DVMSR_ALWAYS_INLINE Vec outer_input(const float* x) { return broadcast(*x); }
DVMSR_ALWAYS_INLINE IntVec outer_input(const std::uint32_t* x) { return *x - IntVec{}; }
DVMSR_ALWAYS_INLINE Vec outer_row(const float* y) { return load(y); }
DVMSR_ALWAYS_INLINE IntVec outer_row(const std::uint32_t* y) { return load_words(y); }
DVMSR_ALWAYS_INLINE Vec outer_add(Vec x, Vec y, Vec sum) { return fma(x, y, sum); }
DVMSR_ALWAYS_INLINE Vec outer_add(IntVec x, IntVec y, Vec sum) { return dot_pair(x, y, sum); }

template <int Rows, int Vectors, typename T>
DVMSR_ALWAYS_INLINE void outer_block(const T* x, std::ptrdiff_t x_stride, const T* y, std::ptrdiff_t y_stride,
                                     int tokens, float* sums, std::ptrdiff_t sums_stride) {
  Vec sum[Rows][Vectors];
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[r][v] = load(sums + r * sums_stride + v * kLanes);
  for (int t = 0; t < tokens; ++t, x += x_stride, y += y_stride) {
    decltype(outer_row(y)) row[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) row[v] = outer_row(y + v * kLanes);
#pragma GCC unroll 24
    for (int r = 0; r < Rows; ++r) {
      const auto input = outer_input(x + r);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[r][v] = outer_add(input, row[v], sum[r][v]);
    }
  }
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store(sums + r * sums_stride + v * kLanes, sum[r][v]);
}

template <int Vectors, typename T>
void outer_panels(const T* x, std::ptrdiff_t x_stride, int inputs, const T* y, std::ptrdiff_t y_stride,
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

// sums += x^T y, summed over `tokens` tokens, or pairs of them, of `inputs` and `outputs` numbers. Of each token of y,
// and of each row of `sums`, outer_columns(outputs) numbers are read and written, those behind of no meaning.
template <typename T>
void outer(const T* x, std::ptrdiff_t x_stride, int inputs, const T* y, std::ptrdiff_t y_stride,
                  int outputs, int tokens, float* sums, std::ptrdiff_t sums_stride) {
  const int vectors = panel_vectors(outputs, kLanes, kPanelVectors);
  const auto run = vectors == 2 ? outer_panels<2, T> : vectors == 3 ? outer_panels<3, T> : outer_panels<4, T>;
  run(x, x_stride, inputs, y, y_stride, outputs, tokens, sums, sums_stride);
}

}  // namespace dvmsr::DVMSR_ISA
