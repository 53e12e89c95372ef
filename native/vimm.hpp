// LayerNorm and the Vision Mamba module, fused: a chunk of tokens passes through all of its
// operations while it lies in the near caches.
#pragma once

#include "causal_conv.hpp"
#include "kernels.hpp"
#include "matmul.hpp"
#include "scan.hpp"

namespace dvmsr::DVMSR_ISA {

// Normalises `tokens` tokens of `stride` numbers, of which the first `channels` count and the
// others are anything finite before and 0 after.
template <typename Out>
void normalize(const LayerNorm& norm, const float* in, Out* out, std::ptrdiff_t stride, int tokens) {
  const int vectors = static_cast<int>(stride) / kLanes;
  const float share = 1.0f / static_cast<float>(norm.channels);
  for (int t = 0; t < tokens; ++t, in += stride, out += stride) {
    Vec total{};
    for (int v = 0; v < vectors; ++v) total = fma(load(in + v * kLanes), load(norm.mask + v * kLanes), total);
    const float mean = sum(total) * share;
    Vec squares{};
    for (int v = 0; v < vectors; ++v) {
      const Vec centred = (load(in + v * kLanes) - mean) * load(norm.mask + v * kLanes);
      squares = fma(centred, centred, squares);
    }
    const float scale = 1.0f / __builtin_sqrtf(sum(squares) * share + 1e-5f);
    for (int v = 0; v < vectors; ++v) {
      const Vec centred = load(in + v * kLanes) - mean;
      store(out + v * kLanes,
            fma(centred * scale, load(norm.weight + v * kLanes), load(norm.bias + v * kLanes)));
    }
  }
}

inline void layer_norm(const LayerNorm& norm, const float* in, void* out, std::ptrdiff_t stride, int tokens) {
  if (norm.output == Precision::kFloat32)
    normalize(norm, in, static_cast<float*>(out), stride, tokens);
  else
    normalize(norm, in, static_cast<Bfloat16*>(out), stride, tokens);
}

// SiLU of the causal convolution. `u` points at the first token's row; the taps - 1 rows before it
// hold the tokens before. `operand` gets the same as the next matrix wants it. `Taps` is their number
// where it is known at compile time, else 0.
template <int Taps, typename Operand>
void causal_conv(const Vimm& m, const float* u, std::ptrdiff_t u_stride, float* out, Operand* operand, int tokens) {
  for (std::ptrdiff_t d = 0; d < m.inner_channels; d += kLanes) {
    const auto finish = [&](int t, Vec total) {
      const Vec value = silu(total);
      store(out + t * m.inner_stride + d, value);
      if constexpr (std::is_same_v<Operand, Bfloat16>) store(operand + t * m.inner_stride + d, value);
    };
    if constexpr (Taps == 0) {
      for (int t = 0; t < tokens; ++t)
        finish(t, conv_sum(u + t * u_stride + d, u_stride, m.conv_taps - 1, m.conv_weight + d, m.inner_stride,
                           m.conv_taps, m.conv_bias + d, kLanes));
    } else {
      // The weights and the last tokens stay in registers.
      const Vec bias = load(m.conv_bias + d);
      Vec weight[Taps], x[Taps];
#pragma GCC unroll 8
      for (int tap = 0; tap < Taps; ++tap) weight[tap] = load(m.conv_weight + tap * m.inner_stride + d);
#pragma GCC unroll 8
      for (int tap = 1; tap < Taps; ++tap) x[tap] = load(u + (tap - Taps) * u_stride + d);
      for (int t = 0; t < tokens; ++t) {
        Vec total = bias;
#pragma GCC unroll 8
        for (int tap = 0; tap < Taps; ++tap) {
          x[tap] = tap + 1 < Taps ? x[tap + 1] : load(u + t * u_stride + d);
          total = fma(weight[tap], x[tap], total);
        }
        finish(t, total);
      }
    }
  }
}

template <typename Operand>
void gated_scan(const Vimm& m, const float* u, const float* delta, const float* projected, const float* z,
                std::ptrdiff_t z_stride, float* state, Operand* y, int tokens) {
  const float* B = projected + m.dt_rank;
  for (std::ptrdiff_t d = 0; d < m.inner_channels; d += kLanes)
    scan_group(tokens, m.states, u + d, delta + d, m.inner_stride, B, B + m.states, m.projected_stride, m.a_log2 + d,
               m.inner_stride, load(m.D + d), state + d, m.inner_stride, [&](int t, Vec out) {
                 store(y + t * m.inner_stride + d, out * silu(load(z + t * z_stride + d)));
               });
}

// `Operand` is what the matrices read.
template <typename Operand>
void vimm_chunk(const Vimm& m, const float* in, void* out, int tokens, const VimmState& state, float* work,
                Laps* laps) {
  const std::ptrdiff_t pair = 2 * m.inner_stride;
  const int before = m.conv_taps - 1;
  auto* normed = reinterpret_cast<Operand*>(work);
  float* history = work + kVimmChunk * m.stride;  // (before + chunk, u and z)
  float* uz = history + before * pair;
  float* u = uz + kVimmChunk * pair;
  float* projected = u + kVimmChunk * m.inner_stride;
  float* delta = projected + kVimmChunk * m.projected_stride;
  auto* y = reinterpret_cast<Operand*>(delta + kVimmChunk * m.inner_stride);
  // y is written after the last reading of this.
  const void* u_operand = std::is_same_v<Operand, float> ? static_cast<void*>(u) : y;
  const std::size_t row = static_cast<std::size_t>(m.inner_stride) * sizeof(float);

  const auto multiply = [tokens](const Matrix& matrix, const void* x, std::ptrdiff_t x_stride, const float* residual,
                                 void* result, std::ptrdiff_t stride) {
    matmul(matrix, &x, x_stride, tokens, residual, result, stride);
  };

  normalize(m.norm, in, normed, m.stride, tokens);
  lap(laps, Operation::kLayerNorm);
  multiply(m.in_proj, normed, m.stride, nullptr, uz, pair);
  // z follows u without a gap. What vectors read beyond both has to be a number.
  const std::ptrdiff_t made = m.in_proj.panels * m.in_proj.panel_vectors * static_cast<std::ptrdiff_t>(kLanes);
  for (int t = 0; t < tokens; ++t)
    for (std::ptrdiff_t d = made; d < pair; d += kLanes) store(uz + t * pair + d, Vec{});
  lap(laps, Operation::kInProj);
  for (int i = 0; i < before; ++i) std::memcpy(history + i * pair, state.conv + i * m.inner_stride, row);
  // 4 taps is what every published network has.
  (m.conv_taps == 4 ? causal_conv<4, Operand> : causal_conv<0, Operand>)(m, uz, pair, u, y, tokens);
  for (int i = 0; i < before; ++i) std::memcpy(state.conv + i * m.inner_stride, history + (tokens + i) * pair, row);
  lap(laps, Operation::kCausalConv);
  multiply(m.x_proj, u_operand, m.inner_stride, nullptr, projected, m.projected_stride);
  lap(laps, Operation::kXProj);
  multiply(m.dt_proj, projected, m.projected_stride, nullptr, delta, m.inner_stride);
  for (std::ptrdiff_t i = 0; i < tokens * m.inner_stride; i += kLanes)
    store(delta + i, softplus(load(delta + i)));
  lap(laps, Operation::kDtProj);
  gated_scan(m, u, delta, projected, uz + m.inner_channels, pair, state.scan, y, tokens);
  lap(laps, Operation::kScan);
  multiply(m.out_proj, y, m.inner_stride, m.residual ? in : nullptr, out, m.stride);
  lap(laps, Operation::kOutProj);
}

inline void vimm(const Vimm& m, const float* in, void* out, std::ptrdiff_t tokens, const VimmState& state,
                 float* work, Laps* laps) {
  for (std::ptrdiff_t t = 0; t < tokens; t += kVimmChunk) {
    const int count = static_cast<int>(tokens - t < kVimmChunk ? tokens - t : kVimmChunk);
    const auto chunk = m.in_proj.operands == Precision::kFloat32 ? vimm_chunk<float> : vimm_chunk<Bfloat16>;
    chunk(m, in + t * m.stride, static_cast<std::byte*>(out) + t * m.stride * size_of(m.out_proj.output), count,
          state, work, laps);
  }
}

}  // namespace dvmsr::DVMSR_ISA
