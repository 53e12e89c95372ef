// LayerNorm and the Vision Mamba module over a whole sequence, forward and backward.
//
// A chunk of tokens passes through all operations while it lies in the near caches. Kept for the backward
// pass is what is dear to compute again beside its bytes: u and z, delta's low rank with B and C, and the
// scan's state at every part. The backward pass takes the chunks from the last to the first and computes
// the rest again.
#pragma once

#include <cstring>

#include "kernels.hpp"
#include "outer.hpp"
#include "scan_backward.hpp"
#include "vimm.hpp"

namespace dvmsr::DVMSR_ISA {

static_assert(TrainedVimm::kPart <= kScanBackwardTokens);

inline std::size_t bytes(std::ptrdiff_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); }

// Matrix products of a chunk, whose tokens are as the matrix wants them.
inline void multiply(const Matrix& matrix, const void* x, std::ptrdiff_t x_stride, int tokens, const float* residual,
                     float* out, std::ptrdiff_t out_stride) {
  matmul(matrix, &x, x_stride, tokens, residual, out, out_stride);
}

// The first `count` numbers at p, if any, and zeros.
DVMSR_ALWAYS_INLINE Vec load_up_to(const float* p, std::ptrdiff_t count) {
  return count <= 0 ? Vec{} : load_partial(p, static_cast<int>(count < kLanes ? count : kLanes));
}

// Products of float32 tokens by operands of either precision.
template <typename Operand>
class Products {
 public:
  Products(const TrainedVimm& m, float* work)
      : rows_(reinterpret_cast<Bfloat16*>(work)),
        inputs_(reinterpret_cast<std::uint32_t*>(work + TrainedVimm::kChunk / 2 * m.narrow_columns())),
        outputs_(inputs_ + TrainedVimm::kChunk / 2 * m.narrow_columns()) {}

  // `channels` of each token are multiplied.
  void multiply(const Matrix& matrix, const float* x, std::ptrdiff_t x_stride, int channels, int tokens,
                const float* residual, float* out, std::ptrdiff_t out_stride) const {
    if constexpr (kNarrow) {
      const std::ptrdiff_t stride = outer_columns(channels);
      for (int t = 0; t < tokens; ++t)
        for (std::ptrdiff_t c = 0; c < stride; c += kLanes)
          store(rows_ + t * stride + c, load_up_to(x + t * x_stride + c, channels - c));
      DVMSR_ISA::multiply(matrix, rows_, stride, tokens, residual, out, out_stride);
    } else {
      DVMSR_ISA::multiply(matrix, x, x_stride, tokens, residual, out, out_stride);
    }
  }

  // sums += x^T y over tokens, as `outer`.
  void outer(const float* x, std::ptrdiff_t x_stride, int inputs, const float* y, std::ptrdiff_t y_stride, int outputs,
             int tokens, float* sums, std::ptrdiff_t sums_stride) const {
    if constexpr (kNarrow) {
      const std::ptrdiff_t in = outer_columns(inputs), out = outer_columns(outputs);
      pair_tokens(x, x_stride, inputs, tokens, inputs_, in);
      pair_tokens(y, y_stride, outputs, tokens, outputs_, out);
      DVMSR_ISA::outer<std::uint32_t>(inputs_, in, inputs, outputs_, out, outputs, (tokens + 1) / 2, sums, sums_stride);
    } else {
      DVMSR_ISA::outer(x, x_stride, inputs, y, y_stride, outputs, tokens, sums, sums_stride);
    }
  }

 private:
  static constexpr bool kNarrow = std::is_same_v<Operand, Bfloat16>;

  static void pair_tokens(const float* x, std::ptrdiff_t x_stride, int channels, int tokens, std::uint32_t* out,
                          std::ptrdiff_t stride) {
    for (int t = 0; t < tokens; t += 2, out += stride)
      for (std::ptrdiff_t c = 0; c < stride; c += kLanes) {
        const float* first = x + t * x_stride + c;
        const Vec second = t + 1 < tokens ? load_up_to(first + x_stride, channels - c) : Vec{};
        const IntVec words = pair(load_up_to(first, channels - c), second);
        std::memcpy(out + c, &words, sizeof words);
      }
  }

