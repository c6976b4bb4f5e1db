// How the CPU schedule's lanes write: the visibility of a tile, blocks of a picture, elements of an array.
#pragma once

#include "atomic.h"
#include "cpu_beside.h"

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

// Elements of T, in the lanes' order; bytes of numbers 0..255.
template <class T, class V>
FS_HD auto pieces(const T*, V x) {
  return keep(x);
}
struct KeptBytes {
  alignas(16) uint8_t value[16];
};
FS_HD KeptBytes pieces(const uint8_t*, Int x) {
  KeptBytes bytes;
  FS_PARTS native::store_bytes(bytes.value + part * native::kLanes, x.v[part]);
  return bytes;
}

// Writes a block whose first pixel lies at p; rows are `stride` apart.
template <class T, class V>
FS_HD void store_rows(T* p, int64_t stride, const V* values, uint32_t bits) {
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
  store_rows(p, stride, pieces(p, x).value, active.bits());
}

template <class T>
FS_HD void fill_rows(T* p, int64_t stride, int32_t w, int32_t h, T value) {
  for (int32_t y = 0; y < h; ++y)
    for (int32_t x = 0; x < w; ++x) p[y * stride + x] = value;
}

// A strip of blocks of a picture's planes, put together here and then sent past the caches line by line: a line that
// is written in parts is read from memory first.
struct Strip {
  static constexpr int kWidth = 64, kPitch = 4 * kWidth;  // [pixels], [bytes]
  struct To {
    char* first;
    int64_t stride, size;  // [bytes] between rows, of an element
  };
  alignas(64) char row[kPlanes][4][kPitch];
  To to[kPlanes];
  uint32_t used;  // planes, a bit each

  // A block of plane `number`, `x` pixels from the strip's left; its first pixel belongs at p.
  template <class T, class V>
  FS_HD void store(int number, T* p, int64_t stride, int32_t x, V v) {
    store_rows(claim(number, p - x, stride) + x, kPitch / int64_t(sizeof(T)), pieces(p, v).value, 0xffffu);
  }
  // The same value in w x h pixels.
  template <class T>
  FS_HD void fill(int number, T* p, int64_t stride, int32_t x, int32_t w, int32_t h, T value) {
    if (w < kWidth) return fill_rows(claim(number, p - x, stride) + x, kPitch / int64_t(sizeof(T)), w, h, value);
    alignas(64) T line[64 / sizeof(T)];
    for (T& each : line) each = value;
    for (int32_t y = 0; y < h; ++y)
      for (int32_t i = 0; i < w; i += 64 / int32_t(sizeof(T))) send(p + y * stride + i, line, sizeof line);
  }
  // Sends what was stored of the strip's w x h pixels.
  FS_HD void flush(int32_t w, int32_t h) {
    for (; used; used &= used - 1) {
      const int number = __builtin_ctz(used);
      for (int32_t y = 0; y < h; ++y)
        send(to[number].first + y * to[number].stride, row[number][y], w * to[number].size);
    }
  }

 private:
  template <class T>
  FS_HD T* claim(int number, T* first, int64_t stride) {
    used |= 1u << number;
    to[number] = {reinterpret_cast<char*>(first), stride * int64_t(sizeof(T)), int64_t(sizeof(T))};
    return reinterpret_cast<T*>(row[number][0]);
  }
  FS_HD void send(void* p, const void* from, int64_t bytes) {
    char* at = static_cast<char*>(p);
    const char* source = static_cast<const char*>(from);
    if (reinterpret_cast<uintptr_t>(at) % 64 == 0)
      for (; bytes >= 64; bytes -= 64, at += 64, source += 64) native::stream_line(at, source);
    if (bytes > 0) __builtin_memcpy(at, source, bytes);
  }
};

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

// A sum of terms in units (kernels/sums.h), of all active lanes.
struct UnitSum {
#ifdef FS_HAS_LONG
  native::q halves[2 * kParts] = {};
  FS_HD void add(Float scaled, Mask active) {
    const Float x = held(scaled, active);
    FS_PARTS for (int half = 0; half < 2; ++half) halves[2 * part + half] += native::to_long(x.v[part], half);
  }
  FS_HD int64_t total() const {
    native::q sum = halves[0];
    for (int i = 1; i < 2 * kParts; ++i) sum += halves[i];
    return native::sum_of(sum);
  }
#else
  int64_t sum = 0;
  FS_HD void add(Float scaled, Mask active) {
    const auto values = keep(held(scaled, active));
    for (int lane = 0; lane < 16; ++lane) sum += static_cast<int64_t>(values[lane]);
  }
  FS_HD int64_t total() const { return sum; }
#endif

  // As `in_units`.
  static FS_HD Float held(Float scaled, Mask active) {
    return min(max(select(active, scaled, Float(0.0f)), Float(-kMostUnits)), Float(kMostUnits));
  }
};
FS_HD void scatter_add(int64_t* p, Int index, Float scaled, Mask active) {
  const auto at = keep(index);
  const auto values = keep(UnitSum::held(scaled, active));
  for (uint32_t bits = active.bits(); bits; bits &= bits - 1) {
    const int lane = __builtin_ctz(bits);
    atomic_add(p + at[lane], static_cast<int64_t>(values[lane]));
  }
}
// The largest of the active lanes' numbers, none of which is negative; 0 where there is none.
FS_HD int32_t most_over(Int x, Mask active) {
  const auto values = keep(select(active, x, Int(0)));
  int32_t most = 0;
  for (int lane = 0; lane < 16; ++lane) most = fastsynth::max(most, values.value[lane]);
  return most;
}

}  // namespace FS_ISA
}  // namespace fastsynth
