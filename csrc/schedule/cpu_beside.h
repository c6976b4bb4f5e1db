// How the CPU schedule's lanes read pictures: runs, blocks, and what lies beside a block's pixels.
#pragma once

#include "../core/blocks.h"

#if defined(__unix__) || defined(__APPLE__)
#  include <sched.h>
#endif

namespace fastsynth {
namespace FS_ISA {

// p[i] of consecutive lanes.
template <class T, class V = decltype(gather(static_cast<const T*>(nullptr), Int(), Mask()))>
FS_HD V load_run(const T* p, Int i, Mask active) {
  if (!all(active)) return gather(p, i, active);
  V run;
  __builtin_memcpy(&run, p + at_lane(i, 0), sizeof run);
  return run;
}

// p[at] of a block's pixels, whose rows are `stride` apart; `whole`: all of them may be read.
template <class T, class V = decltype(gather(static_cast<const T*>(nullptr), Int(), Mask()))>
FS_HD V read_block(const T* p, Int at, int32_t stride, bool whole, Mask active) {
  if (!whole) return gather(p, at, active);
  const T* first = p + at_lane(at, 0);
  V block;
  FS_PARTS block.v[part] = (decltype(block.v[0] + block.v[0]))native::rows(
      reinterpret_cast<const float*>(first + int64_t{part} * (native::kLanes / 4) * stride), stride);
  return block;
}

// A number for each of a block's pixels and each of the sixteen beside the block makes two vectors, and any pixel's
// neighbour is in one of them. Sides: x + 1, x - 1, y + 1, y - 1, of which the second vector has four pixels each.
constexpr int kAroundSets = 2;
alignas(64) inline constexpr int32_t kAroundX[16] = {4, 4, 4, 4, -1, -1, -1, -1, 0, 1, 2, 3, 0, 1, 2, 3};
alignas(64) inline constexpr int32_t kAroundY[16] = {0, 1, 2, 3, 0, 1, 2, 3, 4, 4, 4, 4, -1, -1, -1, -1};
FS_HD Int around_x(Int, int set) { return set == 0 ? lane_numbers() & 3 : Int::load(kAroundX); }
FS_HD Int around_y(Int, int set) { return set == 0 ? lane_numbers() >> 2 : Int::load(kAroundY); }
alignas(64) inline constexpr int32_t kBeside[4][16] = {
    {1, 2, 3, 16, 5, 6, 7, 17, 9, 10, 11, 18, 13, 14, 15, 19},
    {20, 0, 1, 2, 21, 4, 5, 6, 22, 8, 9, 10, 23, 12, 13, 14},
    {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27},
    {28, 29, 30, 31, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
};
FS_HD Int beside(const Int (&sets)[kAroundSets], int side) {
  const Int at = Int::load(kBeside[side]);
#ifdef FS_HAS_PICK
  Int found;
  found.v[0] = native::pick(sets[0].v[0], sets[1].v[0], at.v[0]);
  return found;
#else
  return gather(reinterpret_cast<const int32_t*>(sets), at, Mask(true));
#endif
}

// Only one thread at a time runs body() under a number: what it adds to needs no atomics.
struct Turn {
  alignas(64) bool taken;
};
inline Turn turns[64];
template <class F>
FS_HD void in_turn(int32_t number, F&& body) {
  bool* taken = &turns[number & 63].taken;
  while (__atomic_test_and_set(taken, __ATOMIC_ACQUIRE)) {
#if defined(__unix__) || defined(__APPLE__)
    sched_yield();
#endif
  }
  body();
  __atomic_clear(taken, __ATOMIC_RELEASE);
}

}  // namespace FS_ISA
}  // namespace fastsynth
