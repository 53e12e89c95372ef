// Vectors of float of the width that this translation unit is compiled for.
//
// The files that hold arithmetic (everything included by kernels.cpp) are compiled once for each
// instruction set, inside a namespace of that set's name (DVMSR_ISA), so that no symbol of one set
// can be linked in the place of another's. Arithmetic on Vec is GCC's and Clang's vector extension,
// which every processor has; only what the extension cannot say is written with intrinsics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "denormals.hpp"
#include "kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace dvmsr::DVMSR_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

using Vec = float __attribute__((vector_size(kLanes * sizeof(float))));
using IntVec = std::uint32_t __attribute__((vector_size(kLanes * sizeof(float))));

DVMSR_ALWAYS_INLINE Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

DVMSR_ALWAYS_INLINE void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }

DVMSR_ALWAYS_INLINE Vec broadcast(float x) { return x - Vec{}; }

// Rounded to nearest even, to kLanes numbers.
DVMSR_ALWAYS_INLINE void store(Bfloat16* p, Vec v) {
#if defined(__AVX512BF16__)
  const __m256bh half = _mm512_cvtneps_pbh(v);
#else
  using Half = std::uint16_t __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));
  IntVec bits = (IntVec)v;
  bits += 0x7fff + ((bits >> 16) & 1);
  const Half half = __builtin_convertvector(bits >> 16, Half);
#endif
  std::memcpy(p, &half, sizeof half);
}

// Two neighbouring numbers, in every lane.
DVMSR_ALWAYS_INLINE IntVec broadcast_pair(const Bfloat16* p) {
  std::uint32_t pair;
  std::memcpy(&pair, p, sizeof pair);
  return pair - IntVec{};
}

// a * b + c, rounded once where the processor can. The build turns off the compiler's own
// contraction: every fused operation stands in the source, so that two instantiations of one
// kernel (a full block and its tail) give the same bits.
DVMSR_ALWAYS_INLINE Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}

// a.first * b.first + a.second * b.second + c in every lane, where a and b hold pairs of bfloat16.
DVMSR_ALWAYS_INLINE Vec dot_pair(IntVec a, IntVec b, Vec c) {
#if defined(__AVX512BF16__)
  return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
#else
  constexpr std::uint32_t kUpper = 0xffff0000u;
  return fma((Vec)(a << 16), (Vec)(b << 16), fma((Vec)(a & kUpper), (Vec)(b & kUpper), c));
#endif
}

DVMSR_ALWAYS_INLINE Vec max(Vec a, Vec b) { return a > b ? a : b; }
DVMSR_ALWAYS_INLINE Vec min(Vec a, Vec b) { return a < b ? a : b; }
DVMSR_ALWAYS_INLINE Vec abs(Vec a) { return a < Vec{} ? -a : a; }

DVMSR_ALWAYS_INLINE float sum(Vec v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(v);
#else
  float lanes[kLanes];
  store(lanes, v);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
#endif
}

// The first `count` (1 to kLanes) floats at p, the other lanes 0.
DVMSR_ALWAYS_INLINE Vec load_partial(const float* p, int count) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
#else
  if (count == kLanes) return load(p);
  Vec v{};
  std::memcpy(&v, p, static_cast<std::size_t>(count) * sizeof(float));
  return v;
#endif
}

DVMSR_ALWAYS_INLINE void store_partial(float* p, Vec v, int count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), v);
#else
  if (count == kLanes) return store(p, v);
  std::memcpy(p, &v, static_cast<std::size_t>(count) * sizeof(float));
#endif
}

// 2^x with a relative error of 1e-7: x is split into its nearest whole number and a rest in
// [-1/2, 1/2], for which a polynomial of degree 5 (minimax, our own fit) is evaluated.
// Results under 2^-126 come out as 0 or as a number under 2^-125.
DVMSR_ALWAYS_INLINE Vec exp2(Vec x) {
#if defined(__AVX512F__)
  const Vec whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  x = min(max(x, broadcast(-126.0f)), broadcast(127.0f));
  // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits of the sum.
  const Vec shifted = x + broadcast(12582912.0f);
  const Vec whole = shifted - broadcast(12582912.0f);
#endif
  const Vec rest = x - whole;
  Vec p = broadcast(1.327647152e-03f);
  p = fma(p, rest, broadcast(9.675541331e-03f));
  p = fma(p, rest, broadcast(5.550713275e-02f));
  p = fma(p, rest, broadcast(2.402211972e-01f));
  p = fma(p, rest, broadcast(6.931469671e-01f));
  p = fma(p, rest, broadcast(1.0f));
#if defined(__AVX512F__)
  return _mm512_scalef_ps(p, whole);
#else
  IntVec bits, exponent;
  std::memcpy(&bits, &p, sizeof bits);
  std::memcpy(&exponent, &shifted, sizeof exponent);
  bits += exponent << 23;
  std::memcpy(&p, &bits, sizeof p);
  return p;
#endif
}

inline constexpr float kLog2E = 1.44269504088896341f;

DVMSR_ALWAYS_INLINE Vec exp(Vec x) { return exp2(x * kLog2E); }

DVMSR_ALWAYS_INLINE Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

DVMSR_ALWAYS_INLINE Vec silu(Vec x) { return x / (1.0f + exp(-x)); }

// log(1 + exp(x)) = max(x, 0) + log1p(w) with w = exp(-|x|), and log1p(w) = 2 artanh(w / (2 + w)),
// which keeps the relative precision of small results (delta is often near 1e-4).
DVMSR_ALWAYS_INLINE Vec softplus(Vec x) {
  const Vec w = exp(-abs(x));
  const Vec s = w / (2.0f + w);
  const Vec q = s * s;
  Vec p = broadcast(1.408916723e-01f);
  p = fma(p, q, broadcast(1.398030143e-01f));
  p = fma(p, q, broadcast(2.001245514e-01f));
  p = fma(p, q, broadcast(3.333315734e-01f));
  p = fma(p, q, broadcast(1.0f));
  return fma(s + s, p, max(x, Vec{}));
}

}  // namespace dvmsr::DVMSR_ISA
