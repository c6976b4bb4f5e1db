// One vector of any machine: four lanes, by the compiler's own vectors.
#pragma once

#include "platform.h"

#ifdef __SSE2__
#  include <emmintrin.h>
#endif

namespace fastsynth {
namespace FS_ISA {
namespace native {

constexpr int kLanes = 4;
typedef float f __attribute__((vector_size(16)));
typedef int32_t i __attribute__((vector_size(16)));
typedef int64_t q __attribute__((vector_size(16)));  // half as many
typedef i m;                                         // 0 or -1

FS_HD uint32_t bits_of(m a) {
#ifdef __SSE2__
  return static_cast<uint32_t>(_mm_movemask_ps((__m128)a));
#else
  return (a[0] & 1u) | (a[1] & 2u) | (a[2] & 4u) | (a[3] & 8u);
#endif
}
FS_HD m mask_of(uint32_t bits) {
  const i bit = {1, 2, 4, 8};
  return (((static_cast<int32_t>(bits) | i{}) & bit) == bit);
}
FS_HD m both(m a, m b) { return a & b; }
FS_HD m either(m a, m b) { return a | b; }
FS_HD m inverse(m a) { return ~a; }

FS_HD m less(f a, f b) { return a < b; }
FS_HD m less_equal(f a, f b) { return a <= b; }
FS_HD m equal(f a, f b) { return a == b; }
FS_HD m less(i a, i b) { return a < b; }
FS_HD m less_equal(i a, i b) { return a <= b; }
FS_HD m equal(i a, i b) { return a == b; }

FS_HD i select(m where, i a, i b) { return (where & a) | (~where & b); }
FS_HD f select(m where, f a, f b) { return (f)select(where, (i)a, (i)b); }
FS_HD f min(f a, f b) { return select(a < b, a, b); }
FS_HD f max(f a, f b) { return select(a > b, a, b); }
FS_HD i min(i a, i b) { return select(a < b, a, b); }
FS_HD i max(i a, i b) { return select(a > b, a, b); }
FS_HD f sqrt(f a) {
#ifdef __SSE2__
  return (f)_mm_sqrt_ps((__m128)a);
#else
  return f{__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]), __builtin_sqrtf(a[3])};
#endif
}

FS_HD f floor(f a) {  // of numbers below 2^31
  const f whole = __builtin_convertvector(__builtin_convertvector(a, i), f);
  return select(whole > a, whole - 1.0f, whole);
}

// One row of four.
FS_HD f rows(const float* p, int64_t) {
  f row;
  __builtin_memcpy(&row, p, sizeof row);
  return row;
}

FS_HD f gather(const float* p, i at, m active) {
  f out = {};
  for (int lane = 0; lane < 4; ++lane)
    if (active[lane]) out[lane] = p[at[lane]];
  return out;
}
FS_HD i gather(const int32_t* p, i at, m active) {
  i out = {};
  for (int lane = 0; lane < 4; ++lane)
    if (active[lane]) out[lane] = p[at[lane]];
  return out;
}

FS_HD void gather_two(const int32_t* p, i row, i x0, i x1, m active, i& a, i& b) {
  a = gather(p, row + x0, active);
  b = gather(p, row + x1, active);
}

// Four elements at each of the lanes' places, as four columns.
template <class Place>
FS_HD void transposed(const Place& place, f column[4]) {
  f a[4];
  for (int j = 0; j < 4; ++j) __builtin_memcpy(&a[j], place(j), sizeof a[j]);
  const f low_0 = __builtin_shuffle(a[0], a[1], i{0, 4, 1, 5}), low_1 = __builtin_shuffle(a[2], a[3], i{0, 4, 1, 5});
  const f high_0 = __builtin_shuffle(a[0], a[1], i{2, 6, 3, 7}), high_1 = __builtin_shuffle(a[2], a[3], i{2, 6, 3, 7});
  column[0] = __builtin_shuffle(low_0, low_1, i{0, 1, 4, 5});
  column[1] = __builtin_shuffle(low_0, low_1, i{2, 3, 6, 7});
  column[2] = __builtin_shuffle(high_0, high_1, i{0, 1, 4, 5});
  column[3] = __builtin_shuffle(high_0, high_1, i{2, 3, 6, 7});
}

// table[at] of 64 numbers, at modulo 64.
FS_HD i lookup(const int32_t* table, i at) { return gather(table, at & 63, ~i{}); }
FS_HD i lookup_16(const int32_t* table, i at) { return gather(table, at & 15, ~i{}); }

// The number in the first of the active lanes.
FS_HD int32_t first_of(i a, m active) { return a[__builtin_ctz(bits_of(active))]; }

// Keys of 64 bits: high above low, for the first or the second half of the lanes.
FS_HD q keys(i high, i low, int half) {
  return half ? (q)__builtin_shuffle(low, high, i{2, 6, 3, 7}) : (q)__builtin_shuffle(low, high, i{0, 4, 1, 5});
}
FS_HD i low_words(q first, q second) { return __builtin_shuffle((i)first, (i)second, i{0, 2, 4, 6}); }
FS_HD q min(q a, q b) { return q{a[0] < b[0] ? a[0] : b[0], a[1] < b[1] ? a[1] : b[1]}; }

FS_HD void stream_line(void* to, const void* from) { __builtin_memcpy(to, from, 64); }
FS_HD void fence() {}

// Numbers 0..255 as bytes.
FS_HD void store_bytes(uint8_t* p, i a) {
  for (int lane = 0; lane < 4; ++lane) p[lane] = static_cast<uint8_t>(a[lane]);
}

}  // namespace native
}  // namespace FS_ISA
}  // namespace fastsynth
