// Order-independent updates of memory that several lanes or tiles write: add, min, max, and the 64-bit minimum that
// decides visibility. Integers only, so the result does not depend on the order.
#pragma once

#include "../core/wide.h"

namespace fastsynth {

FS_KERNEL void atomic_add(int32_t* p, int32_t value) {
#ifdef __CUDA_ARCH__
  ::atomicAdd(p, value);
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

FS_KERNEL void atomic_min(uint64_t* p, uint64_t value) {
#ifdef __CUDA_ARCH__
  ::atomicMin(reinterpret_cast<unsigned long long*>(p), static_cast<unsigned long long>(value));
#else
  uint64_t old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (value < old && !__atomic_compare_exchange_n(p, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
#endif
}

// The nearest triangle of every pixel of a tile, where each lane is a thread: one 64-bit key, depth above the
// triangle's number, so that the minimum is the nearest and, at equal depth, the lowest number, in whatever order they
// come.
template <int kPixels>
struct AtomicVisibility {
  uint64_t key[kPixels];

  FS_KERNEL void clear(int32_t pixel) { key[pixel] = ~uint64_t{0}; }
  FS_KERNEL void update(int32_t pixel, bool inside, float z, int32_t id) {
    if (!inside) return;
    const uint32_t bits = static_cast<uint32_t>(as_int(z + 0.0f));  // + 0: -0 and 0 are one depth
    const uint32_t ordered = bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
    const uint64_t candidate = static_cast<uint64_t>(ordered) << 32 | static_cast<uint32_t>(id);
    if (candidate < peek(&key[pixel])) atomic_min(&key[pixel], candidate);
  }
  FS_KERNEL int32_t id(int32_t pixel) const { return static_cast<int32_t>(key[pixel]); }  // all ones: -1
  FS_KERNEL int32_t id_at(int32_t pixel, bool) const { return id(pixel); }

 private:
  static FS_KERNEL uint64_t peek(const uint64_t* p) {
#ifdef __CUDA_ARCH__
    return *reinterpret_cast<const volatile uint64_t*>(p);
#else
    return __atomic_load_n(p, __ATOMIC_RELAXED);
#endif
  }
};

}  // namespace fastsynth
