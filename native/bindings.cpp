// The one file that knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <array>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>

#include "kept_threads.hpp"
#include "kernels.hpp"
#include "memory.hpp"
#include "network.hpp"
#include "parallel.hpp"
#include "profile.hpp"
#include "stream.hpp"
#include "training.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// Arrays come in with their shapes already checked by the Python side, which also makes the
// outputs; here only the type, the order and the number of dimensions are enforced.
template <std::size_t Dimensions>
using In = nb::ndarray<const float, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;
// (batch, length, channels) whose tokens lie at one distance from each other, channels dense.
using Tokens = nb::ndarray<const float, nb::ndim<3>, nb::device::cpu>;
template <std::size_t Dimensions>
using Out = nb::ndarray<float, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;

dvmsr::ScanInputs scan_inputs(const In<3>& u, const In<3>& delta, const In<2>& A, const In<3>& B,
                              const In<3>& C, const In<1>& D, const Tokens& z, const In<1>& delta_bias,
                              const In<3>& initial_state) {
  return {static_cast<std::ptrdiff_t>(u.shape(0)),
          static_cast<std::ptrdiff_t>(u.shape(1)),
          static_cast<std::ptrdiff_t>(u.shape(2)),
          static_cast<std::ptrdiff_t>(A.shape(1)),
          u.data(),
          delta.data(),
          A.data(),
          B.data(),
          C.data(),
          D.data(),
          z.data(),
          static_cast<std::ptrdiff_t>(z.stride(1)),
          delta_bias.data(),
          initial_state.data()};
}

void selective_scan_forward(In<3> u, In<3> delta, In<2> A, In<3> B, In<3> C, In<1> D, Tokens z,
                            In<1> delta_bias, In<3> initial_state, Out<3> y, Out<3> last_state,
                            Out<4> checkpoints, int threads) {
  const dvmsr::ScanInputs in = scan_inputs(u, delta, A, B, C, D, z, delta_bias, initial_state);
  const dvmsr::ScanOutputs out = {y.data(), last_state.data(), checkpoints.data()};
  const nb::gil_scoped_release release;
  const dvmsr::Kernels& kernels = dvmsr::kernels();
  const auto groups = (in.channels + kernels.lanes - 1) / kernels.lanes;
  dvmsr::parallel_for(in.batch * groups, threads,
                      [&](std::ptrdiff_t i) { kernels.scan_forward(in, out, i / groups, i % groups); });
}

void selective_scan_backward(In<3> u, In<3> delta, In<2> A, In<3> B, In<3> C, In<1> D, Tokens z,
                             In<1> delta_bias, In<3> initial_state, In<4> checkpoints, In<3> grad_y,
                             In<3> grad_last_state, Out<3> grad_u, Out<3> grad_delta, Out<3> grad_A,
                             Out<3> grad_B, Out<3> grad_C, Out<2> grad_D, Out<3> grad_z,
                             Out<2> grad_delta_bias, Out<3> grad_initial_state, int threads) {
  const dvmsr::ScanInputs in = scan_inputs(u, delta, A, B, C, D, z, delta_bias, initial_state);
  const dvmsr::ScanGradients grad = {
      grad_y.data(), grad_last_state.data(), grad_u.data(), grad_delta.data(), grad_A.data(),
      grad_B.data(), grad_C.data(),          grad_D.data(), grad_z.data(),     grad_delta_bias.data(),
      grad_initial_state.data()};
  const nb::gil_scoped_release release;
  const dvmsr::Kernels& kernels = dvmsr::kernels();
  dvmsr::parallel_for(in.batch, threads, [&](std::ptrdiff_t sequence) {
    kernels.scan_backward(in, checkpoints.data(), grad, sequence);
  });
}

dvmsr::ConvInputs conv_inputs(const Tokens& x, const In<2>& weight, const In<1>& bias) {
  return {static_cast<std::ptrdiff_t>(x.shape(0)),
          static_cast<std::ptrdiff_t>(x.shape(1)),
          static_cast<std::ptrdiff_t>(x.shape(2)),
          static_cast<std::ptrdiff_t>(weight.shape(0)),
          x.data(),
          static_cast<std::ptrdiff_t>(x.stride(1)),
          weight.data(),
          bias.data()};
}

void causal_conv_forward(Tokens x, In<2> weight, In<1> bias, Out<3> y, int threads) {
  const dvmsr::ConvInputs in = conv_inputs(x, weight, bias);
  const nb::gil_scoped_release release;
  const dvmsr::Kernels& kernels = dvmsr::kernels();
  dvmsr::parallel_for(in.batch, threads,
                      [&](std::ptrdiff_t sequence) { kernels.causal_conv_forward(in, y.data(), sequence); });
}

