#include "network.hpp"

#include <cmath>
#include <cstring>

namespace dvmsr {

namespace {

constexpr double kLog2E = 1.4426950408889634;

// Rounded to nearest even. Weights are finite.
Bfloat16 to_bfloat16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return {static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

}  // namespace

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
  const int channels_of_step = operands == Precision::kBfloat16 ? 2 : 1;
  const std::ptrdiff_t vectors = (outputs + kernels.lanes - 1) / kernels.lanes;
  Matrix matrix;
  matrix.panel_vectors = 2;
  for (int wider = 3; wider <= kernels.panel_vectors; ++wider)
    if (vectors % wider == 0) matrix.panel_vectors = wider;
  const std::ptrdiff_t width = static_cast<std::ptrdiff_t>(matrix.panel_vectors) * kernels.lanes;
  matrix.panels = static_cast<int>((outputs + width - 1) / width);
  matrix.segments = segments;
  matrix.taps = taps;
  matrix.steps = (inner + channels_of_step - 1) / channels_of_step;
  matrix.operands = operands;
  // Of the size of a step in either precision.
  float* packed = allocate(matrix.panels * width * segments * taps * matrix.steps);
  matrix.weights = packed;
  std::ptrdiff_t position = 0;
  for (int panel = 0; panel < matrix.panels; ++panel)
    for (int segment = 0; segment < segments; ++segment)
      for (int tap = 0; tap < taps; ++tap)
        for (int step = 0; step < matrix.steps; ++step)
          for (std::ptrdiff_t output = panel * width; output < (panel + 1) * width; ++output)
            for (int channel = step * channels_of_step; channel < (step + 1) * channels_of_step; ++channel, ++position) {
              const float value = output < outputs && channel < inner ? weight(output, segment, tap, channel) : 0.0f;
              if (operands == Precision::kBfloat16)
                reinterpret_cast<Bfloat16*>(packed)[position] = to_bfloat16(value);
              else
                packed[position] = value;
            }
  return matrix;
}

template <typename Weight>
Convolution Network::convolution(int inputs, int outputs, Precision operands, const float* bias,
                                 const Weight& weight) {
  Convolution conv;
  conv.bias = padded(bias, outputs, round_up(outputs, kChannelMultiple));
  // Of the colours a token holds less than a vector.
  conv.filtered = operands == Precision::kFloat32 && inputs > 3;
  if (!conv.filtered) {
    conv.direct = pack(outputs, kConvRows, kConvRows, inputs, operands, weight);
    conv.direct.bias = conv.bias;
    return conv;
  }
  constexpr double kNear = kFilterNear * kFilterNear, kFar = kFilterFar * kFilterFar;
  const double places[kFilterPoints] = {0, kFilterNear, -kFilterNear, kFilterFar, -kFilterFar};
  const double norms[kFilterPoints] = {1, 2 * kNear * (kNear - kFar), 2 * kNear * (kNear - kFar),
                                       2 * kFar * (kFar - kNear), 2 * kFar * (kFar - kNear)};
  for (int point = 0; point < kFilterPoints; ++point)
    conv.points[point] =
        pack(outputs, kConvRows, 1, inputs, operands, [&, point](auto output, int row, int, int channel) {
          const double last = weight(output, row, 2, channel);
          if (point + 1 == kFilterPoints) return static_cast<float>(last);
          const double first = weight(output, row, 0, channel), middle = weight(output, row, 1, channel);
          return static_cast<float>((first + places[point] * (middle + places[point] * last)) / norms[point]);
        });
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
      a_log2[n * m.inner_stride + d] = static_cast<float>(-std::exp(double{a_log[d * m.states + n]}) * kLog2E);
  }
  m.conv_weight = taps;
  m.a_log2 = a_log2;
  m.conv_bias = padded(parameters.at(mamba + "conv1d.bias"), inner, m.inner_stride);
  m.D = padded(parameters.at(mamba + "D"), inner, m.inner_stride);
  return m;
}

}  // namespace dvmsr
