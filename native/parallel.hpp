// Independent work over threads: those that are kept (kept_threads.hpp), or else some that live for one call, so
// that nothing spins or waits between calls and nothing breaks in a forked process.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <system_error>
#include <thread>
#include <vector>

#include "kept_threads.hpp"

namespace dvmsr {

// Runs `work(index)` in at most `count` threads, this one being index 0, and waits for all. Where the system
// gives fewer threads than asked for, those that are there do the work; `work` must not throw.
template <typename Work>
void run_in_threads(int count, const Work& work) {
  if (count > 1 && run_in_kept_threads(count, std::cref(work))) return;
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(count > 0 ? count : 0));
  try {
    for (int i = 1; i < count; ++i) others.emplace_back(work, i);
  } catch (const std::system_error&) {
  }
  work(0);
  for (std::thread& other : others) other.join();
}

// Calls work(i, thread) for every i in [0, count), on at most `threads` threads, numbered from 0.
template <typename Work>
void parallel_for_in(std::ptrdiff_t count, int threads, const Work& work) {
  std::atomic<std::ptrdiff_t> next{0};
  run_in_threads(count < threads ? static_cast<int>(count) : threads, [&](int thread) {
    for (std::ptrdiff_t i = next++; i < count; i = next++) work(i, thread);
  });
}

// Calls work(i) for every i in [0, count), on at most `threads` threads.
template <typename Work>
void parallel_for(std::ptrdiff_t count, int threads, const Work& work) {
  parallel_for_in(count, threads, [&](std::ptrdiff_t i, int) { work(i); });
}

}  // namespace dvmsr