void causal_conv_backward(Tokens x, In<2> weight, In<1> bias, In<3> grad_y, Out<3> grad_x, Out<3> grad_weight,
                          Out<2> grad_bias, int threads) {
  const dvmsr::ConvInputs in = conv_inputs(x, weight, bias);
  const dvmsr::ConvGradients grad = {grad_y.data(), grad_x.data(), grad_weight.data(), grad_bias.data()};
  const nb::gil_scoped_release release;
  const dvmsr::Kernels& kernels = dvmsr::kernels();
  dvmsr::parallel_for(in.batch, threads,
                      [&](std::ptrdiff_t sequence) { kernels.causal_conv_backward(in, grad, sequence); });
}

dvmsr::VimmShape vimm_shape(const In<3>& x, const In<2>& x_proj, const In<2>& conv_weight, const In<2>& A_log,
                            bool residual, bool bfloat16) {
  const auto inner = static_cast<int>(x_proj.shape(1)), states = static_cast<int>(A_log.shape(1));
  return {static_cast<std::ptrdiff_t>(x.shape(0)),
          static_cast<std::ptrdiff_t>(x.shape(1)),
          static_cast<int>(x.shape(2)),
          inner,
          states,
          static_cast<int>(conv_weight.shape(1)),
          static_cast<int>(x_proj.shape(0)) - 2 * states,
          residual,
          bfloat16};
}

void vimm_forward(In<3> x, In<1> norm_weight, In<1> norm_bias, In<2> in_proj, In<2> conv_weight, In<1> conv_bias,
                  In<2> x_proj, In<2> dt_weight, In<1> dt_bias, In<2> A_log, In<1> D, In<2> out_proj, bool residual,
                  bool bfloat16, Out<3> y, Out<2> kept, int threads) {
  const dvmsr::VimmShape shape = vimm_shape(x, x_proj, conv_weight, A_log, residual, bfloat16);
  const nb::gil_scoped_release release;
  dvmsr::vimm_forward(shape,
                      {norm_weight.data(), norm_bias.data(), in_proj.data(), conv_weight.data(), conv_bias.data(),
                       x_proj.data(), dt_weight.data(), dt_bias.data(), A_log.data(), D.data(), out_proj.data()},
                      x.data(), y.data(), kept.data(), threads);
}

void vimm_backward(In<3> x, In<1> norm_weight, In<1> norm_bias, In<2> in_proj, In<2> conv_weight, In<1> conv_bias,
                   In<2> x_proj, In<2> dt_weight, In<1> dt_bias, In<2> A_log, In<1> D, In<2> out_proj, bool residual,
                   bool bfloat16, In<2> kept, In<3> grad_y, Out<3> grad_x, Out<1> grad_norm_weight, Out<1> grad_norm_bias,
                   Out<2> grad_in_proj, Out<2> grad_conv_weight, Out<1> grad_conv_bias, Out<2> grad_x_proj,
                   Out<2> grad_dt_weight, Out<1> grad_dt_bias, Out<2> grad_A_log, Out<1> grad_D,
                   Out<2> grad_out_proj, int threads) {
  const dvmsr::VimmShape shape = vimm_shape(x, x_proj, conv_weight, A_log, residual, bfloat16);
  const nb::gil_scoped_release release;
  dvmsr::vimm_backward(shape,
                       {norm_weight.data(), norm_bias.data(), in_proj.data(), conv_weight.data(), conv_bias.data(),
                        x_proj.data(), dt_weight.data(), dt_bias.data(), A_log.data(), D.data(), out_proj.data()},
                       x.data(), kept.data(), grad_y.data(), grad_x.data(),
                       {grad_norm_weight.data(), grad_norm_bias.data(), grad_in_proj.data(), grad_conv_weight.data(),
                        grad_conv_bias.data(), grad_x_proj.data(), grad_dt_weight.data(), grad_dt_bias.data(),
                        grad_A_log.data(), grad_D.data(), grad_out_proj.data()},
                       threads);
}

// From x or its gradient and y or its gradient, (batch, height, width, channels).
template <typename X, typename Y>
dvmsr::ConvShape image_shape(const X& x, const Y& y) {
  return {static_cast<std::ptrdiff_t>(x.shape(0)), static_cast<std::ptrdiff_t>(x.shape(1)),
          static_cast<std::ptrdiff_t>(x.shape(2)), static_cast<int>(x.shape(3)), static_cast<int>(y.shape(3))};
}

