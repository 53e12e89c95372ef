// Memory for vectors.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace dvmsr {

constexpr std::ptrdiff_t round_up(std::ptrdiff_t value, std::ptrdiff_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

using Memory = std::unique_ptr<float[], void (*)(void*)>;

// `count` floats that nothing has written yet, on a boundary that fits every vector.
inline Memory aligned_floats(std::ptrdiff_t count) {
  constexpr std::size_t kAlignment = 64;
  const auto bytes = static_cast<std::size_t>(
      round_up(count * static_cast<std::ptrdiff_t>(sizeof(float)), static_cast<std::ptrdiff_t>(kAlignment)));
  Memory memory(static_cast<float*>(std::aligned_alloc(kAlignment, bytes)), std::free);
  if (!memory) throw std::bad_alloc();
  return memory;
}

// `count` floats of 0, on such a boundary.
inline Memory aligned_zeros(std::ptrdiff_t count) {
  Memory memory = aligned_floats(count);
  std::memset(memory.get(), 0, static_cast<std::size_t>(count) * sizeof(float));
  return memory;
}

// Has freed memory at the end of the heap stay with the process up to a gigabyte, or gives it back. Blocks as large
// as glibc takes from the system one by one at most always go back. glibc's limits, which it adjusts by itself
// otherwise, stay at their highest from the first call on. Elsewhere than in glibc nothing changes.
inline void keep_freed_memory([[maybe_unused]] bool keep) {
#if defined(__GLIBC__)
  constexpr int kMiB = 1 << 20, kLargeBlock = 32 * kMiB;
  mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  mallopt(M_TRIM_THRESHOLD, keep ? 1024 * kMiB : 2 * kLargeBlock);
  if (!keep) malloc_trim(0);
#endif
}

}  // namespace dvmsr