  Bfloat16* rows_;
  std::uint32_t *inputs_, *outputs_;
};

// Writes 0 where the product leaves a token's padding as it is.
inline void zero_padding(const Matrix& matrix, int tokens, float* out, std::ptrdiff_t stride) {
  const std::ptrdiff_t columns = static_cast<std::ptrdiff_t>(matrix.panels) * matrix.panel_vectors * kLanes;
  for (int t = 0; t < tokens; ++t)
    for (std::ptrdiff_t i = columns; i < stride; i += kLanes) store(out + t * stride + i, Vec{});
}

// Parts of the array that the forward pass leaves for one sequence.
template <typename Float>
struct Kept {
  Kept(const TrainedVimm& m, Float* kept, std::ptrdiff_t length)
      : pairs(kept + (m.layer.conv_taps - 1) * m.pair_stride),
        projected(pairs + length * m.pair_stride),
        states(projected + length * m.layer.projected_stride) {}
  Float* pairs;      // (length, pair_stride) from the first token on
  Float* projected;  // (length, projected_stride)
  Float* states;     // (parts, states, inner_stride)
};

// Calls work(place, vector's width) for whole vectors over `count` numbers. The last one overlaps the one before,
// where there is one, as no other number may be touched.
template <typename Work>
DVMSR_ALWAYS_INLINE void over_dense(int count, const Work& work) {
  if (count < kLanes) return work(0, count);
  for (int i = 0; i < count; i += kLanes) work(i + kLanes <= count ? i : count - kLanes, kLanes);
}

// Tokens of `channels` numbers to tokens as far apart as the strides say; what is between stays.
inline void copy_tokens(const float* in, std::ptrdiff_t in_stride, int channels, int tokens, float* out,
                        std::ptrdiff_t out_stride) {
  for (int t = 0; t < tokens; ++t, in += in_stride, out += out_stride)
    over_dense(channels, [&](int i, int width) { store_partial(out + i, load_partial(in + i, width), width); });
}

