// The arithmetic as plain functions over plain memory, once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dvmsr {

// The upper half of a float, rounded to nearest even.
struct Bfloat16 {
  std::uint16_t bits;
};

// What numbers are stored as. Sums are float32 always.
enum class Precision { kFloat32, kBfloat16 };

constexpr std::ptrdiff_t size_of(Precision precision) {
  return static_cast<std::ptrdiff_t>(precision == Precision::kBfloat16 ? sizeof(Bfloat16) : sizeof(float));
}

// The most states of a channel that the scans have room for: dvmsr.config.MAX_STATE_SIZE.
inline constexpr int kMaxStates = 256;

// Tokens between two states that the forward scan keeps for the backward scan.
inline constexpr int kScanChunk = 32;

// A batch of sequences, all arrays dense in the order given; A is negative, delta before softplus.
struct ScanInputs {
  std::ptrdiff_t batch, length, channels, states;
  const float* u;           // (batch, length, channels)
  const float* delta;       // (batch, length, channels)
  const float* A;           // (channels, states)
  const float* B;           // (batch, length, states)
  const float* C;           // (batch, length, states)
  const float* D;           // (channels)
  const float* z;           // (batch, length, channels), tokens z_stride apart
  std::ptrdiff_t z_stride;
  const float* delta_bias;  // (channels)
  const float* initial_state;  // (batch, channels, states)
};

struct ScanOutputs {
  float* y;            // (batch, length, channels)
  float* last_state;   // (batch, channels, states)
  float* checkpoints;  // (batch, chunks, states, channels): the state before each chunk
};

struct ScanGradients {
  const float* y;           // (batch, length, channels): given
  const float* last_state;  // (batch, channels, states): given
  float* u;
  float* delta;
  float* A;  // (batch, channels, states): one part for each sequence, to be added up
  float* B;
  float* C;
  float* D;  // (batch, channels)
  float* z;
  float* delta_bias;  // (batch, channels)
  float* initial_state;
};

// SiLU of a causal depthwise convolution over a batch of sequences.
struct ConvInputs {
  std::ptrdiff_t batch, length, channels, taps;
  const float* x;  // (batch, length, channels), tokens x_stride apart
  std::ptrdiff_t x_stride;
  const float* weight;  // (taps, channels); the last tap meets the token itself
  const float* bias;    // (channels)
};

struct ConvGradients {
  const float* y;  // (batch, length, channels): given
  float* x;        // (batch, length, channels)
  float* weight;   // (batch, taps, channels): one part for each sequence, to be added up
  float* bias;     // (batch, channels)
};

// Weights of a dense layer or 3x3 convolution, packed for the kernels: (panels, segments, taps,
// steps, panel_vectors * lanes), so that they are read from front to back. A step is a channel of a
// token in float32, or two neighbouring channels in bfloat16, which lie in one 32-bit lane.
struct Matrix {
  const void* weights = nullptr;
  const float* bias = nullptr;  // for every output, padding included; or null
  int panels = 0;
  int panel_vectors = 0;  // 2, or more up to what the kernels can
  int segments = 1;       // rows of the image
  int taps = 1;           // neighbouring tokens of a row
  int steps = 0;
  Precision operands = Precision::kFloat32;  // of the weights and of the tokens that are read
  Precision output = Precision::kFloat32;    // of the tokens that are written
};

// Vectors of a panel of a matrix of so many outputs: the most that divide its vectors without a rest, or 2.
constexpr int panel_vectors(std::ptrdiff_t outputs, int lanes, int most) {
  const std::ptrdiff_t vectors = (outputs + lanes - 1) / lanes;
  int best = 2;
  for (int wider = 3; wider <= most; ++wider)
    if (vectors % wider == 0) best = wider;
  return best;
}

// Rows and columns of a convolution's window.
inline constexpr int kConvRows = 3;

// Minimal filtering (minimal_filtering.hpp): outputs of a row that come from one tile, products that it
// takes, tiles that are worked on together, and the points but 0 and infinity, with both signs.
inline constexpr int kFilterOutputs = 4;
inline constexpr int kFilterPoints = kFilterOutputs + kConvRows - 1;
inline constexpr int kFilterTiles = 24;
inline constexpr double kFilterNear = 2.0 / 3, kFilterFar = 1.5;

