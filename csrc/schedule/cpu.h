// CPU schedule: a tile is run by one thread, its lanes are SIMD vectors of sixteen.
#pragma once

#include "../core/wide16.h"
#include "atomic.h"

namespace fastsynth {
namespace FS_ISA {

// Nearest triangle of every pixel. One thread meets the triangles in ascending order, so "strictly nearer wins" is the
// same rule as the minimum of (depth, number).
template <int kPixels>
struct OrderedVisibility {
  alignas(64) float depth[kPixels];
  alignas(64) int32_t number[kPixels];

  FS_HD void clear(Int pixel) {
    const int32_t first = pixel.v[0];
    *reinterpret_cast<f32x16*>(depth + first) = Float(__builtin_inff()).v;
    *reinterpret_cast<i32x16*>(number + first) = Int(-1).v;
  }
  FS_HD void update(int32_t first, Mask inside, Float z, int32_t id) {
    // Whole vectors are stored, not the winners alone: the next triangle mostly reads the same block again, and a
    // masked store is not forwarded to a load.
    const Float old(*reinterpret_cast<const f32x16*>(depth + first));
    const Mask wins = inside & (z < old);
    *reinterpret_cast<f32x16*>(depth + first) = select(wins, z, old).v;
    i32x16* numbers = reinterpret_cast<i32x16*>(number + first);
    *numbers = select(wins, Int(id), Int(*numbers)).v;
  }
  FS_HD Int id(Int pixel) const { return Int(*reinterpret_cast<const i32x16*>(number + pixel.v[0])); }
  FS_HD Int id_at(Int pixel, Mask active) const { return select(active, gather(number, pixel, active), Int(-1)); }
};

struct CpuTile : SixteenLanes {
  int64_t index;

  static constexpr int kSide = 128;  // pixels along the side of a raster tile: 128 KiB of visibility lie in an L2 cache
  static constexpr int kGroup = 1;   // meshlets at a time
  static constexpr bool kCooperative = false;  // are large triangles shared among the lanes?
  template <int kPixels>
  using Visibility = OrderedVisibility<kPixels>;
  using CoverWord = uint16_t;  // coverage of one 4 x 4 block

