// Dense layers and 3x3 convolutions as one register-blocked product.
//
// A block of kRows tokens by one panel of outputs is kept in registers while the inner dimension
// runs: each step loads one row of the panel's weights and broadcasts one input of each token.
// A convolution is the same product with a longer inner dimension: for each of its three rows
// (segments), three neighbouring tokens (taps). In bfloat16 a step takes two channels at once.
#pragma once

#include <type_traits>

#include "kernels.hpp"
#include "simd.hpp"
#include "tiles.hpp"

namespace dvmsr::DVMSR_ISA {

// Accumulators, one row of weights and a broadcast have to fit the registers: 32 of them with
// AVX-512 and NEON (where the compiler wants some for more broadcasts), 16 else. The wider a panel, the
// fewer broadcasts.
#if defined(__AVX512F__)
inline constexpr int kAccumulators = 24, kPanelVectors = 4;
#elif defined(__aarch64__)
inline constexpr int kAccumulators = 20, kPanelVectors = 4;
#else
inline constexpr int kAccumulators = 12, kPanelVectors = 2;
#endif

// One step of the inner dimension.
template <typename T>
struct Step;

template <>
struct Step<float> {
  using Operand = Vec;
  static constexpr int kChannels = 1;
  static DVMSR_ALWAYS_INLINE Vec input(const float* x) { return broadcast(*x); }
  static DVMSR_ALWAYS_INLINE Vec weights(const void* p) { return load(static_cast<const float*>(p)); }
  static DVMSR_ALWAYS_INLINE Vec multiply_add(Vec a, Vec b, Vec sum) { return fma(a, b, sum); }
};

template <>
struct Step<Bfloat16> {
  using Operand = IntVec;
  static constexpr int kChannels = 2;
  static DVMSR_ALWAYS_INLINE IntVec input(const Bfloat16* x) { return broadcast_pair(x); }
  static DVMSR_ALWAYS_INLINE IntVec weights(const void* p) { return load_words(p); }
  static DVMSR_ALWAYS_INLINE Vec multiply_add(IntVec a, IntVec b, Vec sum) { return dot_pair(a, b, sum); }
};

// Tokens [first, first + Rows) of one panel. Every output is one chain of multiply-adds in a fixed
// order, whatever the block it is computed in.
template <int Rows, int Vectors, typename In, typename Out>
DVMSR_ALWAYS_INLINE void matmul_block(const Matrix& m, const std::byte* weights, const void* const* in,
                                      std::ptrdiff_t in_stride, std::ptrdiff_t first, const float* residual,
                                      const float* bias, Out* out, std::ptrdiff_t out_stride) {
  using Operand = typename Step<In>::Operand;
  Vec sum[Rows][Vectors];
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      sum[r][v] = residual ? load(residual + (first + r) * out_stride + v * kLanes) : Vec{};
      if (bias) sum[r][v] += load(bias + v * kLanes);
    }
  for (int segment = 0; segment < m.segments; ++segment)
    for (int tap = 0; tap < m.taps; ++tap) {
      const In* x = static_cast<const In*>(in[segment]) + (first + tap) * in_stride;
      for (int k = 0; k < m.steps; ++k, x += Step<In>::kChannels) {
        Operand row[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v, weights += sizeof(Vec)) row[v] = Step<In>::weights(weights);
#pragma GCC unroll 24
        for (int r = 0; r < Rows; ++r) {
          const Operand input = Step<In>::input(x + r * in_stride);
#pragma GCC unroll 4
          for (int v = 0; v < Vectors; ++v) sum[r][v] = Step<In>::multiply_add(input, row[v], sum[r][v]);
        }
      }
    }
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) store(out + (first + r) * out_stride + v * kLanes, sum[r][v]);
}

template <int Vectors, typename In, typename Out>
void matmul_panels(const Matrix& m, const void* const* in, std::ptrdiff_t in_stride, int tokens,
                   const float* residual, Out* out, std::ptrdiff_t out_stride) {
  constexpr int kRows = kAccumulators / Vectors;
  const auto panel_bytes = static_cast<std::ptrdiff_t>(sizeof(Vec)) * Vectors * m.segments * m.taps * m.steps;
  for (int panel = 0; panel < m.panels; ++panel) {
    const std::ptrdiff_t column = panel * Vectors * kLanes;
    const std::byte* weights = static_cast<const std::byte*>(m.weights) + panel * panel_bytes;
    int first = 0;
    const auto run = [&](auto rows) {
      for (; first + rows <= tokens; first += rows)
        matmul_block<rows, Vectors, In>(m, weights, in, in_stride, first, residual ? residual + column : nullptr,
                                        m.bias ? m.bias + column : nullptr, out + column, out_stride);
    };
    run(std::integral_constant<int, kRows>());
    // Rows enough that their chains hide the latency of an addition.
    run(std::integral_constant<int, kRows / 3>());
    run(std::integral_constant<int, 1>());
  }
}

template <typename In, typename Out>
void matmul_as(const Matrix& m, const void* const* in, std::ptrdiff_t in_stride, int tokens,
               const float* residual, void* out, std::ptrdiff_t out_stride) {
#if defined(__AMX_BF16__)
  if constexpr (std::is_same_v<In, Bfloat16>)
    if (fits_tiles(m, tokens))
      return matmul_tiles(m, in, in_stride, tokens, residual, static_cast<Out*>(out), out_stride);
#endif
  const auto run = m.panel_vectors == 2 ? matmul_panels<2, In, Out>
                   : m.panel_vectors == 3 ? matmul_panels<3, In, Out>
                                          : matmul_panels<4, In, Out>;
  run(m, in, in_stride, tokens, residual, static_cast<Out*>(out), out_stride);
}

inline void matmul(const Matrix& m, const void* const* in, std::ptrdiff_t in_stride, int tokens,
                   const float* residual, void* out, std::ptrdiff_t out_stride) {
  const auto run = m.operands == Precision::kFloat32 ? matmul_as<float, float>
                   : m.output == Precision::kFloat32 ? matmul_as<Bfloat16, float>
                                                     : matmul_as<Bfloat16, Bfloat16>;
  run(m, in, in_stride, tokens, residual, out, out_stride);
}

template <typename In>
double multiply_adds_of(std::ptrdiff_t steps, float* sink) {
  constexpr int kVectors = 2, kRows = kAccumulators / kVectors;
  Vec sum[kRows][kVectors] = {};
  alignas(64) In inputs[kRows * 2] = {};
  alignas(64) float weights[kVectors * kLanes] = {};
  // Unknown to the compiler, so that every step has to be carried out.
  __asm__ volatile("" : : "r"(inputs), "r"(weights) : "memory");
  for (std::ptrdiff_t i = 0; i < steps; ++i) {
    typename Step<In>::Operand row[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) row[v] = Step<In>::weights(weights + v * kLanes);
#pragma GCC unroll 24
    for (int r = 0; r < kRows; ++r) {
      const auto input = Step<In>::input(inputs + r * 2);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Step<In>::multiply_add(input, row[v], sum[r][v]);
    }
  }
  Vec total{};
#pragma GCC unroll 24
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) total += sum[r][v];
  store(sink, total);
  return 2.0 * Step<In>::kChannels * kLanes * kAccumulators * static_cast<double>(steps);
}

inline double multiply_adds(Precision precision, std::ptrdiff_t steps, float* sink) {
  return (precision == Precision::kFloat32 ? multiply_adds_of<float> : multiply_adds_of<Bfloat16>)(steps, sink);
}

}  // namespace dvmsr::DVMSR_ISA
