#pragma once

#include <cstddef>
#include <new>

#include "simd.hpp"

namespace dvmsr::DVMSR_ISA {

// Scratch memory for Vec, aligned. (Not std::vector: its code would be shared between the sets.)
class Scratch {
 public:
  explicit Scratch(std::ptrdiff_t count)
      : data_(static_cast<Vec*>(::operator new(sizeof(Vec) * static_cast<std::size_t>(count),
                                               std::align_val_t(alignof(Vec))))) {}
  ~Scratch() { ::operator delete(data_, std::align_val_t(alignof(Vec))); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Vec* get() const { return data_; }

 private:
  Vec* data_;
};

}  // namespace dvmsr::DVMSR_ISA
