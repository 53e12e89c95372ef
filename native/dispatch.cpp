// Chooses the instruction set at run time.
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels.hpp"

namespace dvmsr {

#if defined(__x86_64__)
namespace avx512_bf16 {
extern const Kernels table;
}
namespace avx512 {
extern const Kernels table;
}
namespace avx2 {
extern const Kernels table;
}
#endif
namespace baseline {
extern const Kernels table;
}

namespace {

struct Choice {
  const Kernels* kernels;
  bool available;
};

const Kernels& choose() {
#if defined(__x86_64__)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
  // Best first.
  const Choice choices[] = {
#if defined(__x86_64__)
      {&avx512_bf16::table, avx512 && __builtin_cpu_supports("avx512bf16")},
      {&avx512::table, avx512},
      {&avx2::table, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
      {&baseline::table, true},
  };
  const char* forced = std::getenv("DVMSR_INSTRUCTION_SET");
  std::string available;
  for (const Choice& choice : choices) {
    if (!choice.available) continue;
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