// `Operand` is what the matrices read.
template <typename Operand>
void vimm_forward_as(const TrainedVimm& m, const float* x, float* y, float* kept_floats, std::ptrdiff_t length,
                     float* work) {
  constexpr int kChunk = TrainedVimm::kChunk, kPart = TrainedVimm::kPart;
  const Vimm& layer = m.layer;
  const int channels = layer.norm.channels;
  const Kept<float> kept(m, kept_floats, length);
  float* in = work;  // (chunk, stride), as the next two
  float* normed = in + kChunk * layer.stride;  // of operands
  float* out = normed + kChunk * layer.stride;
  float* u = out + kChunk * layer.stride;  // (chunk, inner_stride), as the next two
  float* delta = u + kChunk * layer.inner_stride;
  float* scanned = delta + kChunk * layer.inner_stride;  // of operands
  float* state = scanned + kChunk * layer.inner_stride;  // (states, inner_stride)
  auto* normed_operand = reinterpret_cast<Operand*>(normed);
  auto* scanned_operand = reinterpret_cast<Operand*>(scanned);
  // What was scanned is written after the last reading of this.
  auto* u_operand = std::is_same_v<Operand, float> ? reinterpret_cast<Operand*>(u) : scanned_operand;
  std::memset(in, 0, bytes(kChunk * layer.stride));
  std::memset(state, 0, bytes(layer.states * layer.inner_stride));
  std::memset(kept_floats, 0, bytes((layer.conv_taps - 1) * m.pair_stride));

  for (std::ptrdiff_t start = 0; start < length; start += kChunk) {
    const int tokens = static_cast<int>(length - start < kChunk ? length - start : kChunk);
    float* pairs = kept.pairs + start * m.pair_stride;
    float* projected = kept.projected + start * layer.projected_stride;
    copy_tokens(x + start * channels, channels, channels, tokens, in, layer.stride);
    normalize(layer.norm, in, normed_operand, layer.stride, tokens);
    multiply(layer.in_proj, normed_operand, layer.stride, tokens, nullptr, pairs, m.pair_stride);
    // What vectors read beyond u and z has to be a number.
    zero_padding(layer.in_proj, tokens, pairs, m.pair_stride);
    (layer.conv_taps == 4 ? causal_conv<4, Operand> : causal_conv<0, Operand>)(layer, pairs, m.pair_stride, u, u_operand,
                                                                               tokens);
    multiply(layer.x_proj, u_operand, layer.inner_stride, tokens, nullptr, projected, layer.projected_stride);
    zero_padding(layer.x_proj, tokens, projected, layer.projected_stride);
    multiply(layer.dt_proj, projected, layer.projected_stride, tokens, nullptr, delta, layer.inner_stride);
    for (int t = 0; t < tokens; ++t)
      for (int d = 0; d < layer.inner_channels; d += kLanes)
        store(delta + t * layer.inner_stride + d, softplus(load(delta + t * layer.inner_stride + d)));
    for (int first = 0; first < tokens; first += kPart) {
      const int count = tokens - first < kPart ? tokens - first : kPart;
      // By groups of channels, as the backward pass reads them.
      float* to = kept.states + (start + first) / kPart * m.kept_state();
      for (int d = 0; d < layer.inner_channels; d += kLanes)
        for (int n = 0; n < layer.states; ++n, to += kLanes) store(to, load(state + n * layer.inner_stride + d));
      gated_scan(
          layer, u + first * layer.inner_stride, delta + first * layer.inner_stride,
          projected + first * layer.projected_stride, pairs + first * m.pair_stride + layer.inner_channels,
          m.pair_stride, state, scanned_operand + first * layer.inner_stride, count);
    }
    multiply(layer.out_proj, scanned_operand, layer.inner_stride, tokens, layer.residual ? in : nullptr, out, layer.stride);
    copy_tokens(out, layer.stride, channels, tokens, y + start * channels, channels);
  }
}

inline void vimm_training_forward(const TrainedVimm& m, const float* x, float* y, float* kept, std::ptrdiff_t length,
                                  float* work) {
  const auto run = m.layer.in_proj.operands == Precision::kFloat32 ? vimm_forward_as<float> : vimm_forward_as<Bfloat16>;
  run(m, x, y, kept, length, work);
}

// Normalises as `normalize`, and keeps what the gradient needs: the tokens before weight and bias, and the
// factors that made them.
inline void normalize_kept(const LayerNorm& norm, const float* in, float* centred, float* factors, float* out,
                           std::ptrdiff_t stride, int tokens) {
  const float share = 1.0f / static_cast<float>(norm.channels);
  for (int t = 0; t < tokens; ++t, in += stride, centred += stride, out += stride) {
    Vec total{}, squares{};
    for (int c = 0; c < norm.channels; c += kLanes) total = fma(load(in + c), load(norm.mask + c), total);
    const float mean = sum(total) * share;
    for (int c = 0; c < norm.channels; c += kLanes) {
      const Vec value = (load(in + c) - mean) * load(norm.mask + c);
      squares = fma(value, value, squares);
    }
    factors[t] = 1.0f / __builtin_sqrtf(sum(squares) * share + 1e-5f);
    for (int c = 0; c < norm.channels; c += kLanes) {
      const Vec value = (load(in + c) - mean) * factors[t];
      store(centred + c, value);
      store(out + c, fma(value, load(norm.weight + c), load(norm.bias + c)));
    }
  }
}

