// Where the time goes, and what the machine could do.
#pragma once

#include <array>
#include <chrono>

#include "kernels.hpp"

namespace dvmsr {

// Seconds of one thread's work by operation.
class Laps {
 public:
  // Time that passes before the next lap counts from here.
  void start() { last_ = Clock::now(); }
  void lap(Operation operation) {
    const Clock::time_point now = Clock::now();
    seconds_[static_cast<std::size_t>(operation)] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }
  const std::array<double, kOperations>& seconds() const { return seconds_; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_;
  std::array<double, kOperations> seconds_{};
};

// What one core of this machine reaches, measured for some milliseconds.
struct Peak {
  double flops;  // multiplications and additions a second, operands of the precision
  double bytes;  // read or written a second, between rows that lie in the second cache
};

Peak measure_peak(Precision precision);

}  // namespace dvmsr
