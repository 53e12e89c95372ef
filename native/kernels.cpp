// Compiled once for each instruction set, with DVMSR_ISA as its name (see CMakeLists.txt).
#include "kernels.hpp"

#include "denormals.hpp"
#include "causal_conv.hpp"
#include "minimal_filtering.hpp"
#include "pixels.hpp"
#include "selective_scan.hpp"
#include "vimm.hpp"

#define DVMSR_STRING(x) #x
#define DVMSR_NAME(x) DVMSR_STRING(x)

namespace dvmsr::DVMSR_ISA {
namespace {

void run_scan_forward(const ScanInputs& in, const ScanOutputs& out, std::ptrdiff_t sequence,
                      std::ptrdiff_t group) {
  const FlushDenormals flush;
  // 16 states is what every published network has; the loop over them is unrolled for it.
  (in.states == 16 ? scan_forward<16> : scan_forward<0>)(in, out, sequence, group);
}

void run_scan_backward(const ScanInputs& in, const float* checkpoints, const ScanGradients& grad,
                       std::ptrdiff_t sequence) {
  const FlushDenormals flush;
  (in.states == 16 ? scan_backward<16> : scan_backward<0>)(in, checkpoints, grad, sequence);
}

void run_causal_conv_forward(const ConvInputs& in, float* y, std::ptrdiff_t sequence) {
  const FlushDenormals flush;
  causal_conv_forward(in, y, sequence);
}

void run_causal_conv_backward(const ConvInputs& in, const ConvGradients& grad, std::ptrdiff_t sequence) {
  const FlushDenormals flush;
  causal_conv_backward(in, grad, sequence);
}

}  // namespace

extern const Kernels table;
const Kernels table = {
    DVMSR_NAME(DVMSR_ISA),
    kLanes,
    kPanelVectors,
    run_scan_forward,
    run_scan_backward,
    run_causal_conv_forward,
    run_causal_conv_backward,
    convolve,
    layer_norm,
    vimm,
    round_to<std::uint8_t>,
    round_to<std::uint16_t>,
    multiply_adds,
};

}  // namespace dvmsr::DVMSR_ISA
