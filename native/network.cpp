#include "network.hpp"

#include <cmath>
#include <cstring>

#include "packing.hpp"

namespace dvmsr {

Network::Network(const Config& c, const Parameters& parameters, Precision p)
    : config(c), precision(p), kernels(dvmsr::kernels()), stride(round_up(c.channels, kChannelMultiple)) {
  // What is read by a convolution alone is stored as the convolution reads it.
  shallow = convolution(parameters, "shallow", 3, config.channels, Precision::kFloat32);
  token_norm = layer_norm(parameters, "token_norm", Precision::kFloat32);
  for (int b = 0; b < config.blocks; ++b) {
    const std::string name = "blocks." + std::to_string(b);
    Block block;
    for (int v = 0; v < config.vimms_per_block; ++v)
      block.vimms.push_back(vimm(parameters, name + ".vimms." + std::to_string(v)));
    block.vimms.back().out_proj.output = precision;
    block.conv = convolution(parameters, name + ".conv", config.channels, config.channels, precision);
    blocks.push_back(block);
  }
  deep_norm = layer_norm(parameters, "deep_norm", precision);
  deep = convolution(parameters, "deep", config.channels, config.channels, precision);
  deep.direct.output = precision;

  // The pixel shuffle's channel (colour, row, column) becomes (row, column, colour).
  const int s = config.scale;
  const int outputs = 3 * s * s;
  const float* weight = parameters.at("reconstruct.weight");
  const float* bias = parameters.at("reconstruct.bias");
  const auto shuffled = [s](std::ptrdiff_t output) { return output % 3 * s * s + output / 3; };
  std::vector<float> biases;
  for (int i = 0; i < outputs; ++i) biases.push_back(bias[shuffled(i)] + config.rgb_mean[i % 3]);
  reconstruct = convolution(config.channels, outputs, precision, biases.data(),
                            [&](auto output, int row, int tap, int channel) {
                              return weight[((shuffled(output) * config.channels + channel) * 3 + row) * 3 + tap];
                            });
}

float* Network::allocate(std::ptrdiff_t count) {
  memory_.push_back(aligned_zeros(count));
  return memory_.back().get();
}

const float* Network::padded(const float* values, std::ptrdiff_t count, std::ptrdiff_t padded_count) {
  float* copy = allocate(padded_count);
  std::memcpy(copy, values, static_cast<std::size_t>(count) * sizeof(float));
  return copy;
}

LayerNorm Network::layer_norm(const Parameters& parameters, const std::string& name, Precision output) {
  LayerNorm norm;
  norm.output = output;
  norm.channels = config.channels;
  norm.weight = padded(parameters.at(name + ".weight"), config.channels, stride);
  norm.bias = padded(parameters.at(name + ".bias"), config.channels, stride);
  const std::vector<float> ones(static_cast<std::size_t>(config.channels), 1.0f);
  norm.mask = padded(ones.data(), config.channels, stride);
  return norm;
}

template <typename Weight>
Matrix Network::pack(std::ptrdiff_t outputs, int segments, int taps, int inner, Precision operands,
                     const Weight& weight) {
  return pack_matrix(kernels, outputs, segments, taps, inner, operands,
                     [this](std::ptrdiff_t count) { return allocate(count); }, weight);
}

template <typename Weight>
Convolution Network::convolution(int inputs, int outputs, Precision operands, const float* bias,
                                 const Weight& weight) {
  Convolution conv;
  conv.bias = padded(bias, outputs, round_up(outputs, kChannelMultiple));
  // Of the colours a token holds less than a vector.
  if (operands != Precision::kFloat32 || inputs <= 3) {
    conv.direct = pack(outputs, kConvRows, kConvRows, inputs, operands, weight);
    conv.direct.bias = conv.bias;
    return conv;
  }
  pack_filtered(kernels, inputs, outputs, [this](std::ptrdiff_t count) { return allocate(count); }, weight, conv);
  return conv;
}

Convolution Network::convolution(const Parameters& parameters, const std::string& name, int inputs, int outputs,
                                 Precision operands) {
  const float* weight = parameters.at(name + ".weight");
  return convolution(inputs, outputs, operands, parameters.at(name + ".bias"),
                     [&](auto output, int row, int tap, int channel) {
                       return weight[((output * inputs + channel) * 3 + row) * 3 + tap];
                     });
}

Matrix Network::linear(const float* weights, int inputs, int outputs, Precision operands) {
  return pack(outputs, 1, 1, inputs, operands,
              [&](auto output, int, int, int channel) { return weights[output * inputs + channel]; });
}

Vimm Network::vimm(const Parameters& parameters, const std::string& name) {
  const std::string mamba = name + ".mamba.";
  const int inner = config.inner_channels;
  const int projected = config.dt_rank + 2 * config.state_size;
  Vimm m;
  m.stride = stride;
  m.inner_stride = round_up(inner, kChannelMultiple);
  m.projected_stride = round_up(projected, kChannelMultiple);
  m.conv_taps = config.conv_taps;
  m.states = config.state_size;
  m.dt_rank = config.dt_rank;
  m.residual = config.vimm_residual;
  m.norm = layer_norm(parameters, name + ".norm", precision);

  m.inner_channels = inner;
  m.in_proj = linear(parameters.at(mamba + "in_proj.weight"), config.channels, 2 * inner, precision);
  m.x_proj = linear(parameters.at(mamba + "x_proj.weight"), inner, projected, precision);
  m.dt_proj = linear(parameters.at(mamba + "dt_proj.weight"), config.dt_rank, inner, Precision::kFloat32);
  m.dt_proj.bias = padded(parameters.at(mamba + "dt_proj.bias"), inner, m.inner_stride);
  m.out_proj = linear(parameters.at(mamba + "out_proj.weight"), inner, config.channels, precision);

  const float* conv_weight = parameters.at(mamba + "conv1d.weight");
  float* taps = allocate(m.conv_taps * m.inner_stride);
  const float* a_log = parameters.at(mamba + "A_log");
  float* a_log2 = allocate(m.states * m.inner_stride);
  for (int d = 0; d < inner; ++d) {
    for (int tap = 0; tap < m.conv_taps; ++tap) taps[tap * m.inner_stride + d] = conv_weight[d * m.conv_taps + tap];
    for (int n = 0; n < m.states; ++n)
      a_log2[n * m.inner_stride + d] = static_cast<float>(-std::exp(double{a_log[d * m.states + n]}) * kLog2OfE);
  }
  m.conv_weight = taps;
  m.a_log2 = a_log2;
  m.conv_bias = padded(parameters.at(mamba + "conv1d.bias"), inner, m.inner_stride);
  m.D = padded(parameters.at(mamba + "D"), inner, m.inner_stride);
  return m;
}

}  // namespace dvmsr