  // Runs body(i, active) for 0 <= i < count.
  template <class F>
  FS_HD void for_each(int32_t count, F&& body) {
    const Int iota(i32x16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
    int32_t i = 0;
    for (; i + 16 <= count; i += 16) body(Int(i) + iota, Mask(true));
    if (i < count) body(Int(i) + iota, Mask::of((1u << (count - i)) - 1));
  }
  // Runs body(group, i, active) for every group and 0 <= i < count.
  template <class F>
  FS_HD void for_groups(int32_t groups, int32_t count, F&& body) {
    for (int32_t group = 0; group < groups; ++group)
      for_each(count, [&](Int i, Mask active) { body(group, i, active); });
  }
  // Runs body(i) for 0 <= i < count, the lanes taking turns where they are threads.
  template <class F>
  FS_HD void for_one(int32_t count, F&& body) {
    for (int32_t i = 0; i < count; ++i) body(i);
  }
  // Runs body(lane) for the active lanes one after another: the scalar work inside a for_each.
  template <class F>
  FS_HD void serially(Mask active, F&& body) {
    for (uint32_t bits = active.bits(); bits; bits &= bits - 1) body(__builtin_ctz(bits));
  }
  // Runs body(value, lanes) for each different value among the active lanes.
  template <class F>
  FS_HD void for_unique(Int value, Mask active, F&& body) {
    while (any(active)) {
      const int32_t one = first_lane(value, active);
      const Mask same = active & (value == Int(one));
      body(one, same);
      active = active & mask_not(same);
    }
  }
  FS_HD void sync() {}
  FS_HD void add(int32_t* p, int32_t value) { *p += value; }
  FS_HD void least(int32_t* p, int32_t value) { *p = fastsynth::min(*p, value); }
  FS_HD void most(int32_t* p, int32_t value) { *p = fastsynth::max(*p, value); }
  FS_HD int32_t next(int32_t* p) { return (*p)++; }
  FS_HD void cover(CoverWord* words, int32_t first, Mask inside) { words[first >> 4] |= inside.bits(); }
  FS_HD Mask covered(const CoverWord* words, Int pixel) { return Mask::of(words[pixel.v[0] >> 4]); }
};

// The number of the first lane: lanes of a for_each are consecutive.
FS_HD int32_t lead(Int i) { return i.v[0]; }

// Writes p[i] of consecutive lanes, inactive ones too: p is padded to a multiple of sixteen.
FS_HD void store_run(float* p, Int i, Float x, Mask) { __builtin_memcpy(p + i.v[0], &x, sizeof x); }
FS_HD void store_run(int32_t* p, Int i, Int x, Mask) { __builtin_memcpy(p + i.v[0], &x, sizeof x); }

// table[i] of a table of 64, for lanes whose index may be anything (reads modulo 64).
FS_HD Int lookup(const int32_t* table, Int i) {
#ifdef __AVX512F__
  const __m512i low =
      _mm512_permutex2var_epi32(_mm512_loadu_si512(table), (__m512i)i.v, _mm512_loadu_si512(table + 16));
  const __m512i high =
      _mm512_permutex2var_epi32(_mm512_loadu_si512(table + 32), (__m512i)i.v, _mm512_loadu_si512(table + 48));
  return Int((i32x16)_mm512_mask_blend_epi32(((i & Int(32)) != Int(0)).m, low, high));
#else
  return gather(table, i & Int(63), Mask(true));
#endif
}
FS_HD Float lookup(const float* table, Int i) { return as_float(lookup(reinterpret_cast<const int32_t*>(table), i)); }

// Extent of the active lanes in their 4 x 4 block, max inclusive; at least one is active.
struct Extent {
  int32_t min_x, min_y, max_x, max_y;
};
FS_HD Extent extent(Mask active) {
  const uint32_t bits = active.bits();
  const uint32_t columns = (bits | bits >> 4 | bits >> 8 | bits >> 12) & 15;
  return {__builtin_ctz(columns), __builtin_ctz(bits) >> 2, 31 - __builtin_clz(columns),
          (31 - __builtin_clz(bits)) >> 2};
}

// A value of each lane, kept where a scalar step can read it.
template <class T>
struct Kept {
  alignas(64) T value[16];
  FS_HD Kept() = default;
  FS_HD Kept(Float x) { *reinterpret_cast<f32x16*>(value) = x.v; }
  FS_HD Kept(Int x) { *reinterpret_cast<i32x16*>(value) = x.v; }
  FS_HD T operator[](int lane) const { return value[lane]; }
};
FS_HD Kept<float> keep(Float x) { return Kept<float>(x); }
FS_HD Kept<int32_t> keep(Int x) { return Kept<int32_t>(x); }

// Numbers 0..15 of the lanes as they lie in a 4 x 4 block of pixels.
FS_HD Int block_x(Int) { return Int(i32x16{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}); }
FS_HD Int block_y(Int) { return Int(i32x16{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}); }

// Writes a 4 x 4 block whose first pixel lies at p; rows are `stride` apart.
template <class T, class V>
FS_HD void store_rows(T* p, int64_t stride, const V* values, Mask active) {
  const uint32_t bits = active.bits();
  if (bits == 0xffff) {
    for (int row = 0; row < 4; ++row) __builtin_memcpy(p + row * stride, values + 4 * row, 4 * sizeof(T));
    return;
  }
  for (uint32_t left = bits; left; left &= left - 1) {
    const int lane = __builtin_ctz(left);
    p[(lane >> 2) * stride + (lane & 3)] = values[lane];
  }
}
FS_HD void store_block(float* p, int64_t stride, Float x, Mask active) { store_rows(p, stride, keep(x).value, active); }
FS_HD void store_block(int32_t* p, int64_t stride, Int x, Mask active) { store_rows(p, stride, keep(x).value, active); }
// Values 0..255.
FS_HD void store_block(uint8_t* p, int64_t stride, Int x, Mask active) {
  alignas(16) uint8_t bytes[16];
#ifdef __AVX512F__
  _mm_store_si128(reinterpret_cast<__m128i*>(bytes), _mm512_cvtepi32_epi8((__m512i)x.v));
#else
  const Kept<int32_t> kept(x);
  for (int lane = 0; lane < 16; ++lane) bytes[lane] = static_cast<uint8_t>(kept.value[lane]);
#endif
  store_rows(p, stride, bytes, active);
}
// For lanes in a row (items): consecutive elements from p.
FS_HD void scatter(float* p, Int index, Float x, Mask active) {
  const Kept<float> values(x);
  const Kept<int32_t> at(index);
  for (uint32_t bits = active.bits(); bits; bits &= bits - 1) {
    const int lane = __builtin_ctz(bits);
    p[at[lane]] = values[lane];
  }
}
FS_HD void scatter(uint8_t* p, Int index, Int x, Mask active) {
  const Kept<int32_t> values(x), at(index);
  for (uint32_t bits = active.bits(); bits; bits &= bits - 1) {
    const int lane = __builtin_ctz(bits);
    p[at[lane]] = static_cast<uint8_t>(values[lane]);
  }
}
FS_HD void scatter(int32_t* p, Int index, Int x, Mask active) {
  const Kept<int32_t> values(x), at(index);
  for (uint32_t bits = active.bits(); bits; bits &= bits - 1) {
    const int lane = __builtin_ctz(bits);
    p[at[lane]] = values[lane];
  }
}

}  // namespace FS_ISA
}  // namespace fastsynth
