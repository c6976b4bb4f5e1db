// How the CPU schedule's lanes write: the visibility of a tile, blocks of a picture, elements of an array.
#pragma once

#include "../core/blocks.h"
#include "atomic.h"

namespace fastsynth {
namespace FS_ISA {

// The number of the first lane: lanes of a for_each, and of a block, are consecutive.
FS_HD int32_t lead(Int i) { return at_lane(i, 0); }

// Nearest triangle of every pixel: the same keys as where lanes are threads (AtomicVisibility), and one thread. Pixels
// lie block after block.
template <int kPixels>
struct KeyVisibility {
  alignas(64) int64_t key[kPixels];

  FS_HD void clear(Int pixel) {
    for (int i = 0; i < 2 * kParts; ++i) vectors(lead(pixel))[i] = INT64_MAX | native::q{};
  }
  // One triangle and the pixels from `first`.
  FS_HD void update(int32_t first, Mask inside, Float z, int32_t id) {
    const Int depth = select(inside, ordered_depth(z), Int(INT32_MAX)), number = select(inside, Int(id), Int(-1));
    native::q* at = vectors(first);
    FS_PARTS for (int half = 0; half < 2; ++half) {
      native::q& old = at[2 * part + half];
      old = native::min(old, native::keys(depth.v[part], number.v[part], half));
    }
  }
  // Each lane's triangle and its own pixel.
  FS_HD void update_each(Int pixel, Mask inside, Float z, Int id) {
    const Int depth = ordered_depth(z);
    alignas(64) native::q candidates[2 * kParts];
    FS_PARTS for (int half = 0; half < 2; ++half) candidates[2 * part + half] =
        native::keys(depth.v[part], id.v[part], half);
    alignas(64) int64_t candidate[16];
    __builtin_memcpy(candidate, candidates, sizeof candidate);
    const auto at = keep(pixel);
    for (uint32_t bits = inside.bits(); bits; bits &= bits - 1) {
      const int lane = __builtin_ctz(bits);
      int64_t* p = key + at[lane];
      *p = candidate[lane] < *p ? candidate[lane] : *p;
    }
  }
  FS_HD Int id(Int pixel) const {
    const native::q* at = reinterpret_cast<const native::q*>(key + lead(pixel));
    FS_PARTS pixel.v[part] = native::low_words(at[2 * part], at[2 * part + 1]);
    return pixel;
  }
  FS_HD Int id_at(Int pixel, Mask active) const {
    const Int low = gather(reinterpret_cast<const int32_t*>(key), pixel << 1, active);  // little-endian
    return select(active, low, Int(-1));
  }

 private:
  FS_HD native::q* vectors(int32_t first) { return reinterpret_cast<native::q*>(key + first); }
};

// Writes p[i] of consecutive lanes, inactive ones too: p is padded to a multiple of sixteen.
template <class T, class V>
FS_HD void store_run(T* p, Int i, V x, Mask) {
  __builtin_memcpy(p + lead(i), &x, sizeof x);
}

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

// Places of the lanes in their block.
FS_HD Int block_x(Int) { return lane_numbers() & 3; }
FS_HD Int block_y(Int) { return lane_numbers() >> 2; }

// Writes a block whose first pixel lies at p; rows are `stride` apart.
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
template <class T, class V>
FS_HD void store_block(T* p, int64_t stride, V x, Mask active) {
  store_rows(p, stride, keep(x).value, active);
}
// Values 0..255.
FS_HD void store_block(uint8_t* p, int64_t stride, Int x, Mask active) {
  alignas(16) uint8_t bytes[16];
  FS_PARTS native::store_bytes(bytes + part * native::kLanes, x.v[part]);
  store_rows(p, stride, bytes, active);
}
// Writes each lane's element.
template <class T, class V>
FS_HD void scatter(T* p, Int index, V x, Mask active) {
  const auto values = keep(x);
  const auto at = keep(index);
  for (uint32_t bits = active.bits(); bits; bits &= bits - 1) {
    const int lane = __builtin_ctz(bits);
    p[at[lane]] = static_cast<T>(values[lane]);
  }
}

}  // namespace FS_ISA
}  // namespace fastsynth