// Gradients of LayerNorm. `gradient` is of its output, then of its input, its padding 0.
inline void normalize_backward(const LayerNorm& norm, const float* centred, const float* factors, float* gradient,
                               std::ptrdiff_t stride, int tokens, float* d_weight, float* d_bias) {
  const float share = 1.0f / static_cast<float>(norm.channels);
  for (int t = 0; t < tokens; ++t, centred += stride, gradient += stride) {
    Vec total{}, along{};
    for (int c = 0; c < norm.channels; c += kLanes) {
      const Vec g = load(gradient + c), value = load(centred + c);
      store(d_weight + c, fma(g, value, load(d_weight + c)));
      store(d_bias + c, load(d_bias + c) + g);
      const Vec weighted = g * load(norm.weight + c);
      store(gradient + c, weighted);
      total += weighted;
      along = fma(weighted, value, along);
    }
    const float mean = sum(total) * share, slope = sum(along) * share;
    for (int c = 0; c < norm.channels; c += kLanes)
      store(gradient + c, (load(gradient + c) - mean - load(centred + c) * slope) * factors[t]);
  }
}

// SiLU of the causal convolution, and SiLU's slope. `Taps` is their number where it is known at compile time,
// else 0.
template <int Taps>
void conv_with_slope(const Vimm& m, const float* pairs, std::ptrdiff_t stride, int tokens, float* u, float* slope) {
  const int taps = Taps ? Taps : m.conv_taps;
  for (int d = 0; d < m.inner_channels; d += kLanes)
    for (int t = 0; t < tokens; ++t) {
      const float* x = pairs + (t - taps + 1) * stride + d;
      Vec total = load(m.conv_bias + d);
#pragma GCC unroll 4
      for (int tap = 0; tap < taps; ++tap)
        total = fma(load(m.conv_weight + tap * m.inner_stride + d), load(x + tap * stride), total);
      const Vec gate = sigmoid(total);
      store(u + t * m.inner_stride + d, total * gate);
      store(slope + t * m.inner_stride + d, gate * fma(total, 1.0f - gate, broadcast(1.0f)));
    }
}

// Gradients of the causal convolution. `d_sum` is of its sums before SiLU, of `tokens` tokens and the
// taps - 1 after them; `d_u` gets that of its inputs.
template <int Taps>
void conv_backward(const Vimm& m, const float* pairs, std::ptrdiff_t stride, int tokens, const float* d_sum,
                   float* d_u, float* d_weight, float* d_bias, std::ptrdiff_t columns) {
  const int taps = Taps ? Taps : m.conv_taps;
  for (int d = 0; d < m.inner_channels; d += kLanes) {
    const int width = m.inner_channels - d < kLanes ? m.inner_channels - d : kLanes;
    const auto gradient = [&](int t) { return load(d_sum + t * m.inner_stride + d); };
    Vec bias = load(d_bias + d);
    for (int t = 0; t < tokens; ++t) {
      Vec total{};
#pragma GCC unroll 4
      for (int ahead = 0; ahead < taps; ++ahead)
        total = fma(load(m.conv_weight + (taps - 1 - ahead) * m.inner_stride + d), gradient(t + ahead), total);
      // z's gradient lies behind u's.
      store_partial(d_u + t * stride + d, total, width);
      bias += gradient(t);
    }
    store(d_bias + d, bias);
    const auto weights = [&](auto count, int first) {
      const float* x = pairs + (first - taps + 1) * stride + d;
      float* to = d_weight + first * columns + d;
      constexpr int kCount = decltype(count)::value;
      Vec weight[kCount];
#pragma GCC unroll 4
      for (int tap = 0; tap < kCount; ++tap) weight[tap] = load(to + tap * columns);
      for (int t = 0; t < tokens; ++t)
#pragma GCC unroll 4
        for (int tap = 0; tap < kCount; ++tap)
          weight[tap] = fma(gradient(t), load(x + (t + tap) * stride), weight[tap]);
#pragma GCC unroll 4
      for (int tap = 0; tap < kCount; ++tap) store(to + tap * columns, weight[tap]);
    };
    if constexpr (Taps != 0)
      weights(std::integral_constant<int, Taps>(), 0);
    else
      for (int tap = 0; tap < taps; ++tap) weights(std::integral_constant<int, 1>(), tap);
  }
}

