// The AMX instructions that the engine uses, for processors that lack them: an illegal instruction
// raises a signal, and its handler decodes and carries it out as Intel's manual (volume 2) says.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulator {

struct Tile {
  int rows = 0, bytes = 0;  // of a row
  std::uint8_t data[16][64] = {};
};

inline thread_local Tile tiles[8];
inline thread_local bool configured = false;
inline std::atomic<long> products{0};

[[noreturn]] inline void fail(const char* what, const std::uint8_t* code) {
  std::fprintf(stderr, "%s:", what);
  for (int i = 0; i < 12; ++i) std::fprintf(stderr, " %02x", code[i]);
  std::fprintf(stderr, "\n");
  std::_Exit(3);
}

inline float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

inline float number(const std::uint8_t* p) {
  std::uint16_t half;
  std::memcpy(&half, p, sizeof half);
  const std::uint32_t bits = std::uint32_t{half} << 16;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return flushed(x);
}

inline void dot_product(Tile& sum, const Tile& a, const Tile& b, const std::uint8_t* code) {
  if (a.bytes / 4 != b.rows || sum.rows != a.rows || sum.bytes != b.bytes) fail("tiles that do not fit", code);
  for (int m = 0; m < a.rows; ++m) {
    float parts[16][2] = {};
    for (int k = 0; k < a.bytes / 4; ++k)
      for (int n = 0; n < b.bytes / 4; ++n)
        for (int i = 0; i < 2; ++i)
          parts[n][i] = flushed(
              std::fma(number(a.data[m] + 4 * k + 2 * i), number(b.data[k] + 4 * n + 2 * i), parts[n][i]));
    for (int n = 0; n < b.bytes / 4; ++n) {
      float total;
      std::memcpy(&total, sum.data[m] + 4 * n, sizeof total);
      total = flushed(total + flushed(parts[n][0] + parts[n][1]));
      std::memcpy(sum.data[m] + 4 * n, &total, sizeof total);
    }
  }
  ++products;
}

// Palette 1: eight tiles of at most 16 rows of 64 bytes.
inline void configure(const std::uint8_t* p, const std::uint8_t* code) {
  if (p[0] != 1 || p[1] != 0) fail("a palette or start row that is not ours", code);
  for (int i = 2; i < 64; ++i)
    if (p[i] && (i < 16 || (i >= 32 && i < 48) || i >= 56)) fail("reserved bytes that are not 0", code);
  for (int i = 0; i < 8; ++i) {
    tiles[i] = Tile();
    tiles[i].bytes = p[16 + 2 * i] | p[17 + 2 * i] << 8;
    tiles[i].rows = p[48 + i];
    if (tiles[i].rows > 16 || tiles[i].bytes > 64) fail("a tile that is too large", code);
  }
  configured = true;
}

inline void handle(int, siginfo_t*, void* context) {
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  static constexpr int kOrder[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                     REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  const auto reg = [&](int i) { return registers[kOrder[i]]; };
  const auto* code = reinterpret_cast<const std::uint8_t*>(registers[REG_RIP]);
  // VEX in three bytes, map 0F38, W0, 128 bits; R, X and B are stored inverted.
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || code[2] & 0x84) fail("an instruction that is not AMX's", code);
  const int r = code[1] & 0x80 ? 0 : 8, x = code[1] & 0x40 ? 0 : 8, b = code[1] & 0x20 ? 0 : 8;
  const int v = ~(code[2] >> 3) & 15, prefix = code[2] & 3, opcode = code[3];
  const int mod = code[4] >> 6, middle = (code[4] >> 3 & 7) + r, low = code[4] & 7;
  const std::uint8_t* end = code + 5;
  greg_t address = 0, stride = 0;
  if (mod != 3) {
    int base = low + b;
    if (low == 4) {
      const int sib = *end++;
      const int index = (sib >> 3 & 7) + x;
      base = (sib & 7) + b;
      if (index != 4) stride = reg(index) << (sib >> 6);
    }
    if (mod == 0 && (base & 7) == 5) fail("an address without a base", code);
    address = reg(base);
    if (mod == 1) address += static_cast<std::int8_t>(*end++);
    if (mod == 2) {
      std::int32_t offset;
      std::memcpy(&offset, end, sizeof offset);
      address += offset;
      end += sizeof offset;
    }
  }
  const bool memory = mod != 3;
  if (opcode == 0x49 && prefix == 0 && memory) {
    configure(reinterpret_cast<const std::uint8_t*>(address + stride), code);
  } else if (opcode == 0x49 && prefix == 0 && code[4] == 0xc0) {
    configured = false;
  } else if (!configured) {
    fail("a tile before it was configured", code);
  } else if (opcode == 0x49 && prefix == 3 && !memory) {
    std::memset(tiles[middle].data, 0, sizeof tiles[middle].data);
  } else if (opcode == 0x4b && (prefix == 3 || prefix == 2) && memory && low == 4) {
    Tile& tile = tiles[middle];
    for (int row = 0; row < tile.rows; ++row) {
      void* place = reinterpret_cast<void*>(address + row * stride);
      if (prefix == 3)
        std::memcpy(tile.data[row], place, static_cast<std::size_t>(tile.bytes));
      else
        std::memcpy(place, tile.data[row], static_cast<std::size_t>(tile.bytes));
    }
  } else if (opcode == 0x5c && prefix == 2 && !memory) {
    dot_product(tiles[middle], tiles[low], tiles[v], code);
  } else {
    fail("an instruction that is not known", code);
  }
  registers[REG_RIP] = reinterpret_cast<greg_t>(end);
}

inline void install() {
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGILL, &action, nullptr);
}

}  // namespace emulator
