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

#if defined(__AVX512BF16__)
inline constexpr bool kMultipliesBfloat16 = true;
#else
inline constexpr bool kMultipliesBfloat16 = false;
#endif

using Vec = float __attribute__((vector_size(kLanes * sizeof(float))));
using IntVec = std::uint32_t __attribute__((vector_size(kLanes * sizeof(float))));

DVMSR_ALWAYS_INLINE Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

DVMSR_ALWAYS_INLINE IntVec load_words(const void* p) {
  IntVec v;
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

// The same of two vectors, a pair in each lane: the first in the lower half.
DVMSR_ALWAYS_INLINE IntVec pair(Vec first, Vec second) {
#if defined(__AVX512BF16__)
  const auto widened = [](Vec v) { return (IntVec)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(v)); };
  return widened(first) | widened(second) << 16;
#else
  const auto rounded = [](IntVec bits) { return bits + (0x7fff + ((bits >> 16) & 1)); };
  return rounded((IntVec)first) >> 16 | (rounded((IntVec)second) & 0xffff0000u);
#endif
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

// GCC makes two or more instructions each of the forms that the vector extension has, and the scan spends its
// time in exp2.
#if defined(__AVX512F__)
DVMSR_ALWAYS_INLINE Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
DVMSR_ALWAYS_INLINE Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
#elif defined(__AVX2__)
DVMSR_ALWAYS_INLINE Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
DVMSR_ALWAYS_INLINE Vec min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
#elif defined(__x86_64__)
DVMSR_ALWAYS_INLINE Vec max(Vec a, Vec b) { return _mm_max_ps(a, b); }
DVMSR_ALWAYS_INLINE Vec min(Vec a, Vec b) { return _mm_min_ps(a, b); }
#elif defined(__aarch64__)
DVMSR_ALWAYS_INLINE Vec max(Vec a, Vec b) { return vmaxq_f32(a, b); }
DVMSR_ALWAYS_INLINE Vec min(Vec a, Vec b) { return vminq_f32(a, b); }
#else
DVMSR_ALWAYS_INLINE Vec max(Vec a, Vec b) { return a > b ? a : b; }
DVMSR_ALWAYS_INLINE Vec min(Vec a, Vec b) { return a < b ? a : b; }
#endif
DVMSR_ALWAYS_INLINE Vec abs(Vec a) { return (Vec)((IntVec)a & 0x7fffffffu); }

DVMSR_ALWAYS_INLINE float sum(Vec v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(v);
#elif defined(__AVX2__)
  const __m128 quarters = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 halves = _mm_add_ps(quarters, _mm_movehl_ps(quarters, quarters));
  return _mm_cvtss_f32(_mm_add_ss(halves, _mm_movehdup_ps(halves)));
#else
  float lanes[kLanes];
  store(lanes, v);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
#endif
}

// The sums of kLanes vectors, one in each lane, by adding halves of two vectors at a time.
DVMSR_ALWAYS_INLINE Vec sums(const Vec* v) {
#if defined(__AVX512F__)
  Vec pairs[8], fours[4];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i)
    pairs[i] = _mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]) + _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    fours[i] = (Vec)_mm512_unpacklo_pd((__m512d)pairs[2 * i], (__m512d)pairs[2 * i + 1]) +
               (Vec)_mm512_unpackhi_pd((__m512d)pairs[2 * i], (__m512d)pairs[2 * i + 1]);
  const auto quarters = [](Vec a, Vec b) {
    return (Vec)_mm512_shuffle_f32x4(a, b, 0x88) + (Vec)_mm512_shuffle_f32x4(a, b, 0xdd);
  };
  return quarters(quarters(fours[0], fours[1]), quarters(fours[2], fours[3]));
#elif defined(__AVX2__)
  Vec pairs[4], fours[2];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    pairs[i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]) + _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i)
    fours[i] = (Vec)_mm256_unpacklo_pd((__m256d)pairs[2 * i], (__m256d)pairs[2 * i + 1]) +
               (Vec)_mm256_unpackhi_pd((__m256d)pairs[2 * i], (__m256d)pairs[2 * i + 1]);
  return (Vec)_mm256_permute2f128_ps(fours[0], fours[1], 0x20) + (Vec)_mm256_permute2f128_ps(fours[0], fours[1], 0x31);
#else
  Vec all{};
  for (int i = 0; i < kLanes; ++i) all[i] = sum(v[i]);
  return all;
#endif
}

