// Products of bfloat16 on AMX tiles: 16 tokens by 16 outputs at a time.
//
// A matrix packed for vectors already is what the tiles want: a row of 16 lanes of pairs is a row of
// a tile. The even and the odd members of the pairs are summed apart within a tile, so the last bits
// differ from those of the vector kernels. Which tokens go through tiles depends on their place in
// the row alone.
#pragma once

#include "kernels.hpp"
#include "simd.hpp"

#if defined(__AMX_BF16__)

namespace dvmsr::DVMSR_ISA {

inline constexpr int kTileTokens = 16;
inline constexpr int kTileSteps = 16;

// Own assembly instead of the compiler's intrinsics: GCC 12 does not tell that they read memory.
DVMSR_ALWAYS_INLINE void configure_tiles(const void* config) {
  __asm__ volatile("ldtilecfg %0" : : "m"(*static_cast<const char(*)[64]>(config)) : "memory");
}
DVMSR_ALWAYS_INLINE void release_tiles() { __asm__ volatile("tilerelease" : : : "memory"); }
template <int Tile>
DVMSR_ALWAYS_INLINE void zero_tile() {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(Tile));
}
template <int Tile>
DVMSR_ALWAYS_INLINE void load_tile(const void* p, std::ptrdiff_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(Tile) : "memory");
}
template <int Tile>
DVMSR_ALWAYS_INLINE void store_tile(void* p, std::ptrdiff_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(Tile) : "memory");
}
template <int Sum, int Tokens, int Weights>
DVMSR_ALWAYS_INLINE void multiply_tiles() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(Tokens), "i"(Weights));
}

// Steps that one tile takes of a token, or 0 where they do not divide evenly.
inline int steps_of_tile(const Matrix& m) {
  const int tiles = (m.steps + kTileSteps - 1) / kTileSteps;
  return m.steps % tiles ? 0 : m.steps / tiles;
}

// Whether `tiled` may be called.
inline bool fits_tiles(const Matrix& m, int tokens) { return tokens >= kTileTokens && steps_of_tile(m); }

// Sums of 2 * kTileTokens tokens, from `first` and from `second`, by `Vectors` vectors of outputs.
template <int Vectors>
DVMSR_ALWAYS_INLINE void sum_tiles(const Matrix& m, const std::byte* weights, const void* const* in,
                                   std::ptrdiff_t in_stride, std::ptrdiff_t first, std::ptrdiff_t second, int steps,
                                   float* sums) {
  const auto row_bytes = static_cast<std::ptrdiff_t>(sizeof(Vec)) * m.panel_vectors;
  const auto token_bytes = in_stride * static_cast<std::ptrdiff_t>(sizeof(Bfloat16));
  zero_tile<0>();
  zero_tile<1>();
  zero_tile<2>();
  zero_tile<3>();
  for (int segment = 0; segment < m.segments; ++segment)
    for (int tap = 0; tap < m.taps; ++tap) {
      const auto* x = static_cast<const std::byte*>(in[segment]) + tap * token_bytes;
      for (int step = 0; step < m.steps; step += steps, x += steps * 2 * sizeof(Bfloat16)) {
        load_tile<4>(x + first * token_bytes, token_bytes);
        load_tile<5>(x + second * token_bytes, token_bytes);
        load_tile<6>(weights, row_bytes);
        multiply_tiles<0, 4, 6>();
        multiply_tiles<1, 5, 6>();
        if constexpr (Vectors == 2) {
          load_tile<7>(weights + sizeof(Vec), row_bytes);
          multiply_tiles<2, 4, 7>();
          multiply_tiles<3, 5, 7>();
        }
        weights += steps * row_bytes;
      }
    }
  constexpr auto kPitch = static_cast<std::ptrdiff_t>(2 * sizeof(Vec));
  store_tile<0>(sums, kPitch);
  store_tile<1>(sums + kTileTokens * 2 * kLanes, kPitch);
  if constexpr (Vectors == 2) {
    store_tile<2>(sums + kLanes, kPitch);
    store_tile<3>(sums + kTileTokens * 2 * kLanes + kLanes, kPitch);
  }
}

// What `matmul` does, for bfloat16 operands.
template <typename Out>
void matmul_tiles(const Matrix& m, const void* const* in, std::ptrdiff_t in_stride, int tokens,
                  const float* residual, Out* out, std::ptrdiff_t out_stride) {
  const int steps = steps_of_tile(m);
  // Palette 1; bytes of a row as 16 bits from byte 16, rows from byte 48. Sums, tokens, weights.
  alignas(64) std::uint8_t config[64] = {1};
  for (int tile = 0; tile < 8; ++tile) {
    const bool is_tokens = tile == 4 || tile == 5, is_weights = tile > 5;
    config[16 + 2 * tile] = static_cast<std::uint8_t>(is_tokens ? 4 * steps : 64);
    config[48 + tile] = static_cast<std::uint8_t>(is_weights ? steps : kTileTokens);
  }
  configure_tiles(config);

  alignas(64) float sums[2 * kTileTokens][2 * kLanes];
  const auto panel_bytes =
      static_cast<std::ptrdiff_t>(sizeof(Vec)) * m.panel_vectors * m.segments * m.taps * m.steps;
  for (int panel = 0; panel < m.panels; ++panel)
    for (int v = 0; v < m.panel_vectors; v += 2) {
      const int vectors = m.panel_vectors - v > 1 ? 2 : 1;
      const std::byte* weights = static_cast<const std::byte*>(m.weights) + panel * panel_bytes + v * sizeof(Vec);
      const std::ptrdiff_t column = (panel * m.panel_vectors + v) * kLanes;
      for (int token = 0; token < tokens; token += 2 * kTileTokens) {
        // The last tiles lie over those before them, so that no token is left for another kernel.
        const int last = tokens - kTileTokens;
        const int begin[2] = {token < last ? token : last, token + kTileTokens < last ? token + kTileTokens : last};
        (vectors == 2 ? sum_tiles<2> : sum_tiles<1>)(m, weights, in, in_stride, begin[0], begin[1], steps, sums[0]);
        for (int i = 0; i < 2 * kTileTokens; ++i)
          for (int n = 0; n < vectors; ++n) {
            const std::ptrdiff_t place = (begin[i / kTileTokens] + i % kTileTokens) * out_stride + column + n * kLanes;
            Vec sum = load(sums[i] + n * kLanes);
            if (m.bias) sum += load(m.bias + column + n * kLanes);
            if (residual) sum += load(residual + place);
            store(out + place, sum);
          }
      }
    }
  release_tiles();
}

}  // namespace dvmsr::DVMSR_ISA

#endif