// A 3x3 convolution in one of two forms.
struct Convolution {
  Matrix direct;                 // three segments, three taps
  bool filtered = false;         // or by minimal filtering, in float32:
  Matrix points[kFilterPoints];  // for each point three segments and one tap, without a bias
  const float* bias = nullptr;   // (out_stride)

  // Floats for inputs of `in_stride` and outputs of `out_stride`.
  std::ptrdiff_t workspace(std::ptrdiff_t in_stride, std::ptrdiff_t out_stride) const {
    return filtered ? kFilterPoints * kFilterTiles * (kConvRows * in_stride + out_stride) : 0;
  }
};

// Everything below pads a token's channels with zeros to a `stride` that is a multiple of this.
inline constexpr int kChannelMultiple = 32;

struct LayerNorm {
  const float* weight = nullptr;  // (stride), 0 in the padding, as bias
  const float* bias = nullptr;
  const float* mask = nullptr;  // (stride): 1 for a channel, 0 for padding
  int channels = 0;
  Precision output = Precision::kFloat32;
};

// Tokens that pass through a ViMM together.
inline constexpr int kVimmChunk = 64;

struct Vimm {
  LayerNorm norm;
  Matrix in_proj;   // to u and z
  Matrix x_proj;    // to delta's low rank, B and C
  Matrix dt_proj;
  Matrix out_proj;
  const float* conv_weight = nullptr;  // (conv_taps, inner_stride)
  const float* conv_bias = nullptr;    // (inner_stride)
  const float* a_log2 = nullptr;       // -exp(A_log) * log2(e), (states, inner_stride)
  const float* D = nullptr;            // (inner_stride)
  std::ptrdiff_t stride = 0, inner_stride = 0, projected_stride = 0;
  int inner_channels = 0, conv_taps = 0, states = 0, dt_rank = 0;
  bool residual = false;

  std::ptrdiff_t workspace() const {  // floats
    return kVimmChunk * (stride + 5 * inner_stride + projected_stride) + (conv_taps - 1) * 2 * inner_stride;
  }
};

// What a ViMM carries from one token to the next.
struct VimmState {
  float* conv = nullptr;  // (conv_taps - 1, inner_stride): u of the last tokens
  float* scan = nullptr;  // (states, inner_stride)
};

// Floats between rows that are read many at a time and few columns of each: an odd number of cache lines, so
// that they spread over all sets of the nearest cache.
constexpr std::ptrdiff_t odd_lines(std::ptrdiff_t floats) {
  constexpr std::ptrdiff_t kLine = 16;
  return ((floats + kLine - 1) / kLine | 1) * kLine;
}

// Sums of products over tokens are computed for a multiple of so many columns.
inline constexpr int kOuterColumns = 64;

constexpr std::ptrdiff_t outer_columns(std::ptrdiff_t columns) {
  return (columns + kOuterColumns - 1) / kOuterColumns * kOuterColumns;
}

// The widest vector of all instruction sets, in floats.
inline constexpr int kMaxLanes = 16;

// Tokens between two states that a ViMM keeps for its backward pass.
inline constexpr int kVimmPart = 16;

// A ViMM over whole sequences, for training (vimm_training.hpp).
struct TrainedVimm {
  // In float32, but for the operands of in_proj, x_proj and out_proj, which may be bfloat16, as those below.
  Vimm layer;
  // Its matrices transposed, which bring gradients back.
  Matrix in_back, x_back, out_back;
  const float* dt_rows = nullptr;  // dt_proj's weights, (dt_rank, inner_stride)
  std::ptrdiff_t pair_stride = 0;  // of u and z
  std::ptrdiff_t inner_width = 0;  // the inner channels in whole vectors

  // Tokens that pass through together, and between two states that are kept.
  static constexpr int kChunk = 48, kPart = kVimmPart;

