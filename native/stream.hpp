// An image through the network, a few rows at a time.
//
// The network is a chain of stages, each of which makes one row of features after the other from
// rows of the stages before it: a 3x3 convolution needs the rows above and below its own, a ViMM
// only its own row and the state that it carries from the row before. Rows lie in rings of fixed
// height between the stages, so memory grows with the width and not with the height.
//
// Any thread may take any stage that has its inputs and room for its output; a stage runs in one
// thread at a time, its rows in order. So the arithmetic of every row is the same, bit by bit,
// however many threads work and however the input was cut into blocks.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "network.hpp"
#include "profile.hpp"

namespace dvmsr {

// Pixels of a caller's rows: dense RGB. Floats are in [0, 1] and not clipped; integers have their
// full range as [0, 1] and are rounded and clipped.
enum class Pixel { kUint8, kUint16, kFloat };

// Rows of features between stages. A row has a zero token before its first and after its last one.
class Ring {
 public:
  Ring(std::ptrdiff_t width, std::ptrdiff_t stride, Precision precision, std::ptrdiff_t capacity);
  // Token x of row r, from -1; every row that was never written is zero.
  std::byte* token(std::ptrdiff_t r, std::ptrdiff_t x) const {
    return reinterpret_cast<std::byte*>(data_.get()) + (r % capacity_ * (width_ + 2) + 1 + x) * token_bytes_;
  }
  // Row r's first token, where numbers are float32.
  float* row(std::ptrdiff_t r) const { return reinterpret_cast<float*>(token(r, 0)); }
  std::ptrdiff_t stride() const { return stride_; }

 private:
  std::ptrdiff_t width_, stride_, token_bytes_, capacity_;
  Memory data_;
};

class Stream {
 public:
  // `network` has to outlive the stream.
  Stream(const Network& network, std::ptrdiff_t width, int threads);

  // How many rows of the enlarged image, divided by the scale, the next run will give.
  std::ptrdiff_t rows_after(std::ptrdiff_t rows, bool last) const;

  // Counts the time of all later runs.
  void profile() { profiled_ = true; }
  // Seconds by operation, of all threads together; and of the runs.
  std::array<double, kOperations> seconds_of_operations() const;
  double seconds() const { return seconds_; }

  // Takes `rows` rows of input (0 or more) and writes all rows of output that can be finished:
  // scale * rows_after(rows, last) of them, each scale * width wide. `last` ends the image.
  // `stop` is asked now and then, by the calling thread; once it says yes, the run ends as soon as the
  // rows under way are made, and returns false: some of the output is missing, and the stream is spent.
  bool run(const void* input, std::ptrdiff_t rows, bool last, void* output, Pixel pixel,
           const std::function<bool()>& stop = {});

 private:
  struct Input {
    std::size_t stage;  // whose output is read
    int halo;           // rows above and below that are read too
  };
  // What belongs to a thread.
  struct Worker {
    Memory workspace;
    // (kConvChunk, stride): what the last block's convolution leaves for the LayerNorm behind it. Nothing else
    // writes here, so the columns beyond a narrow network's panels stay 0.
    Memory unnormed;
    Laps* laps;
  };
  // One row of a stage.
  using Work = std::function<void(std::ptrdiff_t row, const Worker& worker)>;
  struct Stage {
    Work work;
    std::vector<Input> inputs;
    std::ptrdiff_t ring_rows = 0;            // of its output; 0 where it writes to the caller
    std::vector<std::size_t> readers = {};   // stages that read its output
    std::ptrdiff_t next = 0;                 // the row that it makes next
    bool busy = false;
  };

  std::size_t add_stage(std::vector<Input> inputs, std::ptrdiff_t ring_rows, Work work);
  Ring& add_ring(std::ptrdiff_t stride, Precision precision, std::ptrdiff_t rows);
  float* allocate(std::ptrdiff_t count);
  VimmState vimm_state(const Vimm& vimm);
  void build();
  // Tokens [x, x + count) of a row.
  void convolve(const Convolution& conv, const Ring& in, std::ptrdiff_t row, std::ptrdiff_t x, std::ptrdiff_t count,
                const float* residual, void* out, std::ptrdiff_t out_stride, float* workspace) const;
  void read_row(std::ptrdiff_t row, float* out) const;
  void write_row(const Ring& in, std::ptrdiff_t row, const Worker& worker) const;

  std::ptrdiff_t ready_rows(const Stage& stage) const;
  void work(const Worker& worker, const std::function<bool()>& stop);

  const Network& network_;
  const std::ptrdiff_t width_;
  const int threads_;
  const std::ptrdiff_t batch_;  // rows that a stage makes at a time, where they are there
  std::ptrdiff_t workspace_floats_ = 0;
  std::vector<Ring> rings_;
  std::vector<Stage> stages_;
  std::vector<Memory> memory_;
  const std::byte* zero_row_ = nullptr;

  std::ptrdiff_t received_ = 0;  // rows of input so far
  bool ended_ = false;
  bool stopped_ = false;
  // The block of the current run.
  const void* input_ = nullptr;
  void* output_ = nullptr;
  std::ptrdiff_t first_input_ = 0, first_output_ = 0;
  Pixel pixel_ = Pixel::kUint8;

  bool profiled_ = false;
  std::vector<Laps> laps_;  // of each thread
  double seconds_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace dvmsr
