#include "stream.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <type_traits>

#include "denormals.hpp"
#include "parallel.hpp"

namespace dvmsr {

namespace {

// Tokens of a convolution whose output is changed further while it is near.
constexpr std::ptrdiff_t kConvChunk = 96;
// Tokens that a stage should have before it, so that switching stages costs little.
constexpr std::ptrdiff_t kTaskTokens = 256;
// Between two questions whether to stop: each may cost some milliseconds where other threads run Python.
constexpr std::chrono::milliseconds kBetweenStops{100};

template <typename T>
constexpr float kFull = std::is_floating_point_v<T> ? 1.0f : static_cast<float>(std::numeric_limits<T>::max());

template <typename T>
void read_pixels(const void* input, std::ptrdiff_t first, std::ptrdiff_t count, const float* mean, float* out) {
  const T* in = static_cast<const T*>(input) + first * 3;
  for (std::ptrdiff_t i = 0; i < count; ++i)
    for (int c = 0; c < 3; ++c)
      out[i * Network::kPixelStride + c] = static_cast<float>(in[i * 3 + c]) / kFull<T> - mean[c];
}

// Pixels of the output: `count` tokens of `scale` runs of `run` bytes, one for each row. Tokens lie
// `stride` bytes apart in `in`; run i of the first one goes to out + i * pitch, that of the next one
// behind it.
void write_pixels(const std::byte* in, std::ptrdiff_t stride, std::ptrdiff_t count, std::ptrdiff_t scale,
                  std::ptrdiff_t run, std::byte* out, std::ptrdiff_t pitch) {
  for (std::ptrdiff_t i = 0; i < scale; ++i)
    for (std::ptrdiff_t token = 0; token < count; ++token)
      std::memcpy(out + i * pitch + token * run, in + token * stride + i * run, static_cast<std::size_t>(run));
}

}  // namespace

Ring::Ring(std::ptrdiff_t width, std::ptrdiff_t stride, Precision precision, std::ptrdiff_t capacity)
    : width_(width),
      stride_(stride),
      token_bytes_(stride * size_of(precision)),
      capacity_(capacity),
      data_(aligned_zeros((width + 2) * token_bytes_ * capacity / static_cast<std::ptrdiff_t>(sizeof(float)))) {}

Stream::Stream(const Network& network, std::ptrdiff_t width, int threads)
    : network_(network),
      width_(width),
      threads_(threads),
      batch_(std::max<std::ptrdiff_t>(1, kTaskTokens / width)) {
  build();
}

void Stream::build() {
  const Config& config = network_.config;
  const std::ptrdiff_t stride = network_.stride;
  const std::ptrdiff_t slack = 2 * batch_;
  rings_.reserve(static_cast<std::size_t>(4 + config.blocks * (config.vimms_per_block + 1)));  // stages keep references
  const int width = static_cast<int>(width_);
  zero_row_ = reinterpret_cast<const std::byte*>(allocate((width_ + 2) * stride));
  // The last convolution's output, and its numbers as the caller wants them.
  const std::ptrdiff_t pixel_stride = round_up(3 * config.scale * config.scale, kChannelMultiple);
  workspace_floats_ = std::max(network_.deep.workspace(stride, stride),
                               2 * kConvChunk * pixel_stride + network_.reconstruct.workspace(stride, pixel_stride));

  // A reader with a halo of 1 holds three rows; where a second reader waits for the rows that a
  // longer way makes of this ring's, the ring is as high as that way is late.
  const std::ptrdiff_t conv_rows = 3 + slack;
  Ring& pixels = add_ring(Network::kPixelStride, Precision::kFloat32, conv_rows);
  const std::size_t source = add_stage({}, conv_rows, [this, &pixels](std::ptrdiff_t row, const Worker& worker) {
    read_row(row, pixels.row(row));
    lap(worker.laps, Operation::kRead);
  });

  const auto in_flight = std::min<std::ptrdiff_t>(threads_, config.blocks * (config.vimms_per_block + 1)) * batch_;
  const std::ptrdiff_t skip_rows = config.blocks + 3 + slack + in_flight;
  Ring& shallow = add_ring(stride, Precision::kFloat32, skip_rows);
  Ring* features = &add_ring(stride, Precision::kFloat32, skip_rows);
  const std::size_t shallow_stage =
      add_stage({{source, 1}}, skip_rows,
                [this, width, &pixels, &shallow, out = features](std::ptrdiff_t row, const Worker& worker) {
                  convolve(network_.shallow, pixels, row, 0, width, nullptr, shallow.row(row), network_.stride,
                           worker.workspace.get());
                  lap(worker.laps, Operation::kShallow);
                  network_.kernels.layer_norm(network_.token_norm, shallow.row(row), out->row(row), network_.stride,
                                              width);
                  lap(worker.laps, Operation::kLayerNorm);
                });

  std::size_t before = shallow_stage;
  for (const Block& block : network_.blocks) {
    const Ring* block_input = features;
    const std::size_t block_stage = before;
    for (const Vimm& vimm : block.vimms) {
      workspace_floats_ = std::max(workspace_floats_, vimm.workspace());
      const bool last_vimm = &vimm == &block.vimms.back();
      const std::ptrdiff_t rows = last_vimm ? conv_rows : 1 + slack;
      Ring& out = add_ring(stride, vimm.out_proj.output, rows);
      const VimmState state = vimm_state(vimm);
      before = add_stage({{before, 0}}, rows,
                         [this, &vimm, &out, in = features, state](std::ptrdiff_t row, const Worker& worker) {
                           network_.kernels.vimm(vimm, in->row(row), out.token(row, 0), width_, state,
                                                 worker.workspace.get(), worker.laps);
                         });
      features = &out;
    }
    const bool last_block = &block == &network_.blocks.back();
    // The next block's convolution reads these rows once its ViMMs are a row further.
    const std::ptrdiff_t rows = 3 + slack + (last_block ? 0 : config.vimms_per_block * batch_);
    Ring& out = add_ring(stride, last_block ? network_.deep_norm.output : Precision::kFloat32, rows);
    Work work = [this, width, &block, &out, in = features, block_input](std::ptrdiff_t row, const Worker& worker) {
      convolve(block.conv, *in, row, 0, width, block_input->row(row), out.row(row), network_.stride,
               worker.workspace.get());
      lap(worker.laps, Operation::kConv);
    };
    if (last_block)
      work = [this, &block, &out, in = features, block_input](std::ptrdiff_t row, const Worker& worker) {
        float* unnormed = worker.unnormed.get();
        for (std::ptrdiff_t x = 0; x < width_; x += kConvChunk) {
          const std::ptrdiff_t count = std::min(kConvChunk, width_ - x);
          convolve(block.conv, *in, row, x, count, block_input->row(row) + x * network_.stride, unnormed,
                   network_.stride, worker.workspace.get());
          lap(worker.laps, Operation::kConv);
          network_.kernels.layer_norm(network_.deep_norm, unnormed, out.token(row, x), network_.stride,
                                      static_cast<int>(count));
          lap(worker.laps, Operation::kLayerNorm);
        }
      };
    before = add_stage({{before, 1}, {block_stage, 0}}, rows, std::move(work));
    features = &out;
  }

  Ring& deep = add_ring(stride, network_.precision, conv_rows);
  before = add_stage({{before, 1}, {shallow_stage, 0}}, conv_rows,
                     [this, width, &deep, &shallow, in = features](std::ptrdiff_t row, const Worker& worker) {
                       convolve(network_.deep, *in, row, 0, width, shallow.row(row), deep.token(row, 0),
                                network_.stride, worker.workspace.get());
                       lap(worker.laps, Operation::kConv);
                     });
  add_stage({{before, 1}}, 0,
            [this, &deep](std::ptrdiff_t row, const Worker& worker) { write_row(deep, row, worker); });
}

std::size_t Stream::add_stage(std::vector<Input> inputs, std::ptrdiff_t ring_rows, Work work) {
  for (const Input& input : inputs) stages_[input.stage].readers.push_back(stages_.size());
  stages_.push_back({std::move(work), std::move(inputs), ring_rows});
  return stages_.size() - 1;
}

Ring& Stream::add_ring(std::ptrdiff_t stride, Precision precision, std::ptrdiff_t rows) {
  return rings_.emplace_back(width_, stride, precision, rows);
}

float* Stream::allocate(std::ptrdiff_t count) {
  memory_.push_back(aligned_zeros(count));
  return memory_.back().get();
}

VimmState Stream::vimm_state(const Vimm& vimm) {
  return {allocate((vimm.conv_taps - 1) * vimm.inner_stride), allocate(vimm.states * vimm.inner_stride)};
}

void Stream::convolve(const Convolution& conv, const Ring& in, std::ptrdiff_t row, std::ptrdiff_t x,
                      std::ptrdiff_t count, const float* residual, void* out, std::ptrdiff_t out_stride,
                      float* workspace) const {
  const bool below = !ended_ || row + 1 < received_;
  const void* rows[3] = {row > 0 ? in.token(row - 1, x - 1) : zero_row_, in.token(row, x - 1),
                         below ? in.token(row + 1, x - 1) : zero_row_};
  network_.kernels.convolve(conv, rows, in.stride(), static_cast<int>(count), residual, out, out_stride, workspace);
}

void Stream::read_row(std::ptrdiff_t row, float* out) const {
  const auto first = (row - first_input_) * width_;
  const float* mean = network_.config.rgb_mean.data();
  switch (pixel_) {
    case Pixel::kUint8: return read_pixels<std::uint8_t>(input_, first, width_, mean, out);
    case Pixel::kUint16: return read_pixels<std::uint16_t>(input_, first, width_, mean, out);
    case Pixel::kFloat: return read_pixels<float>(input_, first, width_, mean, out);
  }
}

void Stream::write_row(const Ring& in, std::ptrdiff_t row, const Worker& worker) const {
  const std::ptrdiff_t scale = network_.config.scale;
  const std::ptrdiff_t stride = round_up(3 * scale * scale, kChannelMultiple);
  const std::ptrdiff_t bytes = pixel_ == Pixel::kUint8 ? 1 : pixel_ == Pixel::kUint16 ? 2 : 4;
  const std::ptrdiff_t run = 3 * scale * bytes;
  const std::ptrdiff_t pitch = width_ * run;
  std::byte* out = static_cast<std::byte*>(output_) + (row - first_output_) * scale * pitch;
  float* features = worker.workspace.get();
  for (std::ptrdiff_t x = 0; x < width_; x += kConvChunk) {
    const std::ptrdiff_t count = std::min(kConvChunk, width_ - x);
    convolve(network_.reconstruct, in, row, x, count, nullptr, features, stride, features + 2 * kConvChunk * stride);
    lap(worker.laps, Operation::kReconstruct);
    float* pixels = features;
    if (pixel_ != Pixel::kFloat) {
      pixels = features + kConvChunk * stride;
      (bytes == 1 ? network_.kernels.round_to_uint8 : network_.kernels.round_to_uint16)(features, count * stride,
                                                                                       pixels);
    }
    write_pixels(reinterpret_cast<const std::byte*>(pixels), stride * bytes, count, scale, run, out + x * run, pitch);
    lap(worker.laps, Operation::kWrite);
  }
}

std::array<double, kOperations> Stream::seconds_of_operations() const {
  std::array<double, kOperations> total{};
  for (const Laps& laps : laps_)
    for (std::size_t i = 0; i < kOperations; ++i) total[i] += laps.seconds()[i];
  return total;
}

std::ptrdiff_t Stream::rows_after(std::ptrdiff_t rows, bool last) const {
  // Each convolution on the longest way waits for the row below.
  const std::ptrdiff_t late = last ? 0 : network_.config.blocks + 3;
  return std::max<std::ptrdiff_t>(0, received_ + rows - late) - stages_.back().next;
}

bool Stream::run(const void* input, std::ptrdiff_t rows, bool last, void* output, Pixel pixel,
                 const std::function<bool()>& stop) {
  input_ = input;
  output_ = output;
  pixel_ = pixel;
  first_input_ = received_;
  first_output_ = stages_.back().next;
  received_ += rows;
  ended_ = last;
  const int threads = std::min(threads_, static_cast<int>(stages_.size()));
  if (profiled_) laps_.resize(static_cast<std::size_t>(threads));
  std::vector<Worker> workers;
  for (std::size_t i = 0; i < static_cast<std::size_t>(threads); ++i)
    workers.push_back({aligned_zeros(workspace_floats_), aligned_zeros(kConvChunk * network_.stride),
                       profiled_ ? &laps_[i] : nullptr});
  const auto begin = std::chrono::steady_clock::now();
  run_in_threads(threads, [&](int i) {
    work(workers[static_cast<std::size_t>(i)], i == 0 ? stop : std::function<bool()>{});
  });
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return !stopped_;
}

std::ptrdiff_t Stream::ready_rows(const Stage& stage) const {
  std::ptrdiff_t end = received_;
  for (const Input& input : stage.inputs) {
    const std::ptrdiff_t made = stages_[input.stage].next;
    end = std::min(end, ended_ && made == received_ ? made : made - input.halo);
  }
  for (const std::size_t reader : stage.readers)
    for (const Input& input : stages_[reader].inputs)
      if (&stages_[input.stage] == &stage)
        end = std::min(end, std::max<std::ptrdiff_t>(0, stages_[reader].next - input.halo) + stage.ring_rows);
  return std::min(end - stage.next, batch_);
}

void Stream::work(const Worker& worker, const std::function<bool()>& stop) {
  const FlushDenormals flush;
  auto asked = std::chrono::steady_clock::now();
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopped_) {
    // The last stage that can go on goes first: it frees rows, and its inputs are warm.
    Stage* chosen = nullptr;
    std::ptrdiff_t rows = 0;
    bool busy = false;
    for (auto stage = stages_.rbegin(); stage != stages_.rend() && !chosen; ++stage) {
      busy = busy || stage->busy;
      if (!stage->busy && (rows = ready_rows(*stage)) > 0) chosen = &*stage;
    }
    if (!chosen) {
      if (!busy) return;
      changed_.wait(lock);
      continue;
    }
    chosen->busy = true;
    lock.unlock();
#ifdef DVMSR_POISON
    // For tests: what a stage has not written it must not read. All bits set is no number in either precision.
    std::memset(worker.workspace.get(), 0xff, static_cast<std::size_t>(workspace_floats_) * sizeof(float));
#endif
    if (worker.laps) worker.laps->start();
    for (std::ptrdiff_t i = 0; i < rows; ++i) chosen->work(chosen->next + i, worker);
    bool stopping = false;
    if (stop && std::chrono::steady_clock::now() - asked > kBetweenStops) {
      stopping = stop();
      asked = std::chrono::steady_clock::now();
    }
    lock.lock();
    stopped_ = stopped_ || stopping;
    chosen->next += rows;
    chosen->busy = false;
    changed_.notify_all();
  }
}

}  // namespace dvmsr