// delta = softplus of itself, and softplus's slope.
inline void softplus_with_slope(const Vimm& m, int tokens, float* delta, float* slope) {
  for (int t = 0; t < tokens; ++t)
    for (int d = 0; d < m.inner_channels; d += kLanes) {
      const Vec raw = load(delta + t * m.inner_stride + d);
      const Vec w = exp(-abs(raw)), share = 1.0f / (1.0f + w);
      store(delta + t * m.inner_stride + d, softplus(raw, w));
      store(slope + t * m.inner_stride + d, raw > 0 ? share : w * share);
    }
}

// Gradients of the gated scan over one part.
struct PartBackward {
  const float* u;          // (tokens, inner_stride)
  float* delta;            // delta; then u's gradient
  float* slope;            // softplus's slope; then the gradient of what softplus got
  float* y;                // gradient of the output; then the output
  const float* projected;  // (tokens, projected_stride)
  const float* z;          // (tokens, pair_stride)
  float* d_projected;      // gets B's and C's gradients
  float* d_z;
  const float* h;  // (groups, states, kLanes) before the part
  float* G;        // (states, inner_stride)
  float* dA;       // (states, inner_stride), as sums
  const float* coming;  // a part of what the next chunk reads, or null
};

inline void scan_part_backward(const TrainedVimm& m, const PartBackward& p, int tokens, float* dD, float* d_bias,
                               Vec* scratch) {
  constexpr int kPart = TrainedVimm::kPart;
  const Vimm& layer = m.layer;
  const std::ptrdiff_t stride = layer.inner_stride;
  const float* B = p.projected + layer.dt_rank;
  Vec *dB = scratch, *dC = dB + kPart * layer.states;
  for (int i = 0; i < 2 * kPart * layer.states; ++i) dB[i] = Vec{};
  constexpr int kLine = 64 / sizeof(float);
  const std::ptrdiff_t share = kPart * m.pair_stride / m.inner_width;  // of what is coming, for each channel
  ScanBackward s;
  Vec gate[kPart], gate_slope[kPart];
  for (int d = 0; d < layer.inner_channels; d += kLanes) {
    const Vec D = load(layer.D + d);
    // The states before the next part, which lie before these, come from memory meanwhile.
    const float* states_ahead = p.h + d * layer.states - m.kept_state();
    for (int t = 0; t < tokens; ++t) {
      for (int n = t * kLanes * layer.states / kPart; n < (t + 1) * kLanes * layer.states / kPart; n += kLine)
        __builtin_prefetch(states_ahead + n);
      const Vec z = load(p.z + t * m.pair_stride + d);
      const Vec open = sigmoid(z);
      gate[t] = z * open;
      gate_slope[t] = open * fma(z, 1.0f - open, broadcast(1.0f));
      s.u[t] = load(p.u + t * stride + d);
      s.delta[t] = load(p.delta + t * stride + d);
      s.dy[t] = load(p.y + t * stride + d) * gate[t];
      s.y[t] = D * s.u[t];
      s.d_dtu[t] = s.d_delta_log2[t] = Vec{};
    }
    scan_backward_group(s,
                        {B, B + layer.states, layer.projected_stride, layer.a_log2 + d, stride,
                         p.h + d * layer.states, kLanes, p.G + d, p.dA + d, dB, dC,
                         p.coming ? p.coming + d * share : nullptr, p.coming ? kLanes * share : 0},
                        tokens, layer.states);
    Vec to_D = load(dD + d), to_bias = load(d_bias + d);
    for (int t = 0; t < tokens; ++t) {
      const std::ptrdiff_t i = t * stride + d;
      const Vec d_raw = fma(s.d_dtu[t], s.u[t], s.d_delta_log2[t] * kLn2) * load(p.slope + i);
      to_D = fma(s.dy[t], s.u[t], to_D);
      to_bias += d_raw;
      store(p.d_z + t * m.pair_stride + d, load(p.y + i) * s.y[t] * gate_slope[t]);
      store(p.y + i, s.y[t] * gate[t]);
      store(p.delta + i, fma(s.d_dtu[t], s.delta[t], s.dy[t] * D));
      store(p.slope + i, d_raw);
    }
    store(dD + d, to_D);
    store(d_bias + d, to_bias);
  }
  for (int t = 0; t < tokens; ++t) {
    float* to = p.d_projected + t * layer.projected_stride + layer.dt_rank;
    store_sums(to, dB + t * layer.states, layer.states);
    store_sums(to + layer.states, dC + t * layer.states, layer.states);
  }
}

