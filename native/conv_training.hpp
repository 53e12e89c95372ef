// 3x3 convolutions of whole images with a border of zeros, for training: forward, which with the window
// turned round is also the gradient of the input, and the gradient of the weights. All by minimal filtering
// (minimal_filtering.hpp), whose transforms, read the other way, also halve the products of the weights'
// gradient: with Y = A^T ((G w) * (B^T d)) for one tile, dw = G^T ((A dY) * (B^T d)), summed over all tiles.
#pragma once

#include <cstring>

#include "kernels.hpp"
#include "minimal_filtering.hpp"
#include "outer.hpp"

namespace dvmsr::DVMSR_ISA {

// The tokens of one row of an image that the tiles from `tile` on need, and `points` for each tile.
struct TileRow {
  const float* image;  // (height, width, channels)
  std::ptrdiff_t height, width;
  int channels;
};

// Copies tokens [first, first + count) of a row, zeros where the image has none. `line` is (count, stride),
// its padding 0.
inline void read_row(const TileRow& in, std::ptrdiff_t row, std::ptrdiff_t first, std::ptrdiff_t count, float* line,
                     std::ptrdiff_t stride) {
  const std::size_t size = static_cast<std::size_t>(in.channels) * sizeof(float);
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const std::ptrdiff_t column = first + i;
    if (row < 0 || row >= in.height || column < 0 || column >= in.width)
      std::memset(line + i * stride, 0, size);
    else
      std::memcpy(line + i * stride, in.image + (row * in.width + column) * in.channels, size);
  }
}

// Windows' rows: of `tiles` tiles from token `first` on, (points: pitch; tiles, stride).
inline void filter_row(const TileRow& in, std::ptrdiff_t row, std::ptrdiff_t first, int tiles, float* line,
                       std::ptrdiff_t stride, float* out, std::ptrdiff_t pitch) {
  read_row(in, row, first - 1, tiles * kFilterOutputs + 2, line, stride);
  for (int tile = 0; tile < tiles; ++tile)
    for (std::ptrdiff_t c = 0; c < in.channels; c += kLanes) {
      Vec d[kFilterPoints], points[kFilterPoints];
#pragma GCC unroll 6
      for (int i = 0; i < kFilterPoints; ++i) d[i] = load(line + (tile * kFilterOutputs + i) * stride + c);
      transform_input(d, points);
#pragma GCC unroll 6
      for (int i = 0; i < kFilterPoints; ++i) store(out + i * pitch + tile * stride + c, points[i]);
    }
}

// The same of outputs' gradients; `sum` gets their sum added.
inline void filter_gradient_row(const TileRow& in, std::ptrdiff_t row, std::ptrdiff_t first, int tiles, float* line,
                                std::ptrdiff_t stride, float* out, std::ptrdiff_t pitch, float* sum) {
  read_row(in, row, first, tiles * kFilterOutputs, line, stride);
  for (std::ptrdiff_t c = 0; c < in.channels; c += kLanes) {
    Vec total = load(sum + c);
    for (int tile = 0; tile < tiles; ++tile) {
      Vec d[kFilterOutputs];
#pragma GCC unroll 4
      for (int i = 0; i < kFilterOutputs; ++i) d[i] = load(line + (tile * kFilterOutputs + i) * stride + c);
      total += (d[0] + d[1]) + (d[2] + d[3]);
      const Vec near_even = fma(broadcast(kNear * kNear), d[2], d[0]);
      const Vec near_odd = fma(broadcast(kNear * kNear * kNear), d[3], broadcast(kNear) * d[1]);
      const Vec far_even = fma(broadcast(kFar * kFar), d[2], d[0]);
      const Vec far_odd = fma(broadcast(kFar * kFar * kFar), d[3], broadcast(kFar) * d[1]);
      float* to = out + tile * stride + c;
      store(to, d[0]);
      store(to + pitch, near_even + near_odd);
      store(to + 2 * pitch, near_even - near_odd);
      store(to + 3 * pitch, far_even + far_odd);
      store(to + 4 * pitch, far_even - far_odd);
      store(to + 5 * pitch, d[3]);
    }
    store(sum + c, total);
  }
}

