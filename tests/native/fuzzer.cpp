// Random networks on random images, for the sanitizers and for what the engine promises.
//
//   fuzzer SEED SECONDS        cases 0, 1, 2 ... until the time is over; prints how many
//   fuzzer SEED only CASE      one of them again
//
// Of each case it holds against each other: the image whole in one thread and in random blocks in several, bit
// by bit, for tame pixels and for wild floats; and integer output against float output, rounded. It ends with 1
// where they differ, and names the case.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <limits>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.hpp"
#include "network.hpp"
#include "stream.hpp"

namespace {

using Random = std::mt19937_64;

// Standard distributions differ between libraries; cases shall not.
std::ptrdiff_t number(Random& random, std::ptrdiff_t least, std::ptrdiff_t most) {
  return least + static_cast<std::ptrdiff_t>(random() % static_cast<std::uint64_t>(most - least + 1));
}

float uniform(Random& random, float low, float high) {
  return low + (high - low) * static_cast<float>(random() >> 40) * 0x1p-24f;
}

// Near enough to a normal distribution of this deviation.
float normal(Random& random, float deviation) {
  float sum = 0;
  for (int i = 0; i < 12; ++i) sum += uniform(random, -0.5f, 0.5f);
  return sum * deviation;
}

struct Weights {
  std::map<std::string, std::vector<float>> arrays;

  template <typename Value>
  void add(const std::string& name, std::ptrdiff_t count, const Value& value) {
    std::vector<float>& array = arrays[name];
    for (std::ptrdiff_t i = 0; i < count; ++i) array.push_back(value());
  }

