// CPU schedule: a tile is run by one thread, its lanes are SIMD vectors over blocks of 4 x 4 pixels.
#pragma once

#include "cpu_memory.h"

namespace fastsynth {
namespace FS_ISA {

// Lanes' records of N numbers, collected until there are sixteen; vectors that are appended may reach past those.
template <int N>
struct Collected {
  alignas(64) int32_t value[N][48];
  int32_t count;
};

struct CpuTile : SixteenLanes {
  int64_t index;

  static constexpr int kSide = 256;  // pixels along the side of a raster tile: 512 KiB of visibility (docs/design/0004)
  static constexpr int kGroup = 1;   // meshlets at a time
  static constexpr int kAroundSets = FS_ISA::kAroundSets;
  static constexpr bool kCooperative = false;  // are large triangles shared among the lanes?
  template <int kPixels>
  using Visibility = KeyVisibility<kPixels>;
  template <int N>
  using Records = Collected<N>;
  using Strip = FS_ISA::Strip;
  using UnitSum = FS_ISA::UnitSum;
  using CoverWord = uint16_t;  // coverage of one 4 x 4 block

  // Runs body(i, active) for 0 <= i < count.
  template <class F>
  FS_HD void for_each(int32_t count, F&& body) {
    int32_t i = 0;
    for (; i + 16 <= count; i += 16) body(Int(i) + lane_numbers(), Mask(true));
    if (i < count) body(Int(i) + lane_numbers(), Mask::of((1u << (count - i)) - 1));
  }
  // Runs body(group, i, active) for every group and 0 <= i < count.
  template <class F>
  FS_HD void for_groups(int32_t groups, int32_t count, F&& body) {
    for (int32_t group = 0; group < groups; ++group)
      for_each(count, [&](Int i, Mask active) { body(group, i, active); });
  }
  // Runs body(group)(begin + i, lane, active) for every group: what is read at begin + i + lane lies side by side. `end` -
  // `begin` is a multiple of sixteen.
  template <class F>
  FS_HD void for_runs(int32_t groups, int32_t begin, int32_t end, F&& body) {
    for (int32_t group = 0; group < groups; ++group) {
      const auto run = body(group);
      for (int32_t i = begin; i < end; i += 16) run(i, lane_numbers(), Mask(true));
    }
  }
  // Runs body(pixel, x, y) for the blocks that begin within width x height of a square of `side` samples; `pixel`
  // numbers their samples, (x, y) is the first. Blocks one after another for which plain(pixel) holds are given to
  // run(x, y, w, h) at once: a picture is mostly background, and a row is filled faster than its blocks are.
  template <class Plain, class Run, class F>
  FS_HD void for_blocks(Strip& strip, int32_t side, int32_t width, int32_t height, Plain&& plain, Run&& run, F&& body) {
    const int32_t across = fastsynth::min(width, side), down = fastsynth::min(height, side);
    for (int32_t left = 0; left < across; left += Strip::kWidth)
      for (int32_t y = 0; y < down; y += 4) {
        const int32_t row = (y >> 2) * (side >> 2), end = fastsynth::min(left + Strip::kWidth, across);
        int32_t begin = left;  // of the run
        for (int32_t x = left; x < end; x += 4) {
          const Int pixel = Int((row + (x >> 2)) << 4) + lane_numbers();
          if (plain(pixel)) continue;
          if (begin < x) run(begin, y, x - begin, fastsynth::min(down - y, 4));
          body(pixel, x, y);
          begin = x + 4;
        }
        if (begin < end) run(begin, y, end - begin, fastsynth::min(down - y, 4));
        strip.flush(end - left, fastsynth::min(down - y, 4));
      }
  }
  // What for_blocks' bodies write, by the number of its plane: a block, and a run of one value.
  FS_HD void begin_strips(Strip& strip) { strip.used = 0; }
  template <class T, class V>
  FS_HD void store(Strip& strip, int number, T* p, int64_t stride, int32_t x, V v, Mask) {
    strip.store(number, p, stride, x % Strip::kWidth, v);
  }
  template <class T>
  FS_HD void fill(Strip& strip, int number, T* p, int64_t stride, int32_t x, int32_t w, int32_t h, T value) {
    strip.fill(number, p, stride, x % Strip::kWidth, w, h, value);
  }
  FS_HD void end_strips() { native::fence(); }
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
      const int32_t one = first_of(value, active);
      const Mask same = active & (value == Int(one));
      body(one, same);
      active = active & mask_not(same);
    }
  }
  FS_HD void sync() {}

