// 3x3 convolutions by minimal filtering along the row (Winograd, Arithmetic Complexity of Computations,
// 1980; Lavin and Gray, arXiv 1509.09308): four neighbouring outputs of a row come from six products, where
// the sum over the window takes twelve. This is F(4, 3) with the points 0, +-2/3, +-3/2 and infinity, whose
// rounding error is 1.3 times that of the plain sum; with the usual 0, +-1, +-2 it is twice that.
#pragma once

#include "kernels.hpp"
#include "matmul.hpp"
#include "simd.hpp"

namespace dvmsr::DVMSR_ISA {

inline constexpr float kNear = static_cast<float>(kFilterNear), kFar = static_cast<float>(kFilterFar);
static_assert(kFilterNear * kFilterFar == 1, "the transforms leave out factors of this product");

// What the products want of one tile, six vectors of neighbouring tokens.
DVMSR_ALWAYS_INLINE void transform_input(const Vec (&d)[kFilterPoints], Vec (&points)[kFilterPoints]) {
  constexpr float kSquares = kNear * kNear + kFar * kFar;
  const Vec near_even = fma(broadcast(-kFar * kFar), d[2], d[4]);
  const Vec near_odd = fma(broadcast(-kFar * kFar), d[1], d[3]);
  const Vec far_even = fma(broadcast(-kNear * kNear), d[2], d[4]);
  const Vec far_odd = fma(broadcast(-kNear * kNear), d[1], d[3]);
  points[0] = fma(broadcast(-kSquares), d[2], d[0] + d[4]);
  points[1] = fma(broadcast(kNear), near_odd, near_even);
  points[2] = fma(broadcast(-kNear), near_odd, near_even);
  points[3] = fma(broadcast(kFar), far_odd, far_even);
  points[4] = fma(broadcast(-kFar), far_odd, far_even);
  points[5] = fma(broadcast(-kSquares), d[3], d[1] + d[5]);
}

// The products of one tile, `pitch` floats from point to point, to its four outputs.
DVMSR_ALWAYS_INLINE void transform_output(const float* m, std::ptrdiff_t pitch, Vec (&y)[kFilterOutputs]) {
  const Vec near_sum = load(m + pitch) + load(m + 2 * pitch);
  const Vec near_difference = load(m + pitch) - load(m + 2 * pitch);
  const Vec far_sum = load(m + 3 * pitch) + load(m + 4 * pitch);
  const Vec far_difference = load(m + 3 * pitch) - load(m + 4 * pitch);
  y[0] = load(m) + (near_sum + far_sum);
  y[1] = fma(broadcast(kNear), near_difference, broadcast(kFar) * far_difference);
  y[2] = fma(broadcast(kNear * kNear), near_sum, broadcast(kFar * kFar) * far_sum);
  y[3] = fma(broadcast(kNear * kNear * kNear), near_difference,
             fma(broadcast(kFar * kFar * kFar), far_difference, load(m + 5 * pitch)));
}

// Tokens from `first` on of each row to what the products want, (points, rows, tiles, stride): six for each
// tile, two of them shared with the next. A row has `tokens` tokens; what is beyond is taken as 0.
inline void transform_inputs(const void* const* in, std::ptrdiff_t stride, std::ptrdiff_t first, int tiles,
                             std::ptrdiff_t tokens, float* out) {
  const std::ptrdiff_t pitch = kConvRows * kFilterTiles * stride;
  for (int row = 0; row < kConvRows; ++row)
    for (int tile = 0; tile < tiles; ++tile) {
      const std::ptrdiff_t token = first + tile * kFilterOutputs;
      const float* x = static_cast<const float*>(in[row]) + token * stride;
      float* to = out + (row * kFilterTiles + tile) * stride;
      for (std::ptrdiff_t c = 0; c < stride; c += kLanes) {
        Vec d[kFilterPoints], points[kFilterPoints];
#pragma GCC unroll 6
        for (int i = 0; i < kFilterPoints; ++i) d[i] = token + i < tokens ? load(x + i * stride + c) : Vec{};
        transform_input(d, points);
#pragma GCC unroll 6
        for (int i = 0; i < kFilterPoints; ++i) store(to + i * pitch + c, points[i]);
      }
    }
}

// Products, (points, tiles, columns), to tokens [first, tokens) of the output, four or less for each tile.
inline void transform_outputs(const float* products, int columns, const float* bias, std::ptrdiff_t first, int tiles,
                              std::ptrdiff_t tokens, const float* residual, float* out, std::ptrdiff_t stride) {
  const std::ptrdiff_t pitch = kFilterTiles * static_cast<std::ptrdiff_t>(columns);
  for (int tile = 0; tile < tiles; ++tile) {
    const std::ptrdiff_t token = first + tile * kFilterOutputs;
    for (int c = 0; c < columns; c += kLanes) {
      Vec y[kFilterOutputs];
      transform_output(products + static_cast<std::ptrdiff_t>(tile) * columns + c, pitch, y);
#pragma GCC unroll 4
      for (int i = 0; i < kFilterOutputs; ++i)
        if (token + i < tokens) {
          const std::ptrdiff_t place = (token + i) * stride + c;
          const Vec value = y[i] + load(bias + c);
          store(out + place, residual ? value + load(residual + place) : value);
        }
    }
  }
}

// Rows of a wide image lie in a far cache. `count` tokens from `first` on of each are brought nearer; of
// what does not exist nothing is.
DVMSR_ALWAYS_INLINE void prefetch(const void* const* in, std::ptrdiff_t stride, std::ptrdiff_t first,
                                  std::ptrdiff_t count, std::ptrdiff_t tokens) {
  constexpr std::ptrdiff_t kLine = 64 / sizeof(float);
  for (int row = 0; row < kConvRows; ++row)
    for (std::ptrdiff_t i = first * stride; i < (first + count) * stride && i < tokens * stride; i += kLine)
      __builtin_prefetch(static_cast<const float*>(in[row]) + i, 0, 2);
}

inline void convolve(const Convolution& conv, const void* const* in, std::ptrdiff_t in_stride, int tokens,
                     const float* residual, void* out, std::ptrdiff_t out_stride, float* workspace) {
  if (!conv.filtered) return matmul(conv.direct, in, in_stride, tokens, residual, out, out_stride);
  const int columns = conv.points[0].panels * conv.points[0].panel_vectors * kLanes;
  float* products = workspace + kFilterPoints * kConvRows * kFilterTiles * in_stride;
  const int all_tiles = (tokens + kFilterOutputs - 1) / kFilterOutputs;
  for (int tile = 0; tile < all_tiles; tile += kFilterTiles) {
    const int tiles = all_tiles - tile < kFilterTiles ? all_tiles - tile : kFilterTiles;
    const std::ptrdiff_t first = tile * static_cast<std::ptrdiff_t>(kFilterOutputs);
    transform_inputs(in, in_stride, first, tiles, tokens + kConvRows - 1, workspace);
    for (int point = 0; point < kFilterPoints; ++point) {
      // A part of the next tiles' tokens each time, so that they come while there is enough to compute.
      constexpr int kPart = kFilterTiles * kFilterOutputs / kFilterPoints;
      prefetch(in, in_stride, first + kFilterTiles * kFilterOutputs + point * kPart, kPart, tokens);
      const void* rows[kConvRows];
      for (int row = 0; row < kConvRows; ++row)
        rows[row] = workspace + (point * kConvRows + row) * kFilterTiles * in_stride;
      matmul(conv.points[point], rows, in_stride, tiles, nullptr,
             products + point * kFilterTiles * static_cast<std::ptrdiff_t>(columns), columns);
    }
    transform_outputs(products, columns, conv.bias, first, tiles, tokens, residual, static_cast<float*>(out),
                      out_stride);
  }
}

}  // namespace dvmsr::DVMSR_ISA