void conv3x3_forward(In<4> x, In<4> weight, In<1> bias, Out<4> y, int threads) {
  const dvmsr::ConvShape shape = image_shape(x, y);
  const nb::gil_scoped_release release;
  dvmsr::conv3x3_forward(shape, x.data(), weight.data(), bias.data(), y.data(), threads);
}

void conv3x3_backward_input(In<4> weight, In<4> grad_y, Out<4> grad_x, int threads) {
  const dvmsr::ConvShape shape = image_shape(grad_x, grad_y);
  const nb::gil_scoped_release release;
  dvmsr::conv3x3_backward_input(shape, weight.data(), grad_y.data(), grad_x.data(), threads);
}

void conv3x3_backward_weight(In<4> x, In<4> grad_y, Out<4> grad_weight, Out<1> grad_bias, int threads) {
  const dvmsr::ConvShape shape = image_shape(x, grad_y);
  const nb::gil_scoped_release release;
  dvmsr::conv3x3_backward_weight(shape, x.data(), grad_y.data(), grad_weight.data(), grad_bias.data(), threads);
}

using Parameter = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Pixels = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using WritablePixels = nb::ndarray<nb::c_contig, nb::device::cpu>;

void make_network(dvmsr::Network* self, const nb::dict& parameters, int scale, int channels, int blocks,
                  int vimms_per_block, int state_size, int inner_channels, int conv_width, int dt_rank,
                  bool vimm_residual, std::array<float, 3> rgb_mean, bool bfloat16) {
  std::map<std::string, Parameter> arrays;
  dvmsr::Parameters pointers;
  for (const auto& [name, value] : parameters) {
    auto& array = arrays[nb::cast<std::string>(name)] = nb::cast<Parameter>(value);
    pointers[nb::cast<std::string>(name)] = array.data();
  }
  const dvmsr::Config config = {scale,          channels,   blocks,  vimms_per_block, state_size,
                                inner_channels, conv_width, dt_rank, vimm_residual,   rgb_mean};
  new (self) dvmsr::Network(config, pointers, bfloat16 ? dvmsr::Precision::kBfloat16 : dvmsr::Precision::kFloat32);
}

dvmsr::Pixel pixel_of(const Pixels& array) {
  if (array.dtype() == nb::dtype<std::uint8_t>()) return dvmsr::Pixel::kUint8;
  if (array.dtype() == nb::dtype<std::uint16_t>()) return dvmsr::Pixel::kUint16;
  return dvmsr::Pixel::kFloat;
}

void make_stream(dvmsr::Stream* self, const dvmsr::Network& network, std::ptrdiff_t width, int threads) {
  // Counts of a row's pixels are ints.
  if (width < 1 || width > std::numeric_limits<int>::max() || threads < 1)
    throw std::invalid_argument("width and threads must be from 1, and fit an int");
  new (self) dvmsr::Stream(network, width, threads);
}