  // out[k] = the lanes' sum of row[k], in the order of the lanes.
  template <int N, int M>
  FS_HD void sum_lanes(float (&)[N][M], const Float* row, int32_t numbers, float* out) {
    constexpr int32_t kAtOnce = 8;  // sums, so that none waits for its own last term
    for (int32_t first = 0; first < numbers; first += kAtOnce) {
      const int32_t count = fastsynth::min(numbers - first, kAtOnce);
      alignas(64) float kept[kAtOnce][16] = {};
      __builtin_memcpy(kept, row + first, size_t(count) * sizeof *row);
      float sum[kAtOnce] = {};
      for (int32_t lane = 0; lane < 16; ++lane)
        for (int32_t k = 0; k < kAtOnce; ++k) sum[k] += kept[k][lane];
      for (int32_t k = 0; k < count; ++k) out[first + k] = sum[k];
    }
  }
  // Where add_rows() will add: the rows lie far apart, and come while other work is done.
  FS_HD void expect_rows(const int64_t* p, Int row, Mask active) {
    const auto at = keep(select(active, row, Int(first_of(row, active))) << 2);
#pragma GCC unroll 16
    for (int lane = 0; lane < 16; ++lane) {
      __builtin_prefetch(p + at[lane], 1);
      __builtin_prefetch(p + at[lane] + 7, 1);
    }
  }
  // Adds each lane's three numbers, in units, to both rows of four that it names, mostly one after the other; within
  // in_turn().
  FS_HD void add_rows(int64_t* p, Int first, Int second, Vec3<Float> a, Vec3<Float> b, Mask active) {
    alignas(64) int64_t terms[16][8];
    terms_of(a, b, active, terms);
    // Inactive lanes add zeros to an active one's.
    const int32_t shared = first_of(first, active);
    const auto at = keep(select(active, first, Int(shared)) << 2);
    if (!any(active & (second != first + Int(1)))) {
      add_each<8>(p, at, terms, 0);
    } else {
      add_each<4>(p, at, terms, 0);
      add_each<4>(p, keep(select(active, second, Int(shared)) << 2), terms, 4);
    }
  }
  // See cpu_beside.h.
  template <class F>
  FS_HD void in_turn(int32_t number, F&& body) {
    FS_ISA::in_turn(number, body);
  }
  // Hands the kept lanes' records to body(record, active), once sixteen have come together or when flushed: where most
  // lanes drop out, what is left fills them again.
  template <int N>
  FS_HD void collect_begin(Collected<N>& records) {
    records.count = 0;
  }
  template <int N, class F>
  FS_HD void collect(Collected<N>& records, const Int (&record)[N], Mask kept, F&& body) {
    append(records, record, kept);
    if (records.count < 16) return;
    Int full[N];
    for (int i = 0; i < N; ++i) {
      full[i] = Int::load(records.value[i]);
      const Int rest = Int::load(records.value[i] + 16);
      __builtin_memcpy(records.value[i], &rest, sizeof rest);
    }
    records.count -= 16;
    body(full, Mask(true));
  }
  template <int N, class F>
  FS_HD void flush(Collected<N>& records, F&& body) {
    if (records.count == 0) return;
    Int rest[N];
    for (int i = 0; i < N; ++i) rest[i] = Int::load(records.value[i]);
    body(rest, Mask::of((1u << records.count) - 1));
    records.count = 0;
  }

  FS_HD void add(int32_t* p, int32_t value) { *p += value; }
  FS_HD void add(int64_t* p, int64_t value) { *p += value; }
  FS_HD void least(int32_t* p, int32_t value) { *p = fastsynth::min(*p, value); }
  FS_HD void most(int32_t* p, int32_t value) { *p = fastsynth::max(*p, value); }
  FS_HD int32_t next(int32_t* p) { return (*p)++; }
  FS_HD void cover(CoverWord* words, int32_t first, Mask inside) { words[first >> 4] |= inside.bits(); }
  FS_HD void cover_each(CoverWord* words, Int pixel, Mask inside) {
    for (uint32_t bits = inside.bits(); bits; bits &= bits - 1) {
      const int32_t at = at_lane(pixel, __builtin_ctz(bits));
      words[at >> 4] |= CoverWord(1u << (at & 15));
    }
  }
  FS_HD Mask covered(const CoverWord* words, Int pixel) { return Mask::of(words[lead(pixel) >> 4]); }

 private:
  // Whole numbers of the lanes' two times three, each three and a zero.
  static FS_HD void terms_of(Vec3<Float> a, Vec3<Float> b, Mask active, int64_t (&terms)[16][8]) {
    const auto held = [&](Float x) { return UnitSum::held(x, active); };
#ifdef FS_HAS_LONG
    native::rows_of_long({held(a.x).v[0], held(a.y).v[0], held(a.z).v[0]},
                         {held(b.x).v[0], held(b.y).v[0], held(b.z).v[0]}, terms);
#else
    const Kept<float> values[6] = {keep(held(a.x)), keep(held(a.y)), keep(held(a.z)),
                                   keep(held(b.x)), keep(held(b.y)), keep(held(b.z))};
    for (int lane = 0; lane < 16; ++lane) {
      for (int c = 0; c < 6; ++c) terms[lane][c + c / 3] = static_cast<int64_t>(values[c][lane]);
      terms[lane][3] = terms[lane][7] = 0;
    }
#endif
  }
  template <int N>
  static FS_HD void add_each(int64_t* p, const Kept<int32_t>& at, const int64_t (&terms)[16][8], int first) {
    typedef int64_t Row __attribute__((vector_size(8 * N), aligned(8)));
#pragma GCC unroll 16
    for (int lane = 0; lane < 16; ++lane) {
      Row* to = reinterpret_cast<Row*>(p + at[lane]);
      *to = *to + *reinterpret_cast<const Row*>(terms[lane] + first);
    }
  }
  template <int N>
  static FS_HD void append(Collected<N>& records, const Int (&record)[N], Mask kept) {
    const uint32_t bits = kept.bits();
#ifdef FS_HAS_COMPRESS
    int32_t at = records.count;
    FS_PARTS {
      const uint32_t here = bits >> (part * native::kLanes) & ((1u << native::kLanes) - 1);
      for (int i = 0; i < N; ++i) {
        const native::i together = native::compress(record[i].v[part], here);
        __builtin_memcpy(records.value[i] + at, &together, sizeof together);
      }
      at += __builtin_popcount(here);
    }
#else
    for (int i = 0; i < N; ++i) {
      const auto values = keep(record[i]);
      int32_t at = records.count;
      for (uint32_t left = bits; left; left &= left - 1) records.value[i][at++] = values[__builtin_ctz(left)];
    }
#endif
    records.count += __builtin_popcount(bits);
  }
};

}  // namespace FS_ISA
}  // namespace fastsynth
