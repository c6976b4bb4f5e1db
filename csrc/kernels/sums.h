// Sums that do not depend on the order of their terms, for what many pixels add to: the adjoints' scatters.
//
// Terms are added as whole numbers of 64 bits, in units of a power of two that is chosen from a bound on the terms and
// on their number so that no sum leaves 62 bits. Whole numbers add up to the same bits in any order, so results do not
// depend on threads, lanes or devices, and atomic adds are enough. A unit is 2^(number of terms' bits - 62) of the
// bound: for 2^23 terms, 15 bits below what a float sum would round to. Sorting the terms and adding segments, the
// other way to fix the order, would move every term several times.
//
// A sum whose bound is not finite is NaN, so that a gradient which is not finite is seen and not lost.
#pragma once

#include "../schedule/atomic.h"

namespace fastsynth {

// A kernel whose items are independent: tiles of kItems of them.
template <int kItems_>
struct ItemKernel {
  static constexpr int kItems = kItems_;
  template <class Tile>
  struct Shared {};
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }
  static FS_HD int64_t tiles_for(int64_t items) { return (items + kItems - 1) / kItems; }
};

// p[i] of consecutive lanes: one store where all are active.
template <class Int, class Float, class Mask>
FS_KERNEL void store_items(float* p, Int i, Float x, Mask active) {
  if (all(active)) {
    store_run(p, i, x, active);
  } else {
    scatter(p, i, x, active);
  }
}

// 2^exponent, held within what a float and its inverse can be.
FS_HD float power_of_two(int32_t exponent) { return as_float((min(max(exponent, -126), 126) + 127) << 23); }

// Exponent of the unit's inverse, for 2^bits terms of at most |bound|. No more than 100: the terms' factors are scaled
// before they meet.
FS_HD int32_t unit_exponent(float bound, int32_t bits) {
  const int32_t above = ((as_int(bound) >> 23) & 255) - 126;  // bound < 2^above
  return min(62 - bits - above, 100);
}

// 2^bits is at least `terms`.
FS_HD int32_t bits_of_terms(int64_t terms) {
  int32_t bits = 0;
  while (bits < 62 && (int64_t{1} << bits) < terms) ++bits;
  return bits;
}

// Adds what the lanes of a tile have summed to N places in memory: once a tile.
template <class Tile, int N, class Place>
FS_KERNEL void add_sums(Tile& tile, int64_t (&shared)[N], const typename Tile::UnitSum (&mine)[N], Place&& place) {
  tile.for_one(N, [&](int32_t k) { shared[k] = 0; });
  tile.sync();
  for (int k = 0; k < N; ++k) tile.add(&shared[k], mine[k].total());
  tile.sync();
  tile.for_one(N, [&](int32_t k) { atomic_add(place(k), shared[k]); });
}

// The active lanes' terms added to one place.
template <class Tile, class Float, class Mask>
FS_KERNEL void add_terms(int64_t* to, Float scaled, Mask active) {
  typename Tile::UnitSum terms;
  terms.add(scaled, active);
  atomic_add(to, terms.total());
}

// The same for bounds: bits of floats that are not negative, which are in the order of the floats, NaN on top.
template <class Tile, int N, class Place>
FS_KERNEL void raise_bounds(Tile& tile, int32_t (&shared)[N], const int32_t (&mine)[N], Place&& place) {
  tile.for_one(N, [&](int32_t k) { shared[k] = 0; });
  tile.sync();
  for (int k = 0; k < N; ++k) tile.most(&shared[k], mine[k]);
  tile.sync();
  tile.for_one(N, [&](int32_t k) { atomic_max(place(k), shared[k]); });
}

template <class T>
FS_HD auto magnitude_bits(T x) {
  const auto bits = as_int(x);
  return bits & decltype(as_int(x))(0x7fffffff);
}

// The largest magnitude of some numbers; of those of pixels that show a triangle, if there are ids.
struct LargestMagnitude : ItemKernel<16384> {
  template <class Tile>
  struct Shared {
    int32_t most[1];
  };
  const float* in;     // [count]
  const int32_t* ids;  // [count / each] or null
  int64_t count, each;
  int32_t* most;  // [1] its bits; starts at 0

  FS_HD int64_t tiles() const { return tiles_for(count); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t first = tile.index * kItems;
    const Float start(float(first % each) + 0.5f), size { float(each) };
    Int largest(0);
    tile.for_each(int32_t(min(count - first, int64_t(kItems))), [&](Int i, Mask active) {
      if (ids)
        active = active & (gather(ids + first / each, floor_int((to_float(i) + start) / size), active) >= Int(0));
      largest = max(largest, magnitude_bits(load_run(in + first, i, active)));
    });
    const int32_t mine[1] = {most_over(largest, Mask(true))};
    raise_bounds(tile, shared.most, mine, [&](int32_t) { return most; });
  }
};

// Sums in units to floats.
struct SumsToFloats : ItemKernel<4096> {
  const int64_t* sum;    // [count]
  const int32_t* bound;  // [count] bits of the bound of each, or [1] of all
  int64_t count;
  int32_t bits, each;  // of the number of terms; has each sum its own bound?
  float* out;          // [count]

  FS_HD int64_t tiles() const { return tiles_for(count); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    const int64_t first = tile.index * kItems;
    const int32_t items = int32_t(min(count - first, int64_t(kItems)));
    const int64_t* from = sum + first;
    float* to = out + first;
    if (each) {
      tile.for_one(items, [&](int32_t i) { to[i] = static_cast<float>(from[i]) * unit(bound[first + i]); });
    } else {
      const float same = unit(*bound);
      tile.for_one(items, [&](int32_t i) { to[i] = static_cast<float>(from[i]) * same; });
    }
  }

 private:
  FS_KERNEL float unit(int32_t most) const {
    if ((most & 0x7fffffff) >= 0x7f800000) return as_float(0x7fc00000);
    return power_of_two(-unit_exponent(as_float(most), bits));
  }
};

}  // namespace fastsynth
