#include "profile.hpp"

#include <algorithm>
#include <cstring>

#include "memory.hpp"

namespace dvmsr {

namespace {

// The most of `work()`, which returns an amount, in a second.
template <typename Work>
double best_rate(const Work& work) {
  double best = 0;
  for (int round = 0; round < 20; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    const double amount = work();
    best = std::max(best, amount / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

}  // namespace

void lap(Laps* laps, Operation operation) {
  if (laps) laps->lap(operation);
}

Peak measure_peak(Precision precision) {
  constexpr std::ptrdiff_t kSteps = 20000;
  constexpr std::size_t kFloats = 1 << 15;  // 128 KiB, and as much again
  const Memory from = aligned_zeros(kFloats), to = aligned_zeros(kFloats);
  Peak peak;
  peak.flops = best_rate([&] { return kernels().multiply_adds(precision, kSteps, from.get()); });
  peak.bytes = best_rate([&] {
    constexpr int kCopies = 50;
    for (int i = 0; i < kCopies; ++i) {
      // Each copy takes what the one before left, so that none can be left out.
      const bool back = i % 2;
      std::memcpy(back ? from.get() : to.get(), back ? to.get() : from.get(), kFloats * sizeof(float));
    }
    return kCopies * 2.0 * kFloats * sizeof(float);
  });
  return peak;
}

}  // namespace dvmsr
