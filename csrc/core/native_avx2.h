// One vector of AVX2: eight lanes.
#pragma once

#include <immintrin.h>

#include "platform.h"

namespace fastsynth {
namespace FS_ISA {
namespace native {

constexpr int kLanes = 8;
typedef float f __attribute__((vector_size(32)));
typedef int32_t i __attribute__((vector_size(32)));
typedef int64_t q __attribute__((vector_size(32)));  // half as many
typedef i m;                                         // 0 or -1

FS_HD uint32_t bits_of(m a) { return static_cast<uint32_t>(_mm256_movemask_ps((__m256)a)); }
FS_HD m mask_of(uint32_t bits) {
  const i bit = {1, 2, 4, 8, 16, 32, 64, 128};
  return (((static_cast<int32_t>(bits) | i{}) & bit) == bit);
}
FS_HD m both(m a, m b) { return a & b; }
FS_HD m either(m a, m b) { return a | b; }
FS_HD m inverse(m a) { return ~a; }

FS_HD m less(f a, f b) { return (m)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LT_OQ); }
FS_HD m less_equal(f a, f b) { return (m)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LE_OQ); }
FS_HD m equal(f a, f b) { return (m)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_EQ_OQ); }
FS_HD m less(i a, i b) { return a < b; }
FS_HD m less_equal(i a, i b) { return a <= b; }
FS_HD m equal(i a, i b) { return a == b; }

FS_HD f select(m where, f a, f b) { return (f)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)where); }
FS_HD i select(m where, i a, i b) { return (i)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)where); }
FS_HD f min(f a, f b) { return (f)_mm256_min_ps((__m256)a, (__m256)b); }
FS_HD f max(f a, f b) { return (f)_mm256_max_ps((__m256)a, (__m256)b); }
FS_HD i min(i a, i b) { return (i)_mm256_min_epi32((__m256i)a, (__m256i)b); }
FS_HD i max(i a, i b) { return (i)_mm256_max_epi32((__m256i)a, (__m256i)b); }
FS_HD f sqrt(f a) { return (f)_mm256_sqrt_ps((__m256)a); }

FS_HD f floor(f a) { return (f)_mm256_floor_ps((__m256)a); }

FS_HD f gather(const float* p, i at, m active) {
  return (f)_mm256_mask_i32gather_ps(_mm256_setzero_ps(), p, (__m256i)at, (__m256)active, 4);
}
FS_HD i gather(const int32_t* p, i at, m active) {
  return (i)_mm256_mask_i32gather_epi32(_mm256_setzero_si256(), p, (__m256i)at, (__m256i)active, 4);
}

FS_HD void gather_two(const int32_t* p, i row, i x0, i x1, m active, i& a, i& b) {
  a = gather(p, row + x0, active);
  b = gather(p, row + x1, active);
}

// Four elements at each of the lanes' places, as four columns.
template <class Place>
FS_HD void transposed(const Place& place, f column[4]) {
  __m256 a[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j)
    a[j] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_load_ps(place(j))), _mm_load_ps(place(4 + j)), 1);
  const __m256d low_0 = _mm256_castps_pd(_mm256_unpacklo_ps(a[0], a[1])),
                low_1 = _mm256_castps_pd(_mm256_unpacklo_ps(a[2], a[3]));
  const __m256d high_0 = _mm256_castps_pd(_mm256_unpackhi_ps(a[0], a[1])),
                high_1 = _mm256_castps_pd(_mm256_unpackhi_ps(a[2], a[3]));
  column[0] = (f)_mm256_unpacklo_pd(low_0, low_1);
  column[1] = (f)_mm256_unpackhi_pd(low_0, low_1);
  column[2] = (f)_mm256_unpacklo_pd(high_0, high_1);
  column[3] = (f)_mm256_unpackhi_pd(high_0, high_1);
}

// Two rows of four, `stride` apart.
FS_HD f rows(const float* p, int64_t stride) {
  return (f)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + stride), 1);
}

// table[at] of 64 numbers, at modulo 64.
FS_HD i lookup(const int32_t* table, i at) { return (i)_mm256_i32gather_epi32(table, (__m256i)(at & 63), 4); }
FS_HD i lookup_16(const int32_t* table, i at) { return (i)_mm256_i32gather_epi32(table, (__m256i)(at & 15), 4); }

// For each set of kept lanes, the lanes in order.
struct Orders {
  int32_t lane[256][8];
};
constexpr Orders orders() {
  Orders all{};
  for (int kept = 0; kept < 256; ++kept)
    for (int lane = 0, at = 0; lane < 8; ++lane)
      if (kept >> lane & 1) all.lane[kept][at++] = lane;
  return all;
}
alignas(32) inline constexpr Orders kOrders = orders();

// The kept lanes' numbers, moved together.
#define FS_HAS_COMPRESS 1
FS_HD i compress(i a, uint32_t kept) {
  return (i)_mm256_permutevar8x32_epi32((__m256i)a,
                                        _mm256_load_si256(reinterpret_cast<const __m256i*>(kOrders.lane[kept])));
}

// The number in the first of the active lanes.
FS_HD int32_t first_of(i a, m active) {
  const i lane = __builtin_ctz(bits_of(active)) | i{};
  return _mm_cvtsi128_si32(_mm256_castsi256_si128(_mm256_permutevar8x32_epi32((__m256i)a, (__m256i)lane)));
}

// Keys of 64 bits: high above low, for the first or the second half of the lanes.
FS_HD q keys(i high, i low, int half) {
  const auto wide = [half](i a) {
    return _mm256_cvtepu32_epi64(half ? _mm256_extracti128_si256((__m256i)a, 1) : _mm256_castsi256_si128((__m256i)a));
  };
  return (q)_mm256_or_si256(_mm256_slli_epi64(wide(high), 32), wide(low));
}
FS_HD i low_words(q first, q second) {
  const __m256 both = _mm256_shuffle_ps((__m256)first, (__m256)second, 0x88);  // 0 1 | 4 5 of each, crossed
  return (i)_mm256_permute4x64_epi64((__m256i)both, 0xd8);
}
FS_HD q min(q a, q b) {
  return (q)_mm256_blendv_epi8((__m256i)b, (__m256i)a, _mm256_cmpgt_epi64((__m256i)b, (__m256i)a));
}

// 64 bytes to an address that is a multiple of 64, past the caches; seen by others after a fence.
FS_HD void stream_line(void* to, const void* from) {
  for (int half = 0; half < 2; ++half)
    _mm256_stream_si256((__m256i*)to + half, _mm256_loadu_si256((const __m256i*)from + half));
}
FS_HD void fence() { _mm_sfence(); }

// Numbers 0..255 as bytes.
FS_HD void store_bytes(uint8_t* p, i a) {
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128((__m256i)a), _mm256_extracti128_si256((__m256i)a, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}

}  // namespace native
}  // namespace FS_ISA
}  // namespace fastsynth
