#include "training.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"
#include "packing.hpp"
#include "parallel.hpp"

namespace dvmsr {

namespace {

// Memory for one call.
class Arena {
 public:
  float* zeros(std::ptrdiff_t count) { return keep(aligned_zeros(count)); }
  float* unwritten(std::ptrdiff_t count) { return keep(aligned_floats(count)); }
  float* padded(const float* values, std::ptrdiff_t count, std::ptrdiff_t padded_count) {
    float* copy = zeros(padded_count);
    std::copy_n(values, count, copy);
    return copy;
  }

 private:
  float* keep(Memory memory) {
    memories_.push_back(std::move(memory));
    return memories_.back().get();
  }
  std::vector<Memory> memories_;
};

// A workspace for each thread.
class Workspaces {
 public:
  Workspaces(Arena& arena, std::ptrdiff_t floats, std::ptrdiff_t pieces, int threads)
      : floats_(round_up(floats, kMaxLanes)),
        first_(arena.unwritten(floats_ * std::min<std::ptrdiff_t>(pieces, threads))) {}
  float* of(int thread) const { return first_ + thread * floats_; }

 private:
  std::ptrdiff_t floats_;
  float* first_;
};

// Adds up `parts` arrays of `count` floats, one behind the other, in their order.
void add_up(float* first, std::ptrdiff_t parts, std::ptrdiff_t count) {
  for (std::ptrdiff_t part = 1; part < parts; ++part)
    for (std::ptrdiff_t i = 0; i < count; ++i) first[i] += first[part * count + i];
}

std::ptrdiff_t columns(int outputs) {
  const Kernels& k = kernels();
  return round_up(outputs, static_cast<std::ptrdiff_t>(k.lanes) * panel_vectors(outputs, k.lanes, k.panel_vectors));
}

TrainedVimm vimm_sizes(const VimmShape& shape) {
  TrainedVimm m;
  Vimm& layer = m.layer;
  const std::ptrdiff_t lanes = kernels().lanes;
  layer.norm.channels = shape.channels;
  layer.inner_channels = shape.inner;
  layer.conv_taps = shape.taps;
  layer.states = shape.states;
  layer.dt_rank = shape.dt_rank;
  layer.residual = shape.residual;
  layer.stride = odd_lines(columns(shape.channels));
  layer.inner_stride = odd_lines(columns(shape.inner));
  layer.projected_stride = odd_lines(columns(m.projected()));
  m.inner_width = round_up(shape.inner, lanes);
  m.pair_stride = odd_lines(std::max(columns(2 * shape.inner), shape.inner + m.inner_width));
  return m;
}

// (outputs, inputs) as a matrix from inputs to outputs.
Matrix pack_linear(Arena& arena, const float* weight, int outputs, int inputs, Precision operands) {
  return pack_matrix(kernels(), outputs, 1, 1, inputs, operands,
                     [&](std::ptrdiff_t count) { return arena.unwritten(count); },
                     [=](auto output, int, int, int channel) { return weight[output * inputs + channel]; });
}

// The same, from outputs to inputs.
Matrix pack_transposed(Arena& arena, const float* weight, int outputs, int inputs, Precision operands) {
  return pack_matrix(kernels(), inputs, 1, 1, outputs, operands,
                     [&](std::ptrdiff_t count) { return arena.unwritten(count); },
                     [=](auto output, int, int, int channel) { return weight[channel * inputs + output]; });
}

// (rows, columns) to (columns, rows), rows `stride` apart on either side.
void transpose(const float* from, std::ptrdiff_t from_stride, std::ptrdiff_t rows, std::ptrdiff_t columns, float* to,
               std::ptrdiff_t to_stride) {
  for (std::ptrdiff_t column = 0; column < columns; ++column)
    for (std::ptrdiff_t row = 0; row < rows; ++row) to[column * to_stride + row] = from[row * from_stride + column];
}

TrainedVimm pack_vimm(Arena& arena, const VimmShape& shape, const VimmArrays<const float>& p) {
  TrainedVimm m = vimm_sizes(shape);
  Vimm& layer = m.layer;
  const std::ptrdiff_t stride = layer.inner_stride;
  layer.norm.weight = arena.padded(p.norm_weight, shape.channels, layer.stride);
  layer.norm.bias = arena.padded(p.norm_bias, shape.channels, layer.stride);
  const std::vector<float> ones(static_cast<std::size_t>(shape.channels), 1.0f);
  layer.norm.mask = arena.padded(ones.data(), shape.channels, layer.stride);
  const Precision operands = shape.bfloat16 ? Precision::kBfloat16 : Precision::kFloat32;
  layer.in_proj = pack_linear(arena, p.in_proj, 2 * shape.inner, shape.channels, operands);
  layer.x_proj = pack_linear(arena, p.x_proj, m.projected(), shape.inner, operands);
  layer.dt_proj = pack_linear(arena, p.dt_weight, shape.inner, shape.dt_rank, Precision::kFloat32);
  layer.out_proj = pack_linear(arena, p.out_proj, shape.channels, shape.inner, operands);
  layer.dt_proj.bias = arena.padded(p.dt_bias, shape.inner, stride);
  m.in_back = pack_transposed(arena, p.in_proj, 2 * shape.inner, shape.channels, operands);
  m.x_back = pack_transposed(arena, p.x_proj, m.projected(), shape.inner, operands);
  m.out_back = pack_transposed(arena, p.out_proj, shape.channels, shape.inner, operands);
  float* taps = arena.zeros(shape.taps * stride);
  transpose(p.conv_weight, shape.taps, shape.inner, shape.taps, taps, stride);
  float* a_log2 = arena.zeros(shape.states * stride);
  for (int d = 0; d < shape.inner; ++d)
    for (int n = 0; n < shape.states; ++n)
      a_log2[n * stride + d] = static_cast<float>(-std::exp(double{p.A_log[d * shape.states + n]}) * kLog2OfE);
  float* dt_rows = arena.zeros(shape.dt_rank * stride);
  transpose(p.dt_weight, shape.dt_rank, shape.inner, shape.dt_rank, dt_rows, stride);
  m.dt_rows = dt_rows;
  layer.conv_weight = taps;
  layer.a_log2 = a_log2;
  layer.conv_bias = arena.padded(p.conv_bias, shape.inner, stride);
  layer.D = arena.padded(p.D, shape.inner, stride);
  return m;
}

// Sums of all sequences, to arrays as the parameters'.
void unpack_sums(const TrainedVimm& m, const float* sums, const VimmArrays<const float>& parameters,
                 const VimmArrays<float>& g) {
  const VimmSums at(m);
  const std::ptrdiff_t channels = m.layer.norm.channels, inner = m.layer.inner_channels;
  const auto rows = [&](std::ptrdiff_t place, std::ptrdiff_t count, float* to) {
    for (std::ptrdiff_t row = 0; row < count; ++row)
      std::copy_n(sums + place + row * at.inner_columns, inner, to + row * inner);
  };
  std::copy_n(sums + at.norm_weight, channels, g.norm_weight);
  std::copy_n(sums + at.norm_bias, channels, g.norm_bias);
  transpose(sums + at.in_proj, at.in_columns, channels, 2 * inner, g.in_proj, channels);
  rows(at.out_proj, channels, g.out_proj);
  rows(at.x_proj, m.projected(), g.x_proj);
  transpose(sums + at.dt_proj, at.inner_columns, m.layer.dt_rank, inner, g.dt_weight, m.layer.dt_rank);
  transpose(sums + at.conv_weight, at.inner_columns, m.layer.conv_taps, inner, g.conv_weight, m.layer.conv_taps);
  rows(at.conv_bias, 1, g.conv_bias);
  rows(at.D, 1, g.D);
  rows(at.dt_bias, 1, g.dt_bias);
  // A = -exp(A_log).
  transpose(sums + at.A, at.inner_columns, m.layer.states, inner, g.A_log, m.layer.states);
  for (std::ptrdiff_t i = 0; i < inner * m.layer.states; ++i) g.A_log[i] *= -std::exp(parameters.A_log[i]);
}

TrainedConv conv_sizes(int inputs, int outputs) {
  TrainedConv m;
  m.inputs = inputs;
  m.outputs = outputs;
  m.in_stride = odd_lines(columns(inputs));
  m.out_stride = odd_lines(columns(outputs));
  for (int point = 0; point + 1 < kFilterPoints; ++point) {
    m.places[point] = static_cast<float>(kFilterTransform[point].place);
    m.shares[point] = static_cast<float>(1 / kFilterTransform[point].norm);
  }
  return m;
}

// `weight(output, row, tap, input)`.
template <typename Weight>
TrainedConv pack_conv(Arena& arena, int inputs, int outputs, const float* bias, const Weight& weight) {
  TrainedConv m = conv_sizes(inputs, outputs);
  m.conv.bias = bias ? arena.padded(bias, outputs, m.out_stride) : arena.zeros(m.out_stride);
  pack_filtered(kernels(), inputs, outputs, [&](std::ptrdiff_t count) { return arena.unwritten(count); }, weight,
                m.conv);
  return m;
}

// Calls work(piece, image, first row, row behind the last, workspace) for every piece of every image.
template <typename Work>
void for_pieces(Arena& arena, const TrainedConv& m, const ConvShape& shape, int threads, const Work& work) {
  const std::ptrdiff_t pieces = (shape.height + TrainedConv::kRows - 1) / TrainedConv::kRows;
  const Workspaces workspaces(arena, m.workspace(), shape.batch * pieces, threads);
  parallel_for_in(shape.batch * pieces, threads, [&](std::ptrdiff_t piece, int thread) {
    const std::ptrdiff_t begin = piece % pieces * TrainedConv::kRows;
    work(piece, piece / pieces, begin, std::min(begin + TrainedConv::kRows, shape.height), workspaces.of(thread));
  });
}

void convolve_images(Arena& arena, const TrainedConv& m, const ConvShape& shape, const float* x, float* y,
                     int threads) {
  const std::ptrdiff_t pixels = shape.height * shape.width;
  for_pieces(arena, m, shape, threads,
             [&](std::ptrdiff_t, std::ptrdiff_t image, std::ptrdiff_t begin, std::ptrdiff_t end, float* work) {
               kernels().conv_training_forward(m, x + image * pixels * m.inputs, y + image * pixels * m.outputs,
                                               shape.height, shape.width, begin, end, work);
             });
}

}  // namespace

VimmKept vimm_kept(const VimmShape& shape) {
  const TrainedVimm m = vimm_sizes(shape);
  return {m.kept_token(), m.kept_state(), m.kept_besides()};
}

void vimm_forward(const VimmShape& shape, const VimmArrays<const float>& parameters, const float* x, float* y,
                  float* kept, int threads) {
  Arena arena;
  const TrainedVimm m = pack_vimm(arena, shape, parameters);
  const std::ptrdiff_t tokens = shape.length * shape.channels;
  const Workspaces workspaces(arena, m.workspace(), shape.batch, threads);
  parallel_for_in(shape.batch, threads, [&](std::ptrdiff_t i, int thread) {
    kernels().vimm_training_forward(m, x + i * tokens, y + i * tokens, kept + i * m.kept(shape.length), shape.length,
                                    workspaces.of(thread));
  });
}

void vimm_backward(const VimmShape& shape, const VimmArrays<const float>& parameters, const float* x,
                   const float* kept, const float* grad_y, float* grad_x, const VimmArrays<float>& gradients,
                   int threads) {
  Arena arena;
  const TrainedVimm m = pack_vimm(arena, shape, parameters);
  const std::ptrdiff_t tokens = shape.length * shape.channels, count = VimmSums(m).count;
  float* sums = arena.unwritten(shape.batch * count);
  const Workspaces workspaces(arena, m.workspace(), shape.batch, threads);
  parallel_for_in(shape.batch, threads, [&](std::ptrdiff_t i, int thread) {
    kernels().vimm_training_backward(m, x + i * tokens, kept + i * m.kept(shape.length), grad_y + i * tokens,
                                     grad_x + i * tokens, sums + i * count, shape.length, workspaces.of(thread));
  });
  add_up(sums, shape.batch, count);
  unpack_sums(m, sums, parameters, gradients);
}

void conv3x3_forward(const ConvShape& shape, const float* x, const float* weight, const float* bias, float* y,
                     int threads) {
  Arena arena;
  const int inputs = shape.inputs;
  const TrainedConv m =
      pack_conv(arena, inputs, shape.outputs, bias, [=](auto output, int row, int tap, int input) {
        return weight[((output * 3 + row) * 3 + tap) * inputs + input];
      });
  convolve_images(arena, m, shape, x, y, threads);
}

void conv3x3_backward_input(const ConvShape& shape, const float* weight, const float* grad_y, float* grad_x,
                            int threads) {
  Arena arena;
  const int inputs = shape.inputs;
  // The gradient is a convolution from outputs to inputs with the window turned round.
  const TrainedConv m =
      pack_conv(arena, shape.outputs, inputs, nullptr, [=](auto input, int row, int tap, int output) {
        return weight[((output * 3 + 2 - row) * 3 + 2 - tap) * inputs + input];
      });
  convolve_images(arena, m, shape, grad_y, grad_x, threads);
}

void conv3x3_backward_weight(const ConvShape& shape, const float* x, const float* grad_y, float* grad_weight,
                             float* grad_bias, int threads) {
  Arena arena;
  const int inputs = shape.inputs, outputs = shape.outputs;
  const TrainedConv m = conv_sizes(inputs, outputs);
  const std::ptrdiff_t pieces = shape.batch * ((shape.height + TrainedConv::kRows - 1) / TrainedConv::kRows);
  const std::ptrdiff_t pixels = shape.height * shape.width;
  float* sums = arena.unwritten(pieces * m.sums());
  for_pieces(arena, m, shape, threads,
             [&](std::ptrdiff_t piece, std::ptrdiff_t image, std::ptrdiff_t begin, std::ptrdiff_t end, float* work) {
               kernels().conv_training_weights(m, x + image * pixels * inputs, grad_y + image * pixels * outputs,
                                               shape.height, shape.width, begin, end, sums + piece * m.sums(), work);
             });
  add_up(sums, pieces, m.sums());
  // (taps, inputs, columns) to (outputs, taps, inputs).
  constexpr int kTaps = kConvRows * kConvRows;
  transpose(sums, m.out_columns(), static_cast<std::ptrdiff_t>(kTaps) * inputs, outputs, grad_weight,
            static_cast<std::ptrdiff_t>(kTaps) * inputs);
  std::copy_n(sums + kTaps * inputs * m.out_columns(), outputs, grad_bias);
}

}  // namespace dvmsr