  dvmsr::Parameters pointers() const {
    dvmsr::Parameters found;
    for (const auto& [name, array] : arrays) found[name] = array.data();
    return found;
  }
};

// As weights/shapes.py names them. Features stay of one size, with decays and steps as trained networks have.
Weights make_weights(const dvmsr::Config& config, Random& random) {
  Weights weights;
  const std::ptrdiff_t width = config.channels, inner = config.inner_channels, states = config.state_size;
  const auto dense = [&](const std::string& name, std::ptrdiff_t outputs, std::ptrdiff_t inputs, bool bias) {
    const float deviation = 1.0f / std::sqrt(static_cast<float>(inputs));
    weights.add(name + ".weight", outputs * inputs, [&] { return normal(random, deviation); });
    if (bias) weights.add(name + ".bias", outputs, [&] { return normal(random, 0.1f); });
  };
  const auto norm = [&](const std::string& name) {
    weights.add(name + ".weight", width, [&] { return 1 + normal(random, 0.1f); });
    weights.add(name + ".bias", width, [&] { return normal(random, 0.1f); });
  };
  dense("shallow", width, 3 * 9, true);
  norm("token_norm");
  for (int block = 0; block < config.blocks; ++block) {
    const std::string in_block = "blocks." + std::to_string(block);
    for (int vimm = 0; vimm < config.vimms_per_block; ++vimm) {
      const std::string name = in_block + ".vimms." + std::to_string(vimm), mamba = name + ".mamba.";
      norm(name + ".norm");
      weights.add(mamba + "A_log", inner * states, [&] { return uniform(random, -4, 8); });
      weights.add(mamba + "D", inner, [&] { return 1 + normal(random, 0.1f); });
      dense(mamba + "in_proj", 2 * inner, width, false);
      dense(mamba + "conv1d", inner, config.conv_taps, true);
      dense(mamba + "x_proj", config.dt_rank + 2 * states, inner, false);
      dense(mamba + "dt_proj", inner, config.dt_rank, false);
      weights.add(mamba + "dt_proj.bias", inner, [&] { return uniform(random, -9, 1); });
      dense(mamba + "out_proj", width, inner, false);
    }
    dense(in_block + ".conv", width, width * 9, true);
  }
  norm("deep_norm");
  dense("deep", width, width * 9, true);
  dense("reconstruct", 3 * config.scale * config.scale, width * 9, true);
  return weights;
}

struct Case {
  dvmsr::Config config;
  dvmsr::Precision precision;
  std::ptrdiff_t width, height;
  std::vector<std::ptrdiff_t> cuts;  // rows of each block but the last
  int threads;
};

Case make_case(Random& random) {
  Case made{};
  dvmsr::Config& config = made.config;
  config.scale = static_cast<int>(number(random, 2, 4));
  // Every width of network up to 260, most of them narrow, for those are quick.
  config.channels = static_cast<int>(number(random, 1, random() % 4 ? 40 : 260));
  const bool wide = config.channels > 100;
  config.blocks = static_cast<int>(number(random, 1, wide ? 1 : 3));
  config.vimms_per_block = static_cast<int>(number(random, 1, wide ? 1 : 3));
  config.state_size = static_cast<int>(random() % 4 ? number(random, 1, 20) : 16);
  if (random() % 16 == 0) config.state_size = static_cast<int>(number(random, 1, dvmsr::kMaxStates));
  config.inner_channels = static_cast<int>(number(random, 1, wide ? 2 : 3)) * config.channels;
  config.conv_taps = static_cast<int>(random() % 2 ? 4 : number(random, 1, 7));
  config.dt_rank = (config.channels + 15) / 16;
  config.vimm_residual = random() % 2;
  config.rgb_mean = {0.4488f, 0.4371f, 0.4040f};
  made.precision = random() % 2 ? dvmsr::Precision::kBfloat16 : dvmsr::Precision::kFloat32;
  made.width = number(random, 1, random() % 4 ? 30 : 300);
  made.height = number(random, 1, wide || made.width > 60 ? 5 : 20);
  for (std::ptrdiff_t left = made.height; left > 0 && made.cuts.size() < 8;) {
    made.cuts.push_back(number(random, 0, std::min<std::ptrdiff_t>(left, 7)));
    left -= made.cuts.back();
  }
  made.threads = static_cast<int>(number(random, 2, 6));
  return made;
}

std::string text_of(const Case& c) {
  const dvmsr::Config& config = c.config;
  std::string text = "scale=" + std::to_string(config.scale) + " channels=" + std::to_string(config.channels) +
                     " blocks=" + std::to_string(config.blocks) + " vimms=" + std::to_string(config.vimms_per_block) +
                     " states=" + std::to_string(config.state_size) + " inner=" +
                     std::to_string(config.inner_channels) + " taps=" + std::to_string(config.conv_taps) +
                     " residual=" + std::to_string(config.vimm_residual) +
                     (c.precision == dvmsr::Precision::kBfloat16 ? " bf16 " : " fp32 ") + std::to_string(c.width) +
                     "x" + std::to_string(c.height) + " threads=" + std::to_string(c.threads) + " cuts";
  for (const std::ptrdiff_t rows : c.cuts) text += " " + std::to_string(rows);
  return text;
}

// The image in blocks of these heights and what is left. Each block lies in memory of its own, without a byte
// to spare, so that a sanitizer sees what is read or written beyond it.
template <typename T>
std::vector<T> enlarge(const dvmsr::Network& network, const Case& c, const std::vector<T>& image,
                       const std::vector<std::ptrdiff_t>& cuts, int threads) {
  const dvmsr::Pixel pixel = sizeof(T) == 1   ? dvmsr::Pixel::kUint8
                             : sizeof(T) == 2 ? dvmsr::Pixel::kUint16
                                              : dvmsr::Pixel::kFloat;
  const std::ptrdiff_t row = c.width * 3, scale = c.config.scale;
  dvmsr::Stream stream(network, c.width, threads);
  std::vector<T> output;
  std::ptrdiff_t top = 0;
  const auto push = [&](std::ptrdiff_t rows, bool last) {
    const std::vector<T> block(image.begin() + top * row, image.begin() + (top + rows) * row);
    std::vector<T> part(static_cast<std::size_t>(stream.rows_after(rows, last) * scale * scale * row));
    stream.run(block.data(), rows, last, part.data(), pixel);
    output.insert(output.end(), part.begin(), part.end());
    top += rows;
  };
  for (const std::ptrdiff_t rows : cuts) push(rows, false);
  push(c.height - top, true);
  if (output.size() != static_cast<std::size_t>(scale * scale * row * c.height))
    throw std::runtime_error("rows of output are missing");
  return output;
}

// Whole in one thread; and the same bits in blocks in several.
template <typename T>
std::vector<T> enlarge_both_ways(const dvmsr::Network& network, const Case& c, const std::vector<T>& image,
                                 const std::string& what) {
  const std::vector<T> whole = enlarge(network, c, image, {}, 1);
  const std::vector<T> cut = enlarge(network, c, image, c.cuts, c.threads);
  for (std::size_t i = 0; i < whole.size(); ++i)
    if (std::memcmp(&whole[i], &cut[i], sizeof(T)) != 0)
      throw std::runtime_error(what + ": whole and in blocks, number " + std::to_string(i) + " differs: " +
                               std::to_string(whole[i]) + ", " + std::to_string(cut[i]));
  return whole;
}

template <typename T>
void check_integers(const dvmsr::Network& network, const Case& c, Random& random, const std::string& what) {
  const float full = static_cast<float>(std::numeric_limits<T>::max());
  std::vector<T> image(static_cast<std::size_t>(c.width * c.height * 3));
  std::vector<float> as_floats;
  const bool white = random() % 8 == 0;
  for (T& value : image) {
    value = white ? std::numeric_limits<T>::max() : static_cast<T>(random());
    as_floats.push_back(static_cast<float>(value) / full);
  }
  const std::vector<T> got = enlarge_both_ways(network, c, image, what);
  const std::vector<float> exact = enlarge_both_ways(network, c, as_floats, what + " as floats");
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!std::isfinite(exact[i])) throw std::runtime_error(what + ": an output of tame pixels is not finite");
    const float want = std::min(1.0f, std::max(0.0f, exact[i])) * full;
    // Of 16 bits, float32's own rounding shows.
    if (std::abs(static_cast<float>(got[i]) - want) > 0.5f + 1e-6f * full)
      throw std::runtime_error(what + ": number " + std::to_string(i) + " is " + std::to_string(got[i]) +
                               ", as float " + std::to_string(exact[i]));
  }
}

