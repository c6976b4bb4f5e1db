// Numbers that stand for one lane (CUDA, checking schedule) or for sixteen (CPU).
//
// A kernel is written once over `Float`, `Int` and `Mask`. Where a schedule gives each lane a thread they are
// float, int32_t and bool; on the CPU they are the structs of blocks.h, one SIMD vector or several. Arithmetic is IEEE
// single precision without contraction on every side, so both give the same bits.
#pragma once

#include <type_traits>

#include "platform.h"

#ifndef __CUDACC__
#  include <cmath>
#  include <cstring>
#endif

namespace fastsynth {

FS_HD float select(bool mask, float a, float b) { return mask ? a : b; }
FS_HD int32_t select(bool mask, int32_t a, int32_t b) { return mask ? a : b; }
FS_HD bool any(bool mask) { return mask; }
FS_HD bool all(bool mask) { return mask; }
FS_HD int count(bool mask) { return mask; }
FS_HD bool mask_not(bool mask) { return !mask; }

FS_HD int32_t as_int(float x) {
#ifdef __CUDA_ARCH__
  return __float_as_int(x);
#else
  int32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}
FS_HD float as_float(int32_t x) {
#ifdef __CUDA_ARCH__
  return __int_as_float(x);
#else
  float value;
  __builtin_memcpy(&value, &x, sizeof value);
  return value;
#endif
}

// The second argument wins when the comparison is false, as it is for NaN: min(x, bound) of a NaN x is `bound`.
FS_HD float min(float a, float b) { return a < b ? a : b; }
FS_HD float max(float a, float b) { return a > b ? a : b; }
FS_HD int32_t min(int32_t a, int32_t b) { return a < b ? a : b; }
FS_HD int32_t max(int32_t a, int32_t b) { return a > b ? a : b; }
FS_HD int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
FS_HD int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
FS_HD float abs(float x) { return x < 0 ? -x : x; }
FS_HD float sqrt(float x) {
#ifdef __CUDA_ARCH__
  return __fsqrt_rn(x);
#else
  return __builtin_sqrtf(x);
#endif
}
// Toward zero, saturating: the conversion of an out-of-range float is undefined in C++ and differs between machines.
FS_HD int32_t to_int(float x) {
  const float in_range = min(max(x, -2147483648.0f), 2147483520.0f);
  return static_cast<int32_t>(in_range);
}
FS_HD float to_float(int32_t x) { return static_cast<float>(x); }
FS_HD float floor(float x) { return __builtin_floorf(x); }
// Of a whole number that is small enough.
FS_HD int32_t as_whole(float x) { return static_cast<int32_t>(x); }
FS_HD int32_t floor_int(float x) {
  const int32_t i = to_int(x);
  return i - (to_float(i) > x ? 1 : 0);
}

// What lies at p[index * stride]; inactive lanes read nothing and give 0.
FS_HD float gather(const float* p, int32_t index, bool active) { return active ? p[index] : 0.0f; }
FS_HD int32_t gather(const int32_t* p, int32_t index, bool active) { return active ? p[index] : 0; }
// The same where mostly all active lanes have one index.
FS_HD float gather_alike(const float* p, int32_t index, bool active) { return gather(p, index, active); }
// table[at] of a table of 16, for indices that may be anything (read modulo 16).
FS_HD int32_t lookup_16(const int32_t* table, int32_t at) { return table[at & 15]; }
FS_HD float lookup_16(const float* table, int32_t at) { return table[at & 15]; }
// p[row + x0] and p[row + x1], which mostly lie side by side.
FS_HD void gather_two(const int32_t* p, int32_t row, int32_t x0, int32_t x1, bool active, int32_t& a, int32_t& b) {
  a = gather(p, row + x0, active);
  b = gather(p, row + x1, active);
}
// The first N (4 or 8) elements of row `row` of a table whose rows are 2^kShift elements, 16-byte aligned; zeros in
// inactive lanes.
template <int N, int kShift, class T>
FS_HD void gather_row(const T* p, int32_t row, bool active, T out[N]) {
  struct alignas(16) Four {
    T v[4];
  };
  const Four* from = reinterpret_cast<const Four*>(p + (int64_t{row} << kShift));
  for (int part = 0; part < N / 4; ++part) {
    const Four four = active ? from[part] : Four{};
    for (int i = 0; i < 4; ++i) out[4 * part + i] = four.v[i];
  }
}
FS_HD int32_t shift_right(int32_t x, int32_t by) { return x >> by; }
FS_HD int32_t shift_right_logical(int32_t x, int by) { return static_cast<int32_t>(static_cast<uint32_t>(x) >> by); }
FS_HD int32_t multiply(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b));
}

// Floats as integers of the same order, and back. Nothing overflows, also where the lane's value is not taken.
template <class T>
FS_HD auto ordered(T x) {
  const auto bits = as_int(x);
  using I = std::remove_const_t<decltype(bits)>;
  return select(bits < I(0), I(-1) - (bits & I(0x7fffffff)), bits);
}
FS_HD float from_ordered(int32_t x) { return as_float(x < 0 ? int32_t(uint32_t(-1 - x) | 0x80000000u) : x); }

FS_HD int32_t min_over(int32_t x, bool) { return x; }
FS_HD int32_t max_over(int32_t x, bool) { return x; }

// The rows of lanes' faces: three corners and the material. Lanes side by side often see one face.
struct OneRows {
  int32_t row[4];
  bool active;

  FS_HD OneRows(const int32_t* faces, int32_t face, bool is_active) : active(is_active) {
    gather_row<4, 2>(faces, face, active, row);
  }
  FS_HD int32_t corner(int i) const { return row[i]; }
  FS_HD int32_t material() const { return row[3]; }
  // Four elements of a corner's vertex, whose rows begin at p and are eight long.
  FS_HD void read(const float* p, int corner, float out[4]) const { gather_row<4, 3>(p, row[corner], active, out); }
};

// One lane.
struct OneLane {
  using Float = float;
  using Int = int32_t;
  using Mask = bool;
  using FaceRows = OneRows;
  static constexpr int kBlock = 1;  // side of the pixel block that a number stands for
};

}  // namespace fastsynth