// Rows [begin, end) of one image's output, (height, width, outputs).
inline void conv_training_forward(const TrainedConv& m, const float* x, float* y, std::ptrdiff_t height,
                                  std::ptrdiff_t width, std::ptrdiff_t begin, std::ptrdiff_t end, float* work) {
  const TileRow in = {x, height, width, m.inputs};
  const int columns = m.conv.points[0].panels * m.conv.points[0].panel_vectors * kLanes;
  const std::ptrdiff_t stride = m.in_stride;
  const TrainedConv::Tiles tiles(width, begin, end);
  float* line = work;
  float* filtered = line + TrainedConv::kLine * stride;
  float* products = filtered + kFilterPoints * TrainedConv::kInputTiles * stride;
  std::memset(line, 0, static_cast<std::size_t>(TrainedConv::kLine * stride) * sizeof(float));
  for (int tile = 0; tile < tiles.of_row; tile += tiles.at_once) {
    const int count = tiles.of_row - tile < tiles.at_once ? tiles.of_row - tile : tiles.at_once;
    const std::ptrdiff_t first = tile * static_cast<std::ptrdiff_t>(kFilterOutputs);
    for (std::ptrdiff_t row = begin; row < end; row += tiles.rows) {
      const int rows = static_cast<int>(end - row < tiles.rows ? end - row : tiles.rows);
      const std::ptrdiff_t in_pitch = (rows + kConvRows - 1) * count * stride;
      for (int r = 0; r < rows + kConvRows - 1; ++r)
        filter_row(in, row + r - 1, first, count, line, stride, filtered + r * count * stride, in_pitch);
      const std::ptrdiff_t out_pitch = static_cast<std::ptrdiff_t>(rows) * count * columns;
      for (int point = 0; point < kFilterPoints; ++point) {
        const void* segments[kConvRows];
        for (int r = 0; r < kConvRows; ++r) segments[r] = filtered + point * in_pitch + r * count * stride;
        matmul(m.conv.points[point], segments, stride, rows * count, nullptr, products + point * out_pitch, columns);
      }
      for (int i = 0; i < rows * count; ++i) {
        const std::ptrdiff_t token = first + i % count * kFilterOutputs;
        float* to = y + ((row + i / count) * width + token) * m.outputs;
        for (int c = 0; c < m.outputs; c += kLanes) {
          const int lanes = m.outputs - c < kLanes ? m.outputs - c : kLanes;
          Vec out[kFilterOutputs];
          transform_output(products + static_cast<std::ptrdiff_t>(i) * columns + c, out_pitch, out);
          for (int k = 0; k < kFilterOutputs && token + k < width; ++k)
            store_partial(to + k * m.outputs + c, out[k] + load(m.conv.bias + c), lanes);
        }
      }
    }
  }
}

// Sums of the weights' gradient over rows [begin, end) of one image, (rows, taps, inputs, out_columns), and
// of the bias's behind them.
inline void conv_training_weights(const TrainedConv& m, const float* x, const float* grad_y, std::ptrdiff_t height,
                                  std::ptrdiff_t width, std::ptrdiff_t begin, std::ptrdiff_t end, float* sums,
                                  float* work) {
  const TileRow in = {x, height, width, m.inputs}, gradient = {grad_y, height, width, m.outputs};
  const std::ptrdiff_t in_stride = m.in_stride, out_stride = m.out_stride, matrix = m.inputs * m.out_columns();
  const TrainedConv::Tiles tiles(width, begin, end);
  float* in_line = work;
  float* out_line = in_line + TrainedConv::kLine * in_stride;
  float* filtered = out_line + TrainedConv::kLine * out_stride;
  float* gradients = filtered + kFilterPoints * TrainedConv::kInputTiles * in_stride;
  float* products = gradients + kFilterPoints * TrainedConv::kTiles * out_stride + kOuterColumns;
  float* bias = sums + kConvRows * kConvRows * matrix;
  std::memset(in_line, 0, static_cast<std::size_t>(TrainedConv::kLine * (in_stride + out_stride)) * sizeof(float));
  std::memset(products, 0, static_cast<std::size_t>(kFilterPoints * kConvRows * matrix) * sizeof(float));
  std::memset(bias, 0, static_cast<std::size_t>(m.out_columns()) * sizeof(float));
  for (int tile = 0; tile < tiles.of_row; tile += tiles.at_once) {
    const int count = tiles.of_row - tile < tiles.at_once ? tiles.of_row - tile : tiles.at_once;
    const std::ptrdiff_t first = tile * static_cast<std::ptrdiff_t>(kFilterOutputs);
    for (std::ptrdiff_t row = begin; row < end; row += tiles.rows) {
      const int rows = static_cast<int>(end - row < tiles.rows ? end - row : tiles.rows);
      const std::ptrdiff_t in_pitch = (rows + kConvRows - 1) * count * in_stride;
      const std::ptrdiff_t out_pitch = static_cast<std::ptrdiff_t>(rows) * count * out_stride;
      for (int r = 0; r < rows + kConvRows - 1; ++r)
        filter_row(in, row + r - 1, first, count, in_line, in_stride, filtered + r * count * in_stride, in_pitch);
      for (int r = 0; r < rows; ++r)
        filter_gradient_row(gradient, row + r, first, count, out_line, out_stride, gradients + r * count * out_stride,
                            out_pitch, bias);
      for (int point = 0; point < kFilterPoints; ++point)
        for (int r = 0; r < kConvRows; ++r)
          outer(filtered + point * in_pitch + r * count * in_stride, in_stride, m.inputs,
                gradients + point * out_pitch, out_stride, m.outputs, rows * count,
                products + (point * kConvRows + r) * matrix, m.out_columns());
    }
  }
  // From points to taps.
  for (int r = 0; r < kConvRows; ++r)
    for (std::ptrdiff_t i = 0; i < matrix; i += kLanes) {
      Vec taps[kConvRows] = {};
      for (int point = 0; point + 1 < kFilterPoints; ++point) {
        const float place = m.places[point];
        const Vec value = load(products + (point * kConvRows + r) * matrix + i) * m.shares[point];
        taps[0] += value;
        taps[1] = fma(broadcast(place), value, taps[1]);
        taps[2] = fma(broadcast(place * place), value, taps[2]);
      }
      taps[2] += load(products + ((kFilterPoints - 1) * kConvRows + r) * matrix + i);
      for (int tap = 0; tap < kConvRows; ++tap) store(sums + (r * kConvRows + tap) * matrix + i, taps[tap]);
    }
}

}  // namespace dvmsr::DVMSR_ISA