void run_case(std::uint64_t seed, std::uint64_t index) {
  // Each case stands alone.
  std::seed_seq sequence{seed, index};
  Random random(sequence);
  const Case c = make_case(random);
  try {
    const Weights weights = make_weights(c.config, random);
    const dvmsr::Network network(c.config, weights.pointers(), c.precision);
    if (random() % 2)
      check_integers<std::uint8_t>(network, c, random, "uint8");
    else
      check_integers<std::uint16_t>(network, c, random, "uint16");
    std::vector<float> wild(static_cast<std::size_t>(c.width * c.height * 3));
    const float exponent = uniform(random, 0, 37);
    for (float& value : wild) value = normal(random, 1) * std::pow(10.0f, uniform(random, -exponent, exponent));
    enlarge_both_ways(network, c, wild, "wild floats");
  } catch (const std::exception& error) {
    throw std::runtime_error("case " + std::to_string(index) + " (" + text_of(c) + "): " + error.what());
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count < 3) throw std::runtime_error("expected: fuzzer SEED SECONDS, or fuzzer SEED only CASE");
    const std::uint64_t seed = std::stoull(arguments[1]);
    if (count == 4) {
      run_case(seed, std::stoull(arguments[3]));
      return 0;
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::stod(arguments[2]));
    std::uint64_t cases = 0;
    for (; std::chrono::steady_clock::now() < end; ++cases) run_case(seed, cases);
    std::cout << dvmsr::kernels().name << ' ' << cases << '\n';
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
