// Compiled once for each instruction set, with DVMSR_ISA as its name (see CMakeLists.txt).
#include "kernels.hpp"

#include "denormals.hpp"
#include "causal_conv.hpp"
#include "conv_training.hpp"
#include "minimal_filtering.hpp"
#include "pixels.hpp"
#include "selective_scan.hpp"
#include "vimm.hpp"
#include "vimm_training.hpp"

#define DVMSR_STRING(x) #x
#define DVMSR_NAME(x) DVMSR_STRING(x)

namespace dvmsr::DVMSR_ISA {
namespace {

void run_scan_forward(const ScanInputs& in, const ScanOutputs& out, std::ptrdiff_t sequence,
                      std::ptrdiff_t group) {
  const FlushDenormals flush;
  scan_forward(in, out, sequence, group);
}

void run_scan_backward(const ScanInputs& in, const float* checkpoints, const ScanGradients& grad,
                       std::ptrdiff_t sequence) {
  const FlushDenormals flush;
  scan_backward(in, checkpoints, grad, sequence);
}

void run_causal_conv_forward(const ConvInputs& in, float* y, std::ptrdiff_t sequence) {
  const FlushDenormals flush;
  causal_conv_forward(in, y, sequence);
}

void run_causal_conv_backward(const ConvInputs& in, const ConvGradients& grad, std::ptrdiff_t sequence) {
  const FlushDenormals flush;
  causal_conv_backward(in, grad, sequence);
}

void run_vimm_forward(const TrainedVimm& m, const float* x, float* y, float* kept, std::ptrdiff_t length,
                      float* work) {
  const FlushDenormals flush;
  vimm_training_forward(m, x, y, kept, length, work);
}

void run_vimm_backward(const TrainedVimm& m, const float* x, const float* kept, const float* grad_y, float* grad_x,
                       float* sums, std::ptrdiff_t length, float* work) {
  const FlushDenormals flush;
  vimm_training_backward(m, x, kept, grad_y, grad_x, sums, length, work);
}

void run_conv_forward(const TrainedConv& m, const float* x, float* y, std::ptrdiff_t height, std::ptrdiff_t width,
                      std::ptrdiff_t begin, std::ptrdiff_t end, float* work) {
  const FlushDenormals flush;
  conv_training_forward(m, x, y, height, width, begin, end, work);
}

void run_conv_weights(const TrainedConv& m, const float* x, const float* grad_y, std::ptrdiff_t height,
                      std::ptrdiff_t width, std::ptrdiff_t begin, std::ptrdiff_t end, float* sums, float* work) {
  const FlushDenormals flush;
  conv_training_weights(m, x, grad_y, height, width, begin, end, sums, work);
}

}  // namespace

extern const Kernels table;
const Kernels table = {
    DVMSR_NAME(DVMSR_ISA),
    kLanes,
    kPanelVectors,
    kMultipliesBfloat16,
    run_scan_forward,
    run_scan_backward,
    run_causal_conv_forward,
    run_causal_conv_backward,
    convolve,
    layer_norm,
    vimm,
    run_vimm_forward,
    run_vimm_backward,
    run_conv_forward,
    run_conv_weights,
    round_to<std::uint8_t>,
    round_to<std::uint16_t>,
    multiply_adds,
};

}  // namespace dvmsr::DVMSR_ISA
