// The network's weights, packed once for the kernels of this processor. Immutable afterwards: any
// number of streams, in any number of threads, may run on one network.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"

namespace dvmsr {

struct Config {
  int scale, channels, blocks, vimms_per_block, state_size, inner_channels, conv_taps, dt_rank;
  bool vimm_residual;
  // In [0, 1]. Taken off the input by the streams; added back as part of the last bias.
  std::array<float, 3> rgb_mean;
};

// Dense float32 arrays by the names of dvmsr.weights.parameter_shapes, their shapes already checked.
using Parameters = std::map<std::string, const float*>;

struct Block {
  std::vector<Vimm> vimms;
  Convolution conv;
};

class Network {
 public:
  // `precision` is that of the wide layers' operands: the 3x3 convolutions on features and the linear
  // layers but dt_proj. Between them all is float32.
  Network(const Config& config, const Parameters& parameters, Precision precision);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const Config config;
  const Precision precision;
  const Kernels& kernels;
  const std::ptrdiff_t stride;  // floats of a token, channels padded

  Convolution shallow;  // on tokens of kPixelStride floats
  LayerNorm token_norm;
  std::vector<Block> blocks;
  LayerNorm deep_norm;
  Convolution deep;
  Convolution reconstruct;  // outputs in the order (row, column, colour) of the enlarged pixel

  static constexpr std::ptrdiff_t kPixelStride = 4;  // red, green, blue and one 0

 private:
  // An aligned array of zeros that lives as long as the network.
  float* allocate(std::ptrdiff_t count);
  const float* padded(const float* values, std::ptrdiff_t count, std::ptrdiff_t padded_count);
  LayerNorm layer_norm(const Parameters& parameters, const std::string& name, Precision output);
  Vimm vimm(const Parameters& parameters, const std::string& name);

  // Packs weights that `weight(output, segment, tap, channel)` gives.
  template <typename Weight>
  Matrix pack(std::ptrdiff_t outputs, int segments, int taps, int inner, Precision operands, const Weight& weight);
  // `weight(output, row, tap, channel)`; `bias` for every output.
  template <typename Weight>
  Convolution convolution(int inputs, int outputs, Precision operands, const float* bias, const Weight& weight);
  Convolution convolution(const Parameters& parameters, const std::string& name, int inputs, int outputs,
                          Precision operands);
  Matrix linear(const float* weights, int inputs, int outputs, Precision operands);

  std::vector<Memory> memory_;
};

}  // namespace dvmsr