// dt_proj read the other way. Its few outputs would fill a part of a vector, so that it is no product of blocks.
inline void back_to_low_rank(const TrainedVimm& m, const float* d_raw, int tokens, float* d_projected) {
  const Vimm& layer = m.layer;
  for (int t = 0; t < tokens; ++t, d_raw += layer.inner_stride, d_projected += layer.projected_stride)
    for (int r = 0; r < layer.dt_rank; ++r) {
      Vec total{};
      for (int d = 0; d < layer.inner_channels; d += kLanes)
        total = fma(load(d_raw + d), load(m.dt_rows + r * layer.inner_stride + d), total);
      d_projected[r] = sum(total);
    }
}

// `Operand` is what the matrices read.
template <typename Operand>
void vimm_backward_as(const TrainedVimm& m, const float* x, const float* kept_floats, const float* grad_y,
                      float* grad_x, float* sums, std::ptrdiff_t length, float* work) {
  constexpr int kChunk = TrainedVimm::kChunk, kPart = TrainedVimm::kPart;
  const Vimm& layer = m.layer;
  const VimmSums at(m);
  const int channels = layer.norm.channels, inner = layer.inner_channels;
  const std::ptrdiff_t stride = layer.inner_stride;
  const int ahead = layer.conv_taps - 1;
  const bool taps4 = layer.conv_taps == 4;  // as in every published network
  const Kept<const float> kept(m, kept_floats, length);
  auto* scratch = reinterpret_cast<Vec*>(work);  // for vectors, so first
  float* in = work + kMaxLanes * 2 * layer.states * kPart;  // (chunk, layer.stride), as the next two
  float* centred = in + kChunk * layer.stride;
  float* normed = centred + kChunk * layer.stride;
  float* u = normed + kChunk * layer.stride;  // (chunk, inner_stride), as all but the last below
  float* conv_slope = u + kChunk * stride;
  float* delta = conv_slope + kChunk * stride;
  float* slope = delta + kChunk * stride;
  float* y = slope + kChunk * stride;
  float* d_sum = y + kChunk * stride;                          // (chunk + ahead, inner_stride)
  float* d_pairs = d_sum + (kChunk + ahead) * stride;          // (chunk, pair_stride)
  float* d_projected = d_pairs + kChunk * m.pair_stride;       // (chunk, projected_stride)
  float* G = d_projected + kChunk * layer.projected_stride;    // (states, inner_stride)
  float* dA = G + layer.states * stride;                       // (states, inner_stride)
  float* factors = dA + layer.states * stride;                 // (chunk)
  const Products<Operand> products(m, factors + kChunk);
  std::memset(in, 0, bytes(kChunk * layer.stride));
  std::memset(G, 0, bytes(2 * layer.states * stride));
  std::memset(sums, 0, bytes(at.count));
  std::memset(d_sum, 0, bytes(ahead * stride));

  for (std::ptrdiff_t start = (length - 1) / kChunk * kChunk; start >= 0; start -= kChunk) {
    const int tokens = static_cast<int>(length - start < kChunk ? length - start : kChunk);
    const float* pairs = kept.pairs + start * m.pair_stride;
    const float* projected = kept.projected + start * layer.projected_stride;
    const float* gradient = grad_y + start * channels;
    // What the chunk before, which comes after this one, left for it.
    std::memmove(d_sum + tokens * stride, d_sum, bytes(ahead * stride));

    copy_tokens(x + start * channels, channels, channels, tokens, in, layer.stride);
    normalize_kept(layer.norm, in, centred, factors, normed, layer.stride, tokens);
    (taps4 ? conv_with_slope<4> : conv_with_slope<0>)(layer, pairs, m.pair_stride, tokens, u, conv_slope);
    multiply(layer.dt_proj, projected, layer.projected_stride, tokens, nullptr, delta, stride);
    softplus_with_slope(layer, tokens, delta, slope);
    products.multiply(m.out_back, gradient, channels, channels, tokens, nullptr, y, stride);
    for (int first = (tokens - 1) / kPart * kPart; first >= 0; first -= kPart) {
      const PartBackward part = {u + first * stride,
                                 delta + first * stride,
                                 slope + first * stride,
                                 y + first * stride,
                                 projected + first * layer.projected_stride,
                                 pairs + first * m.pair_stride + inner,
                                 d_projected + first * layer.projected_stride,
                                 d_pairs + first * m.pair_stride + inner,
                                 kept.states + (start + first) / kPart * m.kept_state(),
                                 G,
                                 dA,
                                 start ? pairs + (first - kChunk) * m.pair_stride : nullptr};
      scan_part_backward(m, part, tokens - first < kPart ? tokens - first : kPart, sums + at.D, sums + at.dt_bias,
                         scratch);
    }
    const float *d_raw = slope, *d_scan = delta;
    products.outer(gradient, channels, channels, y, stride, inner, tokens, sums + at.out_proj, at.inner_columns);
    outer(projected, layer.projected_stride, layer.dt_rank, d_raw, stride, inner, tokens, sums + at.dt_proj,
          at.inner_columns);
    back_to_low_rank(m, d_raw, tokens, d_projected);
    products.outer(d_projected, layer.projected_stride, m.projected(), u, stride, inner, tokens, sums + at.x_proj,
          at.inner_columns);
    products.multiply(m.x_back, d_projected, layer.projected_stride, m.projected(), tokens, d_scan, y, stride);
    for (int t = 0; t < tokens; ++t)
      for (std::ptrdiff_t i = t * stride; i < t * stride + inner; i += kLanes)
        store(d_sum + i, load(y + i) * load(conv_slope + i));
    (taps4 ? conv_backward<4> : conv_backward<0>)(layer, pairs, m.pair_stride, tokens, d_sum, d_pairs,
                                                  sums + at.conv_weight, sums + at.conv_bias, at.inner_columns);
    products.outer(normed, layer.stride, channels, d_pairs, m.pair_stride, 2 * inner, tokens, sums + at.in_proj, at.in_columns);
    products.multiply(m.in_back, d_pairs, m.pair_stride, 2 * inner, tokens, nullptr, normed, layer.stride);
    normalize_backward(layer.norm, centred, factors, normed, layer.stride, tokens, sums + at.norm_weight,
                       sums + at.norm_bias);
    float* d_x = grad_x + start * channels;
    if (!layer.residual) copy_tokens(normed, layer.stride, channels, tokens, d_x, channels);
    for (int t = 0; layer.residual && t < tokens; ++t)
      over_dense(channels, [&](int c, int width) {
        const Vec around = load_partial(gradient + t * channels + c, width);
        store_partial(d_x + t * channels + c, load_partial(normed + t * layer.stride + c, width) + around, width);
      });
  }
  for (int n = 0; n < layer.states; ++n)
    std::memcpy(sums + at.A + n * at.inner_columns, dA + n * stride, bytes(inner));
}

inline void vimm_training_backward(const TrainedVimm& m, const float* x, const float* kept, const float* grad_y,
                                   float* grad_x, float* sums, std::ptrdiff_t length, float* work) {
  const auto run =
      m.layer.in_proj.operands == Precision::kFloat32 ? vimm_backward_as<float> : vimm_backward_as<Bfloat16>;
  run(m, x, kept, grad_y, grad_x, sums, length, work);
}

}  // namespace dvmsr::DVMSR_ISA
