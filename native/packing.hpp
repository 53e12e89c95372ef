// Weights in the order in which the kernels read them.
#pragma once

#include <cmath>
#include <cstring>

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

// Packs weights that `weight(output, segment, tap, channel)` gives. `allocate(floats)` returns memory that
// lives as long as the matrix.
template <typename Allocate, typename Weight>
Matrix pack_matrix(const Kernels& kernels, std::ptrdiff_t outputs, int segments, int taps, int inner,
                   Precision operands, const Allocate& allocate, const Weight& weight) {
  const int channels_of_step = operands == Precision::kBfloat16 ? 2 : 1;
  Matrix matrix;
  matrix.panel_vectors = panel_vectors(outputs, kernels.lanes, kernels.panel_vectors);
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
  for (int point = 0; point < kFilterPoints; ++point)
    conv.points[point] = pack_matrix(
        kernels, outputs, kConvRows, 1, inputs, Precision::kFloat32, allocate,
        [&, point](auto output, int row, int, int channel) {
          const double last = weight(output, row, 2, channel);
          if (point + 1 == kFilterPoints) return static_cast<float>(last);
          const auto [place, norm] = kFilterTransform[point];
          const double first = weight(output, row, 0, channel), middle = weight(output, row, 1, channel);
          return static_cast<float>((first + place * (middle + place * last)) / norm);
        });
}

}  // namespace dvmsr
