// The native code on files of raw arrays, for processors whose emulator here runs no Python.
//
//   program network FOLDER scale=4 channels=60 ... width=9 pixel=uint8 threads=2 HEIGHT...
//   program scan FOLDER batch=2 length=33 channels=21 states=16 threads=2
//   program conv FOLDER batch=2 length=33 channels=21 taps=4 threads=2
//
// Arrays are FOLDER/NAME.bin, little-endian; a network's are in FOLDER/parameters. Its image comes in blocks
// of the HEIGHTs given, and what is left of it at the end. Prints the instruction set and its lanes.
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.hpp"
#include "network.hpp"
#include "parallel.hpp"
#include "stream.hpp"

namespace {

using Bytes = std::vector<char>;
using Floats = std::vector<float>;

struct Request {
  std::filesystem::path folder;
  std::map<std::string, std::string> settings;
  std::vector<std::ptrdiff_t> heights;

  int number(const std::string& key) const { return std::stoi(settings.at(key)); }

  Bytes read(const std::string& name) const {
    std::ifstream file(folder / (name + ".bin"), std::ios::binary);
    if (!file) throw std::runtime_error("no file " + name + ".bin in " + folder.string());
    return {std::istreambuf_iterator<char>(file), {}};
  }

  Floats floats(const std::string& name) const {
    const Bytes bytes = read(name);
    const float* first = reinterpret_cast<const float*>(bytes.data());
    return {first, first + bytes.size() / sizeof(float)};
  }

  void write(const std::string& name, const void* data, std::size_t bytes) const {
    std::ofstream file(folder / (name + ".bin"), std::ios::binary);
    if (!file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes)))
      throw std::runtime_error("cannot write " + name + ".bin");
  }

  void write(const std::string& name, const Floats& values) const {
    write(name, values.data(), values.size() * sizeof(float));
  }
};

// What is not written stands out.
Floats unwritten(std::ptrdiff_t count) { return Floats(static_cast<std::size_t>(count), NAN); }

void run_network(const Request& request) {
  const dvmsr::Config config = {request.number("scale"),
                                request.number("channels"),
                                request.number("blocks"),
                                request.number("vimms_per_block"),
                                request.number("state_size"),
                                request.number("inner_channels"),
                                request.number("conv_width"),
                                request.number("dt_rank"),
                                request.number("vimm_residual") != 0,
                                {0.4488f, 0.4371f, 0.4040f}};
  std::map<std::string, Floats> arrays;
  dvmsr::Parameters parameters;
  for (const auto& file : std::filesystem::directory_iterator(request.folder / "parameters")) {
    const std::string name = file.path().stem().string();
    parameters[name] = (arrays[name] = request.floats("parameters/" + name)).data();
  }
  const auto precision = request.number("bfloat16") ? dvmsr::Precision::kBfloat16 : dvmsr::Precision::kFloat32;
  const dvmsr::Network network(config, parameters, precision);

  const std::string& name = request.settings.at("pixel");
  const dvmsr::Pixel pixel = name == "uint8"    ? dvmsr::Pixel::kUint8
                             : name == "uint16" ? dvmsr::Pixel::kUint16
                                                : dvmsr::Pixel::kFloat;
  const std::ptrdiff_t size = name == "uint8" ? 1 : name == "uint16" ? 2 : 4;
  const std::ptrdiff_t width = request.number("width");
  const Bytes image = request.read("image");
  const std::ptrdiff_t row = width * 3 * size;
  const std::ptrdiff_t height = static_cast<std::ptrdiff_t>(image.size()) / row;

  dvmsr::Stream stream(network, width, request.number("threads"));
  Bytes output;
  std::ptrdiff_t top = 0;
  const auto push = [&](std::ptrdiff_t rows, bool last) {
    Bytes part(static_cast<std::size_t>(stream.rows_after(rows, last) * config.scale * config.scale * row));
    stream.run(image.data() + top * row, rows, last, part.data(), pixel);
    output.insert(output.end(), part.begin(), part.end());
    top += rows;
  };
  for (const std::ptrdiff_t rows : request.heights) push(rows, false);
  push(height - top, true);
  request.write("output", output.data(), output.size());
}