  int projected() const { return layer.dt_rank + 2 * layer.states; }
  // What the forward pass keeps of a sequence for the backward pass, in floats: u and z before the
  // convolution, with conv_taps - 1 tokens of zeros before the first; what x_proj makes of it; the states
  // before each part.
  std::ptrdiff_t kept_token() const { return pair_stride + layer.projected_stride; }
  std::ptrdiff_t kept_state() const { return layer.states * inner_width; }
  std::ptrdiff_t kept_besides() const { return (layer.conv_taps - 1) * pair_stride; }
  std::ptrdiff_t kept(std::ptrdiff_t length) const {
    return length * kept_token() + (length + kPart - 1) / kPart * kept_state() + kept_besides();
  }
  std::ptrdiff_t workspace() const {  // floats
    const std::ptrdiff_t vectors = kMaxLanes * 2 * layer.states * kPart;
    return kChunk * (3 * layer.stride + 6 * layer.inner_stride + layer.projected_stride + pair_stride + 1) +
           (layer.conv_taps + 2 * layer.states) * layer.inner_stride + vectors + kOuterColumns + narrow_workspace();
  }
  // Columns of the widest operand in bfloat16, and floats for operands of a chunk: rows of tokens, and pairs of
  // tokens of either side of a product over tokens.
  std::ptrdiff_t narrow_columns() const {
    const int pair = 2 * layer.inner_channels, others = projected() > pair ? projected() : pair;
    return outer_columns(layer.norm.channels > others ? layer.norm.channels : others);
  }
  std::ptrdiff_t narrow_workspace() const {
    return layer.in_proj.operands == Precision::kBfloat16 ? 3 * (kChunk / 2) * narrow_columns() : 0;
  }
};

// A 3x3 convolution of whole images, for training (conv_training.hpp).
struct TrainedConv {
  Convolution conv;  // filtered
  int inputs = 0, outputs = 0;
  std::ptrdiff_t in_stride = 0, out_stride = 0;
  // Of the points but the last: of filter_transform (packing.hpp), place and 1 / norm.
  float places[kFilterPoints - 1] = {}, shares[kFilterPoints - 1] = {};

  // Tiles whose products are in work together, with the halo, and tokens of a row of them.
  static constexpr int kTiles = 48, kInputTiles = kConvRows * kTiles, kLine = kTiles * kFilterOutputs + 2;
  // Rows of an image that are one piece of work, whatever the threads.
  static constexpr std::ptrdiff_t kRows = 32;

  // How rows of an image are cut into tiles.
  struct Tiles {
    int of_row, at_once, rows;
    Tiles(std::ptrdiff_t width, std::ptrdiff_t begin, std::ptrdiff_t end)
        : of_row(static_cast<int>((width + kFilterOutputs - 1) / kFilterOutputs)),
          at_once(of_row < kTiles ? of_row : kTiles),
          rows(static_cast<int>(kTiles / at_once < end - begin ? kTiles / at_once : end - begin)) {}
  };

  std::ptrdiff_t out_columns() const { return outer_columns(outputs); }
  std::ptrdiff_t sums() const { return (kConvRows * kConvRows * inputs + 1) * out_columns(); }
  std::ptrdiff_t workspace() const {  // floats
    return kLine * (in_stride + out_stride) + kFilterPoints * (kInputTiles * in_stride + kTiles * out_stride) +
           kOuterColumns + kFilterPoints * kConvRows * inputs * out_columns();
  }
};

// Where gradients of a ViMM's parameters are summed up, in floats from the first.
struct VimmSums {
  std::ptrdiff_t in_columns, inner_columns, stride;
  std::ptrdiff_t in_proj;  // (channels, in_columns)
  std::ptrdiff_t out_proj, x_proj, dt_proj;       // (channels, projected, dt_rank; inner_columns)
  std::ptrdiff_t A, conv_weight, conv_bias, D, dt_bias;  // (states, taps, 1, 1, 1; inner_columns)
  std::ptrdiff_t norm_weight, norm_bias;          // (stride)
  std::ptrdiff_t count;

  explicit VimmSums(const TrainedVimm& m)
      : in_columns(outer_columns(2 * m.layer.inner_channels)),
        inner_columns(outer_columns(m.layer.inner_channels)),
        stride(m.layer.stride),
        in_proj(0),
        out_proj(in_proj + m.layer.norm.channels * in_columns),
        x_proj(out_proj + m.layer.norm.channels * inner_columns),
        dt_proj(x_proj + m.projected() * inner_columns),
        A(dt_proj + m.layer.dt_rank * inner_columns),
        conv_weight(A + m.layer.states * inner_columns),
        conv_bias(conv_weight + m.layer.conv_taps * inner_columns),
        D(conv_bias + inner_columns),
        dt_bias(D + inner_columns),
        norm_weight(dt_bias + inner_columns),
        norm_bias(norm_weight + stride),
        count(norm_bias + stride) {}
};

