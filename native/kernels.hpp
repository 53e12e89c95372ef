// The arithmetic as plain functions over plain memory, once for each instruction set.
#pragma once

#include <cstddef>

namespace dvmsr {

// Tokens between two states that the forward scan keeps for the backward scan.
inline constexpr int kScanChunk = 32;

// A batch of sequences, all arrays dense in the order given; A is negative, delta before softplus.
struct ScanInputs {
  std::ptrdiff_t batch, length, channels, states;
  const float* u;           // (batch, length, channels)
  const float* delta;       // (batch, length, channels)
  const float* A;           // (channels, states)
  const float* B;           // (batch, length, states)
  const float* C;           // (batch, length, states)
  const float* D;           // (channels)
  const float* z;           // (batch, length, channels)
  const float* delta_bias;  // (channels)
};

struct ScanOutputs {
  float* y;            // (batch, length, channels)
  float* last_state;   // (batch, channels, states)
  float* checkpoints;  // (batch, chunks, states, channels): the state before each chunk; or null
};

struct ScanGradients {
  const float* y;           // (batch, length, channels): given
  const float* last_state;  // (batch, channels, states): given
  float* u;
  float* delta;
  float* A;  // (batch, channels, states): one part for each sequence, to be added up
  float* B;
  float* C;
  float* D;  // (batch, channels)
  float* z;
  float* delta_bias;  // (batch, channels)
};

struct Kernels {
  const char* name;
  int lanes;  // floats in a vector

  // One sequence and one group of `lanes` channels of the scan.
  void (*scan_forward)(const ScanInputs&, const ScanOutputs&, std::ptrdiff_t sequence,
                       std::ptrdiff_t group);
  // One sequence of the scan; `checkpoints` as the forward scan left them.
  void (*scan_backward)(const ScanInputs&, const float* checkpoints, const ScanGradients&,
                        std::ptrdiff_t sequence);
};

// The best set that this processor runs, or the one that the environment variable
// DVMSR_INSTRUCTION_SET names. Throws std::runtime_error where that one is unknown or cannot run.
const Kernels& kernels();

}  // namespace dvmsr
