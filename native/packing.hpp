// Weights in the order in which the kernels read them.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"

namespace dvmsr {

inline constexpr double kLog2OfE = 1.4426950408889634;

// Rounded to nearest even. Weights are finite.
inline Bfloat16 to_bfloat16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return {static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

// The places of one output's weights in a matrix: one in each step of a window.
struct PackedSteps {
  float* first;
  std::ptrdiff_t width;

  void set(int channel, float value) const { first[channel * width] = value; }
  void set(int channel, Bfloat16 value) const {
    reinterpret_cast<Bfloat16*>(first + channel / 2 * width)[channel % 2] = value;
  }
};

// A matrix whose weights are still to be set.
struct UnpackedMatrix {
  Matrix matrix;
  float* weights;  // those of the matrix, all 0
  std::ptrdiff_t width;

  // `allocate(floats)` returns memory that lives as long as the matrix.
  template <typename Allocate>
  UnpackedMatrix(const Kernels& kernels, std::ptrdiff_t outputs, int segments, int taps, int inner,
                 Precision operands, const Allocate& allocate) {
    const int channels_of_step = operands == Precision::kBfloat16 ? 2 : 1;
    matrix.panel_vectors = panel_vectors(outputs, kernels.lanes, kernels.panel_vectors);
    width = static_cast<std::ptrdiff_t>(matrix.panel_vectors) * kernels.lanes;
    matrix.panels = static_cast<int>((outputs + width - 1) / width);
    matrix.segments = segments;
    matrix.taps = taps;
    matrix.steps = (inner + channels_of_step - 1) / channels_of_step;
    matrix.operands = operands;
    // Of the size of a step in either precision.
    const std::ptrdiff_t floats = matrix.panels * width * segments * taps * matrix.steps;
    weights = allocate(floats);
    std::memset(weights, 0, static_cast<std::size_t>(floats) * sizeof(float));
    matrix.weights = weights;
  }

  PackedSteps steps(std::ptrdiff_t output, int segment, int tap) const {
    const std::ptrdiff_t window = (output / width * matrix.segments + segment) * matrix.taps + tap;
    return {weights + window * matrix.steps * width + output % width, width};
  }
};

// Packs weights that `weight(output, segment, tap, channel)` gives.
template <typename Allocate, typename Weight>
Matrix pack_matrix(const Kernels& kernels, std::ptrdiff_t outputs, int segments, int taps, int inner,
                   Precision operands, const Allocate& allocate, const Weight& weight) {
  const UnpackedMatrix packed(kernels, outputs, segments, taps, inner, operands, allocate);
  for (std::ptrdiff_t output = 0; output < outputs; ++output)
    for (int segment = 0; segment < segments; ++segment)
      for (int tap = 0; tap < taps; ++tap) {
        const PackedSteps steps = packed.steps(output, segment, tap);
        for (int channel = 0; channel < inner; ++channel) {
          const float value = weight(output, segment, tap, channel);
          if (operands == Precision::kBfloat16)
            steps.set(channel, to_bfloat16(value));
          else
            steps.set(channel, value);
        }
      }
  return packed.matrix;
}

// The transform of a window's row for one point of minimal filtering: sum over the taps of
// place^tap * weight, over the norm; for the last point the last tap alone.
struct FilterPoint {
  double place, norm;
};
constexpr double kFilterNearSquare = kFilterNear * kFilterNear, kFilterFarSquare = kFilterFar * kFilterFar;
inline constexpr FilterPoint kFilterTransform[kFilterPoints - 1] = {
    {0, 1},
    {kFilterNear, 2 * kFilterNearSquare * (kFilterNearSquare - kFilterFarSquare)},
    {-kFilterNear, 2 * kFilterNearSquare * (kFilterNearSquare - kFilterFarSquare)},
    {kFilterFar, 2 * kFilterFarSquare * (kFilterFarSquare - kFilterNearSquare)},
    {-kFilterFar, 2 * kFilterFarSquare * (kFilterFarSquare - kFilterNearSquare)},
};

// Packs a 3x3 convolution for minimal filtering; `weight(output, row, tap, channel)`.
template <typename Allocate, typename Weight>
void pack_filtered(const Kernels& kernels, int inputs, int outputs, const Allocate& allocate, const Weight& weight,
                   Convolution& conv) {
  conv.filtered = true;
  std::vector<UnpackedMatrix> points;
  for (Matrix& point : conv.points)
    point = points.emplace_back(kernels, outputs, kConvRows, 1, inputs, Precision::kFloat32, allocate).matrix;
  for (std::ptrdiff_t output = 0; output < outputs; ++output)
    for (int row = 0; row < kConvRows; ++row) {
      std::vector<PackedSteps> steps;
      for (const UnpackedMatrix& point : points) steps.push_back(point.steps(output, row, 0));
      for (int channel = 0; channel < inputs; ++channel) {
        const double first = weight(output, row, 0, channel), middle = weight(output, row, 1, channel);
        const double last = weight(output, row, 2, channel);
        for (int point = 0; point + 1 < kFilterPoints; ++point) {
          const auto [place, norm] = kFilterTransform[point];
          steps[point].set(channel, static_cast<float>((first + place * (middle + place * last)) / norm));
        }
        steps[kFilterPoints - 1].set(channel, static_cast<float>(last));
      }
    }
}

}  // namespace dvmsr