// What the engine's time is told by.
enum class Operation {
  kRead,
  kShallow,
  kLayerNorm,
  kInProj,
  kCausalConv,
  kXProj,
  kDtProj,
  kScan,
  kOutProj,
  kConv,
  kReconstruct,
  kWrite,
};
inline constexpr int kOperations = 12;

class Laps;
// Counts the time since the last lap for the operation, where there are laps.
void lap(Laps* laps, Operation operation);

struct Kernels {
  const char* name;
  int lanes;          // floats in a vector
  int panel_vectors;  // the most of a matrix
  bool multiplies_bfloat16;  // by an instruction, so faster than float32

  // One sequence and one group of `lanes` channels of the scan.
  void (*scan_forward)(const ScanInputs&, const ScanOutputs&, std::ptrdiff_t sequence,
                       std::ptrdiff_t group);
  // One sequence of the scan; `checkpoints` as the forward scan left them.
  void (*scan_backward)(const ScanInputs&, const float* checkpoints, const ScanGradients&,
                        std::ptrdiff_t sequence);

  // One sequence of the convolution; y is (batch, length, channels).
  void (*causal_conv_forward)(const ConvInputs&, float* y, std::ptrdiff_t sequence);
  void (*causal_conv_backward)(const ConvInputs&, const ConvGradients&, std::ptrdiff_t sequence);

  // out = the convolution of `in` + bias + residual (or null) for `tokens` tokens. `in` holds a pointer for
  // each of the rows to its first tap of the first token. Strides count numbers, not bytes; what `in` and
  // `out` point at is as the matrices say. `out` is neither `in` nor `residual`.
  void (*convolve)(const Convolution&, const void* const* in, std::ptrdiff_t in_stride, int tokens,
                   const float* residual, void* out, std::ptrdiff_t out_stride, float* workspace);
  // `out` is of the precision that the norm says.
  void (*layer_norm)(const LayerNorm&, const float* in, void* out, std::ptrdiff_t stride, int tokens);
  // `out` is of the precision that out_proj says.
  void (*vimm)(const Vimm&, const float* in, void* out, std::ptrdiff_t tokens, const VimmState&,
               float* workspace, Laps* laps);

  // One sequence, for training. `kept` is what the forward pass keeps of it; `sums` gets gradients of the
  // parameters as VimmSums says.
  void (*vimm_training_forward)(const TrainedVimm&, const float* x, float* y, float* kept, std::ptrdiff_t length,
                                float* workspace);
  void (*vimm_training_backward)(const TrainedVimm&, const float* x, const float* kept, const float* grad_y,
                                 float* grad_x, float* sums, std::ptrdiff_t length, float* workspace);
  // Rows [begin, end) of one image, (height, width, channels).
  void (*conv_training_forward)(const TrainedConv&, const float* x, float* y, std::ptrdiff_t height,
                                std::ptrdiff_t width, std::ptrdiff_t begin, std::ptrdiff_t end, float* workspace);
  void (*conv_training_weights)(const TrainedConv&, const float* x, const float* grad_y, std::ptrdiff_t height,
                                std::ptrdiff_t width, std::ptrdiff_t begin, std::ptrdiff_t end, float* sums,
                                float* workspace);

  // Numbers of [0, 1] to integers of the full range; a multiple of kChannelMultiple of them.
  void (*round_to_uint8)(const float* in, std::ptrdiff_t count, void* out);
  void (*round_to_uint16)(const float* in, std::ptrdiff_t count, void* out);

  // Multiplies and adds as matmul does, `steps` times, with all operands in the nearest cache.
  // Returns how many multiplications and additions that was; `sink` gets a vector of sums.
  double (*multiply_adds)(Precision precision, std::ptrdiff_t steps, float* sink);
};

// The best set that this processor runs, or the one that the environment variable
// DVMSR_INSTRUCTION_SET names. Throws std::runtime_error where that one is unknown or cannot run.
const Kernels& kernels();

}  // namespace dvmsr