// The sums of `count` vectors.
inline void store_sums(float* p, const Vec* v, std::ptrdiff_t count) {
  std::ptrdiff_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(p + i, sums(v + i));
  for (; i < count; ++i) p[i] = sum(v[i]);
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

#if defined(__AVX512F__)
// 2^(i / 32).
alignas(64) inline constexpr float kRoots[32] = {
    1.0f, 1.02189715f, 1.04427378f, 1.0671404f, 1.09050773f, 1.11438674f, 1.13878863f, 1.16372486f,
    1.18920712f, 1.21524736f, 1.24185781f, 1.26905096f, 1.29683955f, 1.32523664f, 1.35425555f, 1.38390988f,
    1.41421356f, 1.44518081f, 1.47682615f, 1.50916443f, 1.54221083f, 1.57598085f, 1.61049033f, 1.64575548f,
    1.68179283f, 1.7186193f, 1.75625216f, 1.79470908f, 1.83400809f, 1.87416763f, 1.91520656f, 1.95714412f};

// 2^x with a relative error of 1.2e-7, and of 1e-5 in what it differs from 1 by near 0: slow states
// live from that difference. x is split into its nearest multiple of 1/32, for which there are a
// table and a scale instruction, and a rest in [-1/64, 1/64], for which a polynomial of degree 2
// (minimax in the second error, our own fit) is enough. The scan is limited by its multiplications,
// and this has two less than a polynomial of degree 5 alone.
DVMSR_ALWAYS_INLINE Vec exp2(Vec x) {
  // Adding 1.5 * 2^18 leaves the multiple of 1/32 in the low bits of the sum.
  const Vec shifted = x + broadcast(393216.0f);
  const Vec whole = shifted - broadcast(393216.0f);
  const Vec rest = x - whole;
  // The lowest five bits of an index choose; the scale rounds its exponent down.
  const Vec root = _mm512_permutex2var_ps(load(kRoots), (__m512i)shifted, load(kRoots + kLanes));
  const Vec p = fma(broadcast(2.40226507e-01f), rest, broadcast(6.93153956e-01f)) * rest;
  return _mm512_scalef_ps(fma(root, p, root), whole);
}
#else
// 2^x with a relative error of 1e-7: x is split into its nearest whole number and a rest in
// [-1/2, 1/2], for which a polynomial of degree 5 (minimax, our own fit) is evaluated.
// Results under 2^-126 come out as a number under 2^-125.
inline constexpr float kExp2[] = {1.327647152e-03f, 9.675541331e-03f, 5.550713275e-02f,
                                  2.402211972e-01f, 6.931469671e-01f, 1.0f};
DVMSR_ALWAYS_INLINE Vec exp2(Vec x) {
  x = min(max(x, broadcast(-126.0f)), broadcast(127.0f));
  // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits of the sum.
  const Vec shifted = x + broadcast(12582912.0f);
  const Vec rest = x - (shifted - broadcast(12582912.0f));
  Vec p = broadcast(kExp2[0]);
#pragma GCC unroll 5
  for (int degree = 1; degree < 6; ++degree) p = fma(p, rest, broadcast(kExp2[degree]));
  return (Vec)((IntVec)p + ((IntVec)shifted << 23));
}
#endif

// exp2 of `Count` vectors that are not positive, in place. Step by step for all of them, so that one does not
// wait for the other's last step.
template <int Count>
DVMSR_ALWAYS_INLINE void exp2_of_negative(Vec (&x)[Count]) {
#if defined(__AVX512F__)
#pragma GCC unroll 16
  for (int i = 0; i < Count; ++i) x[i] = exp2(x[i]);
#else
  const auto each = [](const auto& step) {
#pragma GCC unroll 16
    for (int i = 0; i < Count; ++i) step(i);
  };
  Vec shifted[Count], p[Count];
  each([&](int i) { x[i] = max(x[i], broadcast(-126.0f)); });
  each([&](int i) { shifted[i] = x[i] + broadcast(12582912.0f); });
  each([&](int i) { x[i] = x[i] - (shifted[i] - broadcast(12582912.0f)); });
  each([&](int i) { p[i] = fma(broadcast(kExp2[0]), x[i], broadcast(kExp2[1])); });
#pragma GCC unroll 4
  for (int degree = 2; degree < 6; ++degree)
    each([&](int i) { p[i] = fma(p[i], x[i], broadcast(kExp2[degree])); });
  each([&](int i) { x[i] = (Vec)((IntVec)p[i] + ((IntVec)shifted[i] << 23)); });
#endif
}

inline constexpr float kLog2E = 1.44269504088896341f;

DVMSR_ALWAYS_INLINE Vec exp(Vec x) { return exp2(x * kLog2E); }

DVMSR_ALWAYS_INLINE Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

DVMSR_ALWAYS_INLINE Vec silu(Vec x) { return x / (1.0f + exp(-x)); }

// log(1 + exp(x)) = max(x, 0) + log1p(w) with w = exp(-|x|), and log1p(w) = 2 artanh(w / (2 + w)),
// which keeps the relative precision of small results (delta is often near 1e-4).
DVMSR_ALWAYS_INLINE Vec softplus(Vec x, Vec w) {
  const Vec s = w / (2.0f + w);
  const Vec q = s * s;
  Vec p = broadcast(1.408916723e-01f);
  p = fma(p, q, broadcast(1.398030143e-01f));
  p = fma(p, q, broadcast(2.001245514e-01f));
  p = fma(p, q, broadcast(3.333315734e-01f));
  p = fma(p, q, broadcast(1.0f));
  return fma(s + s, p, max(x, Vec{}));
}

DVMSR_ALWAYS_INLINE Vec softplus(Vec x) { return softplus(x, exp(-abs(x))); }

}  // namespace dvmsr::DVMSR_ISA
