// Runs the engine's AMX kernels, as they were built, under the emulator: matrix products against
// their definition, and a network whose weights and image come as files.
//
//   amx_program WEIGHTS IMAGE OUTPUT HEIGHT WIDTH SCALE CHANNELS BLOCKS VIMMS STATES INNER TAPS RANK
#include <algorithm>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "../../native/kernels.hpp"
#include "../../native/memory.hpp"
#include "../../native/stream.hpp"
#include "amx_emulator.hpp"

namespace dvmsr {
namespace amx {
extern const Kernels table;
}
// In the place of dispatch.cpp: this processor would not choose them.
const Kernels& kernels() { return amx::table; }
}  // namespace dvmsr

namespace {

using dvmsr::Bfloat16;
using dvmsr::Precision;

std::mt19937 generator(0);

float noise() { return std::normal_distribution<float>()(generator); }

Bfloat16 to_bfloat16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return {static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

float to_float(Bfloat16 x) {
  const std::uint32_t bits = std::uint32_t{x.bits} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct Shape {
  int segments, taps, inner, panels, vectors;
  bool tiles;  // whether a tile takes an even share of the steps
};

// One product in float64 from the rounded operands, beside what the kernel makes of them.
void check_product(const Shape& shape, int tokens, bool added, Precision output) {
  const int width = shape.vectors * 16, outputs = shape.panels * width, steps = (shape.inner + 1) / 2;
  const std::ptrdiff_t stride = dvmsr::round_up(shape.inner, dvmsr::kChannelMultiple);
  const auto row = static_cast<std::size_t>((tokens + shape.taps - 1) * stride);
  std::vector<std::vector<Bfloat16>> inputs(static_cast<std::size_t>(shape.segments), std::vector<Bfloat16>(row));
  std::vector<const void*> in;
  for (auto& segment : inputs) {
    for (std::size_t i = 0; i < row; ++i)
      if (static_cast<std::ptrdiff_t>(i) % stride < shape.inner) segment[i] = to_bfloat16(noise());
    in.push_back(segment.data());
  }
  const auto count = static_cast<std::size_t>(shape.panels) * shape.segments * shape.taps * steps * width * 2;
  std::vector<Bfloat16> weights(count);
  for (Bfloat16& weight : weights) weight = to_bfloat16(noise());
  const auto bias = dvmsr::aligned_zeros(outputs), residual = dvmsr::aligned_zeros(tokens * outputs);
  for (int i = 0; i < outputs; ++i) bias[i] = noise();
  for (int i = 0; i < tokens * outputs; ++i) residual[i] = noise();

  dvmsr::Matrix m;
  m.weights = weights.data();
  m.bias = added ? bias.get() : nullptr;
  m.panels = shape.panels;
  m.panel_vectors = shape.vectors;
  m.segments = shape.segments;
  m.taps = shape.taps;
  m.steps = steps;
  m.operands = Precision::kBfloat16;
  m.output = output;
  const auto out = dvmsr::aligned_zeros(tokens * outputs);
  const long before = emulator::products;
  dvmsr::Convolution conv;
  conv.direct = m;
  dvmsr::kernels().convolve(conv, in.data(), stride, tokens, added ? residual.get() : nullptr, out.get(), outputs, nullptr);
  if ((emulator::products > before) != (shape.tiles && tokens >= 16)) {
    std::cerr << "tiles were used or left out against expectation\n";
    std::exit(1);
  }

  for (int t = 0; t < tokens; ++t)
    for (int o = 0; o < outputs; ++o) {
      double want = added ? double{bias[o]} + residual[t * outputs + o] : 0, size = std::abs(want);
      for (int s = 0; s < shape.segments; ++s)
        for (int tap = 0; tap < shape.taps; ++tap)
          for (int c = 0; c < shape.inner; ++c) {
            const auto step = ((static_cast<std::size_t>(o / width) * shape.segments + s) * shape.taps + tap) * steps + c / 2;
            const double term = double{to_float(inputs[s][(t + tap) * stride + c])} *
                                to_float(weights[(step * width + o % width) * 2 + c % 2]);
            want += term;
            size += std::abs(term);
          }
      const bool is_float = output == Precision::kFloat32;
      const float got = is_float ? out[t * outputs + o] : to_float(reinterpret_cast<Bfloat16*>(out.get())[t * outputs + o]);
      // float32 sums of up to 540 terms; a bfloat16 is at most half a step of 2^-8 away.
      if (!(std::abs(got - want) <= 1e-5 * size + (is_float ? 0 : std::abs(want) / 256))) {
        std::cerr << "token " << t << " of " << tokens << ", output " << o << " of " << outputs << ": " << got
                  << " instead of " << want << "\n";
        std::exit(1);
      }
    }
}

std::vector<float> enlarge(const dvmsr::Network& network, const std::vector<float>& image, int height, int width,
                           int threads, int first_rows) {
  dvmsr::Stream stream(network, width, threads);
  const int scale = network.config.scale;
  std::vector<float> output(image.size() * static_cast<std::size_t>(scale * scale));
  std::ptrdiff_t done = 0;
  for (int row = 0; row < height; row += first_rows, first_rows = height) {
    const int rows = std::min(first_rows, height - row);
    const bool last = row + rows == height;
    const std::ptrdiff_t finished = stream.rows_after(rows, last);
    stream.run(image.data() + row * width * 3, rows, last, output.data() + done * scale * scale * width * 3,
               dvmsr::Pixel::kFloat);
    done += finished;
  }
  return output;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 14) return 2;
  emulator::install();

  const Shape shapes[] = {
      {3, 3, 60, 2, 2, true}, {3, 3, 60, 1, 3, true},  {1, 1, 60, 8, 2, true},  {1, 1, 120, 1, 3, true},
      {1, 1, 192, 2, 2, true}, {1, 1, 7, 1, 2, true}, {1, 1, 33, 1, 2, false},
  };
  for (const Shape& shape : shapes)
    for (const int tokens : {1, 15, 16, 17, 31, 32, 33, 64, 96})
      for (const bool added : {false, true})
        for (const Precision output : {Precision::kFloat32, Precision::kBfloat16})
          check_product(shape, tokens, added, output);

  std::map<std::string, std::vector<float>> values;
  dvmsr::Parameters parameters;
  std::ifstream weights(arguments[1], std::ios::binary);
  std::string name, size;
  while (std::getline(weights, name) && std::getline(weights, size)) {
    auto& array = values[name] = std::vector<float>(std::stoul(size));
    weights.read(reinterpret_cast<char*>(array.data()), static_cast<std::streamsize>(array.size() * sizeof(float)));
    parameters[name] = array.data();
  }
  int n[10];
  std::transform(arguments + 4, arguments + 14, n, [](const char* text) { return std::stoi(text); });
  const dvmsr::Config config = {n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], false, {0.4488f, 0.4371f, 0.4040f}};
  const dvmsr::Network network(config, parameters, Precision::kBfloat16);
  std::vector<float> image(static_cast<std::size_t>(n[0] * n[1] * 3));
  std::ifstream(arguments[2], std::ios::binary)
      .read(reinterpret_cast<char*>(image.data()), static_cast<std::streamsize>(image.size() * sizeof(float)));

  const std::vector<float> output = enlarge(network, image, n[0], n[1], 1, n[0]);
  if (enlarge(network, image, n[0], n[1], 3, 5) != output) {
    std::cerr << "other bits with three threads and two blocks\n";
    return 1;
  }
  std::ofstream(arguments[3], std::ios::binary)
      .write(reinterpret_cast<const char*>(output.data()), static_cast<std::streamsize>(output.size() * sizeof(float)));
  std::cout << emulator::products << "\n";
}
