// Features to the caller's integers.
#pragma once

#include "simd.hpp"

namespace dvmsr::DVMSR_ISA {

DVMSR_ALWAYS_INLINE void store(std::uint8_t* p, IntVec v) {
  using Narrow = std::uint8_t __attribute__((vector_size(kLanes * sizeof(std::uint8_t))));
  const Narrow narrow = __builtin_convertvector(v, Narrow);
  std::memcpy(p, &narrow, sizeof narrow);
}

DVMSR_ALWAYS_INLINE void store(std::uint16_t* p, IntVec v) {
  using Narrow = std::uint16_t __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));
  const Narrow narrow = __builtin_convertvector(v, Narrow);
  std::memcpy(p, &narrow, sizeof narrow);
}

// Numbers of [0, 1], rounded and clipped to the full range of T; no number becomes 0. `count` is a
// multiple of kLanes.
template <typename T>
void round_to(const float* in, std::ptrdiff_t count, void* out) {
  using Signed = std::int32_t __attribute__((vector_size(kLanes * sizeof(std::int32_t))));
  const Vec full = broadcast(static_cast<T>(~T{0}));
  for (std::ptrdiff_t i = 0; i < count; i += kLanes) {
    const Vec value = min(max(load(in + i) * full, Vec{}), full) + 0.5f;
    store(static_cast<T*>(out) + i, (IntVec)__builtin_convertvector(value, Signed));
  }
}

}  // namespace dvmsr::DVMSR_ISA
