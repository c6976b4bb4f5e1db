// What the schedules share in which every lane is a thread: CUDA and the checking schedule.
//
// `Base` gives lane() and lanes(), of which kTeamX * kTeamY work on one triangle, sync() and the name of the tile.
#pragma once

#include "atomic.h"

namespace fastsynth {

// A lane's sum of terms in units (kernels/sums.h).
struct UnitSum {
  int64_t sum = 0;
  FS_KERNEL void add(float scaled, bool active) { sum += active ? in_units(scaled) : 0; }
  FS_KERNEL int64_t total() const { return sum; }
};

template <class Base>
struct ThreadTile : OneLane, Base {
  using UnitSum = fastsynth::UnitSum;
  template <int kPixels>
  using Visibility = AtomicVisibility<kPixels>;
  using CoverWord = uint32_t;
  template <int N>
  struct Records {};
  struct Strip {};
  static constexpr int kAroundSets = 5;  // see around_x()
  static constexpr bool kCooperative = true;

  template <class F>
  FS_KERNEL void for_each(int32_t count, F&& body) {
    for (int32_t i = this->lane(); i < count; i += this->lanes()) body(i, true);
  }
  template <class F>
  FS_KERNEL void for_groups(int32_t groups, int32_t count, F&& body) {
    for_each(groups * count, [&](int32_t i, bool active) { body(i / count, i % count, active); });
  }
  template <class F>
  FS_KERNEL void for_runs(int32_t groups, int32_t begin, int32_t end, F&& body) {
    for_groups(groups, end - begin, [&](int32_t group, int32_t i, bool active) { body(group)(begin + i, 0, active); });
  }
  template <class Plain, class Run, class F>
  FS_KERNEL void for_blocks(Strip&, int32_t side, int32_t width, int32_t height, Plain&&, Run&&, F&& body) {
    for (int32_t i = this->lane(); i < side * side; i += this->lanes()) {
      const int32_t x = i % side, y = i / side;
      if (x < width && y < height) body(i, x, y);
    }
  }
  FS_KERNEL void begin_strips(Strip&) {}
  template <class T, class V>
  FS_KERNEL void store(Strip&, int, T* p, int64_t, int32_t, V v, bool active) {
    if (active) *p = static_cast<T>(v);
  }
  template <class T>
  FS_KERNEL void fill(Strip&, int, T*, int64_t, int32_t, int32_t, int32_t, T) {}
  FS_KERNEL void end_strips() {}
  template <class F>
  FS_KERNEL void for_one(int32_t count, F&& body) {
    for (int32_t i = this->lane(); i < count; i += this->lanes()) body(i);
  }
  template <class F>
  FS_KERNEL void serially(bool active, F&& body) {
    if (active) body(0);
  }
  template <class F>
  FS_KERNEL void for_unique(int32_t value, bool active, F&& body) {
    if (active) body(value, true);
  }
  // Each of the items by a team of lanes: body(item, x, y of the lane in the team).
  template <class F>
  FS_KERNEL void for_teams(int32_t count, F&& body) {
    constexpr int32_t kTeam = Base::kTeamX * Base::kTeamY;
    const int32_t member = this->lane() % kTeam;
    for (int32_t i = this->lane() / kTeam; i < count; i += this->lanes() / kTeam)
      body(i, member % Base::kTeamX, member / Base::kTeamX);
  }
  template <int N>
  FS_KERNEL void collect_begin(Records<N>&) {}
  template <int N, class F>
  FS_KERNEL void collect(Records<N>&, const int32_t (&record)[N], bool kept, F&& body) {
    if (kept) body(record, true);
  }
  template <int N, class F>
  FS_KERNEL void flush(Records<N>&, F&&) {}
  // out[k] = the lanes' sum of row[k], in the order of the lanes.
  template <int N, int M>
  FS_KERNEL void sum_lanes(float (&part)[N][M], const float* row, int32_t numbers, float* out) {
    for (int32_t first = 0; first < numbers; first += N) {
      const int32_t count = min(numbers - first, N);
      for (int32_t k = 0; k < count; ++k) part[k][this->lane()] = row[first + k];
      this->sync();
      for_one(count, [&](int32_t k) {
        float sum = 0.0f;
        for (int32_t l = 0; l < this->lanes(); ++l) sum += part[k][l];
        out[first + k] = sum;
      });
      this->sync();
    }
  }
  FS_KERNEL void add_rows(int64_t* p, int32_t first, int32_t second, Vec3<float> a, Vec3<float> b, bool active) {
    if (!active) return;
    const float terms[2][3] = {{a.x, a.y, a.z}, {b.x, b.y, b.z}};
    for (int c = 0; c < 3; ++c) {
      atomic_add(p + 4 * int64_t{first} + c, in_units(terms[0][c]));
      atomic_add(p + 4 * int64_t{second} + c, in_units(terms[1][c]));
    }
  }
  FS_KERNEL void expect_rows(const int64_t*, int32_t, bool) {}
  template <class F>
  FS_KERNEL void in_turn(int32_t, F&& body) {
    body();
  }
  FS_KERNEL void add(int32_t* p, int32_t value) { atomic_add(p, value); }
  FS_KERNEL void add(int64_t* p, int64_t value) { atomic_add(p, value); }
  FS_KERNEL void least(int32_t* p, int32_t value) { atomic_min(p, value); }
  FS_KERNEL void most(int32_t* p, int32_t value) { atomic_max(p, value); }
  FS_KERNEL int32_t next(int32_t* p) { return atomic_next(p); }
  FS_KERNEL void cover(uint32_t* words, int32_t pixel, bool inside) {
    if (inside) atomic_or(words + (pixel >> 5), 1u << (pixel & 31));
  }
  FS_KERNEL void cover_each(uint32_t* words, int32_t pixel, bool inside) { cover(words, pixel, inside); }
  FS_KERNEL bool covered(const uint32_t* words, int32_t pixel) { return words[pixel >> 5] >> (pixel & 31) & 1; }
};

FS_KERNEL int32_t lead(int32_t i) { return i; }
FS_KERNEL void store_run(float* p, int32_t i, float x, bool active) {
  if (active) p[i] = x;
}
FS_KERNEL void store_run(int32_t* p, int32_t i, int32_t x, bool active) {
  if (active) p[i] = x;
}
FS_KERNEL int32_t lookup(const int32_t* table, int32_t i) { return table[i & 63]; }
FS_KERNEL float lookup(const float* table, int32_t i) { return table[i & 63]; }

struct ExtentOne {
  int32_t min_x, min_y, max_x, max_y;
};
FS_KERNEL ExtentOne extent(bool) { return {0, 0, 0, 0}; }

template <class T>
struct KeptOne {
  T value;
  FS_KERNEL T operator[](int) const { return value; }
};
FS_KERNEL KeptOne<float> keep(float x) { return {x}; }
FS_KERNEL KeptOne<int32_t> keep(int32_t x) { return {x}; }
FS_KERNEL int32_t block_x(int32_t) { return 0; }
FS_KERNEL int32_t block_y(int32_t) { return 0; }
template <class T>
FS_KERNEL T load_run(const T* p, int32_t i, bool active) {
  return gather(p, i, active);
}
template <class T>
FS_KERNEL T read_block(const T* p, int32_t at, int32_t, bool, bool active) {
  return gather(p, at, active);
}
// A number of a pixel, and of those beside it: x + 1, x - 1, y + 1, y - 1.
constexpr int kOneAroundSets = 5;
FS_KERNEL int32_t around_x(int32_t, int set) { return set == 1 ? 1 : set == 2 ? -1 : 0; }
FS_KERNEL int32_t around_y(int32_t, int set) { return set == 3 ? 1 : set == 4 ? -1 : 0; }
FS_KERNEL int32_t beside(const int32_t (&sets)[kOneAroundSets], int side) { return sets[side + 1]; }
FS_KERNEL void store_block(float* p, int64_t, float x, bool active) {
  if (active) *p = x;
}
FS_KERNEL void store_block(int32_t* p, int64_t, int32_t x, bool active) {
  if (active) *p = x;
}
FS_KERNEL void store_block(uint8_t* p, int64_t, int32_t x, bool active) {
  if (active) *p = static_cast<uint8_t>(x);
}
FS_KERNEL void scatter(float* p, int32_t index, float x, bool active) {
  if (active) p[index] = x;
}
FS_KERNEL void scatter(uint8_t* p, int32_t index, int32_t x, bool active) {
  if (active) p[index] = static_cast<uint8_t>(x);
}
FS_KERNEL void scatter(int32_t* p, int32_t index, int32_t x, bool active) {
  if (active) p[index] = x;
}

FS_KERNEL void scatter_add(int64_t* p, int32_t index, float scaled, bool active) {
  if (active) atomic_add(p + index, in_units(scaled));
}
FS_KERNEL int32_t most_over(int32_t x, bool active) { return active ? x : 0; }

}  // namespace fastsynth
