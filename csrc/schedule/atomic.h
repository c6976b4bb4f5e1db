// Order-independent updates of memory that several lanes or tiles write: add, min, max, and the 64-bit minimum that
// decides visibility. Integers only, so the result does not depend on the order.
#pragma once

#include "../core/vec.h"

namespace fastsynth {

constexpr int kPlanes = 16;  // that a pass over a picture writes at most

FS_KERNEL void atomic_add(int32_t* p, int32_t value) {
#ifdef __CUDA_ARCH__
  ::atomicAdd(p, value);
#else
  __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
#endif
}

FS_KERNEL void atomic_add(int64_t* p, int64_t value) {
#ifdef __CUDA_ARCH__
  ::atomicAdd(reinterpret_cast<unsigned long long*>(p), static_cast<unsigned long long>(value));
#else
  __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
#endif
}

FS_KERNEL int32_t atomic_next(int32_t* p) {
#ifdef __CUDA_ARCH__
  return ::atomicAdd(p, 1);
#else
  return __atomic_fetch_add(p, 1, __ATOMIC_RELAXED);
#endif
}

FS_KERNEL void atomic_or(uint32_t* p, uint32_t value) {
#ifdef __CUDA_ARCH__
  ::atomicOr(p, value);
#else
  __atomic_fetch_or(p, value, __ATOMIC_RELAXED);
#endif
}

FS_KERNEL void atomic_min(int32_t* p, int32_t value) {
#ifdef __CUDA_ARCH__
  ::atomicMin(p, value);
#else
  int32_t old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (value < old && !__atomic_compare_exchange_n(p, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
#endif
}

FS_KERNEL void atomic_max(int32_t* p, int32_t value) {
#ifdef __CUDA_ARCH__
  ::atomicMax(p, value);
#else
  int32_t old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (value > old && !__atomic_compare_exchange_n(p, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
#endif
}

FS_KERNEL void atomic_min(int64_t* p, int64_t value) {
#ifdef __CUDA_ARCH__
  ::atomicMin(reinterpret_cast<long long*>(p), static_cast<long long>(value));
#else
  int64_t old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (value < old && !__atomic_compare_exchange_n(p, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
#endif
}

// A term of a sum (kernels/sums.h) in units, toward zero. Held within 62 bits; what is not a number may become anything.
constexpr float kMostUnits = 4611686018427387904.0f;
FS_HD int64_t in_units(float scaled) { return static_cast<int64_t>(min(max(scaled, -kMostUnits), kMostUnits)); }

// z/w as a number of the same order.
template <class T>
FS_KERNEL auto ordered_depth(T z) {
  const auto bits = as_int(z + T(0.0f));  // + 0: -0 and 0 are one depth
  using I = decltype(as_int(z));
  return bits ^ ((bits >> 31) & I(INT32_MAX));
}

// The nearest triangle of every pixel of a tile, where each lane is a thread: one 64-bit key, depth above the
// triangle's number, so that the minimum is the nearest and, at equal depth, the lowest number, in whatever order they
// come.
template <int kPixels>
struct AtomicVisibility {
  int64_t key[kPixels];

  FS_KERNEL void clear(int32_t pixel) { key[pixel] = INT64_MAX; }
  FS_KERNEL void update(int32_t pixel, bool inside, float z, int32_t id) {
    if (!inside) return;
    const int64_t candidate = int64_t{ordered_depth(z)} * (int64_t{1} << 32) | static_cast<uint32_t>(id);
    if (candidate < peek(&key[pixel])) atomic_min(&key[pixel], candidate);
  }
  FS_KERNEL void update_each(int32_t pixel, bool inside, float z, int32_t id) { update(pixel, inside, z, id); }
  FS_KERNEL int32_t id(int32_t pixel) const { return static_cast<int32_t>(key[pixel]); }  // -1 where nothing is
  FS_KERNEL int32_t id_at(int32_t pixel, bool) const { return id(pixel); }

 private:
  static FS_KERNEL int64_t peek(const int64_t* p) {
#ifdef __CUDA_ARCH__
    return *reinterpret_cast<const volatile int64_t*>(p);
#else
    return __atomic_load_n(p, __ATOMIC_RELAXED);
#endif
  }
};

}  // namespace fastsynth