void run_scan(const Request& request) {
  const std::ptrdiff_t batch = request.number("batch"), length = request.number("length");
  const std::ptrdiff_t channels = request.number("channels"), states = request.number("states");
  const std::ptrdiff_t chunks = (length + dvmsr::kScanChunk - 1) / dvmsr::kScanChunk;
  const int threads = request.number("threads");
  const dvmsr::Kernels& kernels = dvmsr::kernels();

  std::map<std::string, Floats> in, out;
  for (const char* name : {"u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state", "grad_y",
                           "grad_last_state"})
    in[name] = request.floats(name);
  const auto output = [&](const char* name, std::ptrdiff_t count) { return (out[name] = unwritten(count)).data(); };

  const dvmsr::ScanInputs inputs = {batch,          length,         channels,       states,  in["u"].data(),
                                    in["delta"].data(), in["A"].data(), in["B"].data(), in["C"].data(),
                                    in["D"].data(), in["z"].data(), channels,       in["delta_bias"].data(),
                                    in["initial_state"].data()};
  const dvmsr::ScanOutputs outputs = {output("y", batch * length * channels),
                                      output("last_state", batch * channels * states),
                                      output("checkpoints", batch * chunks * states * channels)};
  const std::ptrdiff_t groups = (channels + kernels.lanes - 1) / kernels.lanes;
  dvmsr::parallel_for(batch * groups, threads, [&](std::ptrdiff_t i) {
    kernels.scan_forward(inputs, outputs, i / groups, i % groups);
  });

  const dvmsr::ScanGradients gradients = {in["grad_y"].data(),
                                          in["grad_last_state"].data(),
                                          output("grad_u", batch * length * channels),
                                          output("grad_delta", batch * length * channels),
                                          output("grad_A", batch * channels * states),
                                          output("grad_B", batch * length * states),
                                          output("grad_C", batch * length * states),
                                          output("grad_D", batch * channels),
                                          output("grad_z", batch * length * channels),
                                          output("grad_delta_bias", batch * channels),
                                          output("grad_initial_state", batch * channels * states)};
  dvmsr::parallel_for(batch, threads, [&](std::ptrdiff_t sequence) {
    kernels.scan_backward(inputs, outputs.checkpoints, gradients, sequence);
  });
  for (const auto& [name, values] : out) request.write(name, values);
}

void run_conv(const Request& request) {
  const std::ptrdiff_t batch = request.number("batch"), length = request.number("length");
  const std::ptrdiff_t channels = request.number("channels"), taps = request.number("taps");
  const int threads = request.number("threads");
  const dvmsr::Kernels& kernels = dvmsr::kernels();
  const Floats x = request.floats("x"), weight = request.floats("weight"), bias = request.floats("bias");
  const Floats grad_y = request.floats("grad_y");
  const dvmsr::ConvInputs in = {batch, length, channels, taps, x.data(), channels, weight.data(), bias.data()};

  Floats y = unwritten(batch * length * channels), grad_x = y;
  Floats grad_weight = unwritten(batch * taps * channels), grad_bias = unwritten(batch * channels);
  const dvmsr::ConvGradients gradients = {grad_y.data(), grad_x.data(), grad_weight.data(), grad_bias.data()};
  dvmsr::parallel_for(batch, threads, [&](std::ptrdiff_t sequence) {
    kernels.causal_conv_forward(in, y.data(), sequence);
    kernels.causal_conv_backward(in, gradients, sequence);
  });
  request.write("y", y);
  request.write("grad_x", grad_x);
  request.write("grad_weight", grad_weight);
  request.write("grad_bias", grad_bias);
}

void check_that_denormals_live() {
  volatile float small = 1e-38f;
  small = small * 1e-4f;
  if (small == 0) throw std::runtime_error("denormals are still flushed after the work");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const std::map<std::string, void (*)(const Request&)> works = {
        {"network", run_network}, {"scan", run_scan}, {"conv", run_conv}};
    if (count < 3) throw std::runtime_error("expected: program network|scan|conv FOLDER ...");
    Request request{arguments[2], {}, {}};
    for (int i = 3; i < count; ++i) {
      const std::string argument = arguments[i];
      const std::size_t equals = argument.find('=');
      if (equals == std::string::npos)
        request.heights.push_back(std::stoi(argument));
      else
        request.settings[argument.substr(0, equals)] = argument.substr(equals + 1);
    }
    check_that_denormals_live();
    works.at(arguments[1])(request);
    check_that_denormals_live();
    std::cout << dvmsr::kernels().name << ' ' << dvmsr::kernels().lanes << '\n';
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
