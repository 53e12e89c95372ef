// The one file that knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "kernels.hpp"
#include "parallel.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// Arrays come in with their shapes already checked by the Python side, which also makes the
// outputs; here only the type, the order and the number of dimensions are enforced.
template <std::size_t Dimensions>
using In = nb::ndarray<const float, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;
template <std::size_t Dimensions>
using Out = nb::ndarray<float, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;

dvmsr::ScanInputs scan_inputs(const In<3>& u, const In<3>& delta, const In<2>& A, const In<3>& B,
                              const In<3>& C, const In<1>& D, const In<3>& z, const In<1>& delta_bias) {
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
          delta_bias.data()};
}

void selective_scan_forward(In<3> u, In<3> delta, In<2> A, In<3> B, In<3> C, In<1> D, In<3> z,
                            In<1> delta_bias, Out<3> y, Out<3> last_state, Out<4> checkpoints,
                            int threads) {
  const dvmsr::ScanInputs in = scan_inputs(u, delta, A, B, C, D, z, delta_bias);
  const dvmsr::ScanOutputs out = {y.data(), last_state.data(), checkpoints.data()};
  const nb::gil_scoped_release release;
  const dvmsr::Kernels& kernels = dvmsr::kernels();
  const auto groups = (in.channels + kernels.lanes - 1) / kernels.lanes;
  dvmsr::parallel_for(in.batch * groups, threads,
                      [&](std::ptrdiff_t i) { kernels.scan_forward(in, out, i / groups, i % groups); });
}

void selective_scan_backward(In<3> u, In<3> delta, In<2> A, In<3> B, In<3> C, In<1> D, In<3> z,
                             In<1> delta_bias, In<4> checkpoints, In<3> grad_y, In<3> grad_last_state,
                             Out<3> grad_u, Out<3> grad_delta, Out<3> grad_A, Out<3> grad_B, Out<3> grad_C,
                             Out<2> grad_D, Out<3> grad_z, Out<2> grad_delta_bias, int threads) {
  const dvmsr::ScanInputs in = scan_inputs(u, delta, A, B, C, D, z, delta_bias);
  const dvmsr::ScanGradients grad = {
      grad_y.data(), grad_last_state.data(), grad_u.data(), grad_delta.data(), grad_A.data(),
      grad_B.data(), grad_C.data(),          grad_D.data(), grad_z.data(),     grad_delta_bias.data()};
  const nb::gil_scoped_release release;
  const dvmsr::Kernels& kernels = dvmsr::kernels();
  dvmsr::parallel_for(in.batch, threads, [&](std::ptrdiff_t sequence) {
    kernels.scan_backward(in, checkpoints.data(), grad, sequence);
  });
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The native core of dvmsr. Use dvmsr.kernels and dvmsr.engine instead.";
  m.attr("SCAN_CHUNK") = dvmsr::kScanChunk;
  m.def("instruction_set", [] { return dvmsr::kernels().name; });
  m.def("selective_scan_forward", selective_scan_forward, "u"_a, "delta"_a, "A"_a, "B"_a, "C"_a, "D"_a,
        "z"_a, "delta_bias"_a, "y"_a, "last_state"_a, "checkpoints"_a, "threads"_a);
  m.def("selective_scan_backward", selective_scan_backward, "u"_a, "delta"_a, "A"_a, "B"_a, "C"_a, "D"_a,
        "z"_a, "delta_bias"_a, "checkpoints"_a, "grad_y"_a, "grad_last_state"_a, "grad_u"_a, "grad_delta"_a,
        "grad_A"_a, "grad_B"_a, "grad_C"_a, "grad_D"_a, "grad_z"_a, "grad_delta_bias"_a, "threads"_a);
}
