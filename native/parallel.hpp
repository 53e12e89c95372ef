// Independent work over threads that live for one call: nothing spins or waits between calls,
// nothing breaks in a forked process.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace dvmsr {

// Calls work(i) for every i in [0, count), on at most `threads` threads, this one included.
template <typename Work>
void parallel_for(std::ptrdiff_t count, int threads, const Work& work) {
  std::atomic<std::ptrdiff_t> next{0};
  const auto run = [&] {
    for (std::ptrdiff_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads && i < count; ++i) others.emplace_back(run);
  run();
  for (std::thread& other : others) other.join();
}

}  // namespace dvmsr
