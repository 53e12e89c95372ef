// Chooses the instruction set at run time.
#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels.hpp"

namespace dvmsr {

#if defined(__x86_64__)
#if defined(DVMSR_HAS_AMX)
namespace amx {
extern const Kernels table;
}
#endif
#if defined(DVMSR_HAS_AVX512_BF16)
namespace avx512_bf16 {
extern const Kernels table;
}
#endif
#if defined(DVMSR_HAS_AVX512)
namespace avx512 {
extern const Kernels table;
}
#endif
#if defined(DVMSR_HAS_AVX2)
namespace avx2 {
extern const Kernels table;
}
#endif
#endif
namespace baseline {
extern const Kernels table;
}

namespace {

struct Choice {
  const Kernels* kernels;
  bool (*available)();
};

#if defined(__x86_64__)
[[maybe_unused]] bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

[[maybe_unused]] bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

#if defined(DVMSR_HAS_AVX512_BF16)
bool has_avx512_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#endif

#if defined(DVMSR_HAS_AMX)
// The system saves the tiles, 8 KiB for every thread, only for a process that has asked for them.
bool has_amx() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  unsigned eax, ebx, ecx, edx;
  return has_avx512_bf16() && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && edx & kAmxBf16 && edx & kAmxTile &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif
#endif

const Kernels& choose() {
  // Best first.
  const Choice choices[] = {
#if defined(__x86_64__)
#if defined(DVMSR_HAS_AMX)
      {&amx::table, has_amx},
#endif
#if defined(DVMSR_HAS_AVX512_BF16)
      {&avx512_bf16::table, has_avx512_bf16},
#endif
#if defined(DVMSR_HAS_AVX512)
      {&avx512::table, has_avx512},
#endif
#if defined(DVMSR_HAS_AVX2)
      {&avx2::table, has_avx2},
#endif
#endif
      {&baseline::table, [] { return true; }},
  };
  const char* forced = std::getenv("DVMSR_INSTRUCTION_SET");
  std::string available;
  for (const Choice& choice : choices) {
    if (!choice.available()) continue;
    if (!forced || !*forced || std::string(forced) == choice.kernels->name) return *choice.kernels;
    available += (available.empty() ? "" : ", ") + std::string(choice.kernels->name);
  }
  throw std::runtime_error("DVMSR_INSTRUCTION_SET is '" + std::string(forced) +
                           "', and this processor and build have: " + available);
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace dvmsr