void run_stream(dvmsr::Stream& stream, const Pixels& input, const WritablePixels& output, bool last) {
  const dvmsr::Pixel pixel = pixel_of(input);
  const auto rows = static_cast<std::ptrdiff_t>(input.shape(0));
  bool done = false;
  {
    const nb::gil_scoped_release release;
    // In the main thread this runs Python's signal handlers, whose exception, Ctrl-C's for one, ends the run.
    done = stream.run(input.data(), rows, last, output.data(), pixel, [] {
      const nb::gil_scoped_acquire acquire;
      return PyErr_CheckSignals() != 0;
    });
  }
  if (!done) throw nb::python_error();
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The native core of dvmsr. Use dvmsr.kernels and dvmsr.engine instead.";
  m.attr("SCAN_CHUNK") = dvmsr::kScanChunk;
  m.attr("VIMM_PART") = dvmsr::kVimmPart;
  m.attr("MAX_STATES") = dvmsr::kMaxStates;
  m.def("instruction_set", [] { return dvmsr::kernels().name; });
  m.def("multiplies_bfloat16", [] { return dvmsr::kernels().multiplies_bfloat16; });
  m.def("keep_threads", dvmsr::keep_threads, "count"_a, nb::call_guard<nb::gil_scoped_release>());
  m.def("keep_freed_memory", dvmsr::keep_freed_memory, "keep"_a);
  m.def("selective_scan_forward", selective_scan_forward, "u"_a, "delta"_a, "A"_a, "B"_a, "C"_a, "D"_a,
        "z"_a, "delta_bias"_a, "initial_state"_a, "y"_a, "last_state"_a, "checkpoints"_a, "threads"_a);
  m.def("selective_scan_backward", selective_scan_backward, "u"_a, "delta"_a, "A"_a, "B"_a, "C"_a, "D"_a,
        "z"_a, "delta_bias"_a, "initial_state"_a, "checkpoints"_a, "grad_y"_a, "grad_last_state"_a, "grad_u"_a,
        "grad_delta"_a, "grad_A"_a, "grad_B"_a, "grad_C"_a, "grad_D"_a, "grad_z"_a, "grad_delta_bias"_a,
        "grad_initial_state"_a, "threads"_a);
  m.def("causal_conv_forward", causal_conv_forward, "x"_a, "weight"_a, "bias"_a, "y"_a, "threads"_a);
  m.def("causal_conv_backward", causal_conv_backward, "x"_a, "weight"_a, "bias"_a, "grad_y"_a, "grad_x"_a,
        "grad_weight"_a, "grad_bias"_a, "threads"_a);
  m.def(
      "vimm_kept",
      [](int channels, int inner, int states, int taps, int dt_rank) {
        const dvmsr::VimmKept kept = dvmsr::vimm_kept({1, 1, channels, inner, states, taps, dt_rank, false, false});
        return std::array{kept.token, kept.part, kept.besides};
      },
      "channels"_a, "inner"_a, "states"_a, "taps"_a, "dt_rank"_a);
  m.def("vimm_forward", vimm_forward, "x"_a, "norm_weight"_a, "norm_bias"_a, "in_proj"_a, "conv_weight"_a,
        "conv_bias"_a, "x_proj"_a, "dt_weight"_a, "dt_bias"_a, "A_log"_a, "D"_a, "out_proj"_a, "residual"_a,
        "bfloat16"_a, "y"_a, "kept"_a, "threads"_a);
  m.def("vimm_backward", vimm_backward, "x"_a, "norm_weight"_a, "norm_bias"_a, "in_proj"_a, "conv_weight"_a,
        "conv_bias"_a, "x_proj"_a, "dt_weight"_a, "dt_bias"_a, "A_log"_a, "D"_a, "out_proj"_a, "residual"_a,
        "bfloat16"_a, "kept"_a, "grad_y"_a, "grad_x"_a, "grad_norm_weight"_a, "grad_norm_bias"_a, "grad_in_proj"_a,
        "grad_conv_weight"_a, "grad_conv_bias"_a, "grad_x_proj"_a, "grad_dt_weight"_a, "grad_dt_bias"_a,
        "grad_A_log"_a, "grad_D"_a, "grad_out_proj"_a, "threads"_a);
  m.def("conv3x3_forward", conv3x3_forward, "x"_a, "weight"_a, "bias"_a, "y"_a, "threads"_a);
  m.def("conv3x3_backward_input", conv3x3_backward_input, "weight"_a, "grad_y"_a, "grad_x"_a, "threads"_a);
  m.def("conv3x3_backward_weight", conv3x3_backward_weight, "x"_a, "grad_y"_a, "grad_weight"_a, "grad_bias"_a,
        "threads"_a);
  m.def(
      "measure_peak",
      [](bool bfloat16) {
        const nb::gil_scoped_release release;
        const dvmsr::Peak peak =
            dvmsr::measure_peak(bfloat16 ? dvmsr::Precision::kBfloat16 : dvmsr::Precision::kFloat32);
        return std::pair{peak.flops, peak.bytes};
      },
      "bfloat16"_a);

  nb::class_<dvmsr::Network>(m, "Network")
      .def("__init__", make_network, "parameters"_a, "scale"_a, "channels"_a, "blocks"_a, "vimms_per_block"_a,
           "state_size"_a, "inner_channels"_a, "conv_width"_a, "dt_rank"_a, "vimm_residual"_a, "rgb_mean"_a,
           "bfloat16"_a);
  nb::class_<dvmsr::Stream>(m, "Stream")
      .def("__init__", make_stream, nb::keep_alive<1, 2>(), "network"_a, "width"_a, "threads"_a)
      .def("profile", &dvmsr::Stream::profile)
      .def("seconds_of_operations", &dvmsr::Stream::seconds_of_operations)
      .def("seconds", &dvmsr::Stream::seconds)
      .def("rows_after", &dvmsr::Stream::rows_after, "rows"_a, "last"_a)
      .def("run", run_stream, "input"_a, "output"_a, "last"_a);
}
