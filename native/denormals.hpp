// Floating-point flags.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

// Always inlined, so that the code of one instruction set is never linked in the place of another's.
#define DVMSR_ALWAYS_INLINE inline __attribute__((always_inline))

namespace dvmsr {

// While it lives, results and operands too small for a normal float count as 0 in this thread.
// exp(delta * A) and the state underflow all the time, and a denormal costs a hundred cycles.
class FlushDenormals {
 public:
  DVMSR_ALWAYS_INLINE FlushDenormals() {
#if defined(__x86_64__)
    saved_ = _mm_getcsr();
    _mm_setcsr(static_cast<unsigned>(saved_) | 0x8040u);  // FTZ | DAZ
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
    __asm__ volatile("msr fpcr, %0" ::"r"(saved_ | (1ull << 24)));
#endif
  }
  DVMSR_ALWAYS_INLINE ~FlushDenormals() {
#if defined(__x86_64__)
    _mm_setcsr(static_cast<unsigned>(saved_));
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" ::"r"(saved_));
#endif
  }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  std::uint64_t saved_ = 0;
};

}  // namespace dvmsr
