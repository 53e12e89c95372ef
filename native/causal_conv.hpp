// SiLU of the causal depthwise convolution (paper section 3.2), forward and backward.
#pragma once

#include "kernels.hpp"
#include "scratch.hpp"
#include "simd.hpp"

namespace dvmsr::DVMSR_ISA {

// The sum before SiLU at one token, for the `width` channels at `x`, `weight` and `bias`.
// `before` tokens lie in memory before this one; the others count as 0.
DVMSR_ALWAYS_INLINE Vec conv_sum(const float* x, std::ptrdiff_t x_stride, std::ptrdiff_t before, const float* weight,
                                 std::ptrdiff_t weight_stride, std::ptrdiff_t taps, const float* bias, int width) {
  Vec total = load_partial(bias, width);
  for (std::ptrdiff_t back = before < taps ? before : taps - 1; back >= 0; --back)
    total = fma(load_partial(weight + (taps - 1 - back) * weight_stride, width),
                load_partial(x - back * x_stride, width), total);
  return total;
}

inline int group_width(std::ptrdiff_t channels, std::ptrdiff_t channel) {
  return static_cast<int>(channels - channel < kLanes ? channels - channel : kLanes);
}

// Tokens that all groups of channels pass through before the next ones, to stay in the near caches.
inline constexpr std::ptrdiff_t kConvChunk = 64;

inline void causal_conv_forward(const ConvInputs& in, float* y, std::ptrdiff_t sequence) {
  const float* x = in.x + sequence * in.length * in.x_stride;
  y += sequence * in.length * in.channels;
  for (std::ptrdiff_t start = 0; start < in.length; start += kConvChunk) {
    const auto end = start + kConvChunk < in.length ? start + kConvChunk : in.length;
    for (std::ptrdiff_t d = 0; d < in.channels; d += kLanes) {
      const int width = group_width(in.channels, d);
      for (auto t = start; t < end; ++t)
        store_partial(y + t * in.channels + d,
                      silu(conv_sum(x + t * in.x_stride + d, in.x_stride, t, in.weight + d, in.channels, in.taps,
                                    in.bias + d, width)),
                      width);
    }
  }
}

inline void causal_conv_backward(const ConvInputs& in, const ConvGradients& grad, std::ptrdiff_t sequence) {
  const auto groups = (in.channels + kLanes - 1) / kLanes;
  const auto taps = in.taps;
  Scratch scratch(groups * (taps + 1) + kConvChunk + taps - 1);
  Vec* d_weight = scratch.get();           // (groups, taps)
  Vec* d_bias = d_weight + groups * taps;  // (groups)
  Vec* d_sum = d_bias + groups;            // (chunk + taps - 1)
  for (std::ptrdiff_t i = 0; i < groups * (taps + 1); ++i) scratch.get()[i] = Vec{};
  const float* x = in.x + sequence * in.length * in.x_stride;
  const auto dense = sequence * in.length * in.channels;
  for (std::ptrdiff_t start = 0; start < in.length; start += kConvChunk) {
    const auto end = start + kConvChunk < in.length ? start + kConvChunk : in.length;
    for (std::ptrdiff_t g = 0; g < groups; ++g) {
      const auto d = g * kLanes;
      const int width = group_width(in.channels, d);
      // An input reaches the sums of its own token and of taps - 1 tokens after it.
      for (auto t = start; t < end + taps - 1; ++t) {
        Vec& gradient = d_sum[t - start];
        gradient = Vec{};
        if (t >= in.length) continue;
        const Vec total = conv_sum(x + t * in.x_stride + d, in.x_stride, t, in.weight + d, in.channels, taps,
                                   in.bias + d, width);
        const Vec gate = sigmoid(total);
        gradient = load_partial(grad.y + dense + t * in.channels + d, width) * gate *
                   fma(total, 1.0f - gate, broadcast(1.0f));
        if (t >= end) continue;
        d_bias[g] += gradient;
        for (std::ptrdiff_t back = 0; back < taps && back <= t; ++back) {
          Vec& sum = d_weight[g * taps + taps - 1 - back];
          sum = fma(gradient, load_partial(x + (t - back) * in.x_stride + d, width), sum);
        }
      }
      for (auto t = start; t < end; ++t) {
        Vec total{};
        for (std::ptrdiff_t ahead = 0; ahead < taps; ++ahead)
          total = fma(load_partial(in.weight + (taps - 1 - ahead) * in.channels + d, width), d_sum[t - start + ahead],
                      total);
        store_partial(grad.x + dense + t * in.channels + d, total, width);
      }
    }
  }
  for (std::ptrdiff_t g = 0; g < groups; ++g) {
    const auto d = g * kLanes;
    const int width = group_width(in.channels, d);
    store_partial(grad.bias + sequence * in.channels + d, d_bias[g], width);
    for (std::ptrdiff_t tap = 0; tap < taps; ++tap)
      store_partial(grad.weight + (sequence * taps + tap) * in.channels + d, d_weight[g * taps + tap], width);
  }
}

}  // namespace dvmsr::DVMSR_ISA
