// The parts of the network that training computes natively: each packs its parameters, spreads the batch
// over threads, and adds up the gradients of the parameters in an order that does not depend on the threads.
// All arrays are dense float32, in the order that their comment gives.
#pragma once

#include <cstddef>

namespace dvmsr {

struct VimmShape {
  std::ptrdiff_t batch, length;
  int channels, inner, states, taps, dt_rank;
  bool residual;
  bool bfloat16;  // products of bfloat16, summed in float32
};

// A ViMM's parameters, or their gradients.
template <typename Float>
struct VimmArrays {
  Float* norm_weight;  // (channels)
  Float* norm_bias;    // (channels)
  Float* in_proj;      // (2 * inner, channels)
  Float* conv_weight;  // (inner, taps)
  Float* conv_bias;    // (inner)
  Float* x_proj;       // (dt_rank + 2 * states, inner)
  Float* dt_weight;    // (inner, dt_rank)
  Float* dt_bias;      // (inner)
  Float* A_log;        // (inner, states)
  Float* D;            // (inner)
  Float* out_proj;     // (channels, inner)
};

// Floats that the forward pass keeps of each sequence: for every token, for every part of kVimmPart tokens, the
// last one included, and besides.
struct VimmKept {
  std::ptrdiff_t token, part, besides;
};
VimmKept vimm_kept(const VimmShape& shape);

// x and y are (batch, length, channels), kept is (batch, what vimm_kept says).
void vimm_forward(const VimmShape& shape, const VimmArrays<const float>& parameters, const float* x, float* y,
                  float* kept, int threads);
void vimm_backward(const VimmShape& shape, const VimmArrays<const float>& parameters, const float* x,
                   const float* kept, const float* grad_y, float* grad_x, const VimmArrays<float>& gradients,
                   int threads);

struct ConvShape {
  std::ptrdiff_t batch, height, width;
  int inputs, outputs;
};

// x is (batch, height, width, inputs), y (batch, height, width, outputs), weight (outputs, 3, 3, inputs).
void conv3x3_forward(const ConvShape& shape, const float* x, const float* weight, const float* bias, float* y,
                     int threads);
void conv3x3_backward_input(const ConvShape& shape, const float* weight, const float* grad_y, float* grad_x,
                            int threads);
void conv3x3_backward_weight(const ConvShape& shape, const float* x, const float* grad_y, float* grad_weight,
                             float* grad_bias, int threads);

}  // namespace dvmsr
