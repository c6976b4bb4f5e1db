// One vector of AVX-512: sixteen lanes.
#pragma once

#include <immintrin.h>

#include "platform.h"

namespace fastsynth {
namespace FS_ISA {
namespace native {

constexpr int kLanes = 16;
typedef float f __attribute__((vector_size(64)));
typedef int32_t i __attribute__((vector_size(64)));
typedef int64_t q __attribute__((vector_size(64)));  // half as many
using m = __mmask16;

FS_HD uint32_t bits_of(m a) { return a; }
FS_HD m mask_of(uint32_t bits) { return static_cast<m>(bits); }
FS_HD m both(m a, m b) { return static_cast<m>(a & b); }
FS_HD m either(m a, m b) { return static_cast<m>(a | b); }
FS_HD m inverse(m a) { return static_cast<m>(~a); }

#define FS_COMPARE(name, float_code, int_code)                                            \
  FS_HD m name(f a, f b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, float_code); } \
  FS_HD m name(i a, i b) { return _mm512_cmp_epi32_mask((__m512i)a, (__m512i)b, int_code); }
FS_COMPARE(less, _CMP_LT_OQ, _MM_CMPINT_LT)
FS_COMPARE(less_equal, _CMP_LE_OQ, _MM_CMPINT_LE)
FS_COMPARE(equal, _CMP_EQ_OQ, _MM_CMPINT_EQ)
#undef FS_COMPARE

FS_HD f select(m where, f a, f b) { return (f)_mm512_mask_blend_ps(where, (__m512)b, (__m512)a); }
FS_HD i select(m where, i a, i b) { return (i)_mm512_mask_blend_epi32(where, (__m512i)b, (__m512i)a); }
FS_HD f min(f a, f b) { return (f)_mm512_min_ps((__m512)a, (__m512)b); }
FS_HD f max(f a, f b) { return (f)_mm512_max_ps((__m512)a, (__m512)b); }
FS_HD i min(i a, i b) { return (i)_mm512_min_epi32((__m512i)a, (__m512i)b); }
FS_HD i max(i a, i b) { return (i)_mm512_max_epi32((__m512i)a, (__m512i)b); }
FS_HD f sqrt(f a) { return (f)_mm512_sqrt_ps((__m512)a); }

FS_HD f floor(f a) { return (f)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }

FS_HD f gather(const float* p, i at, m active) {
  return (f)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), active, (__m512i)at, p, 4);
}
FS_HD i gather(const int32_t* p, i at, m active) {
  return (i)_mm512_mask_i32gather_epi32(_mm512_setzero_si512(), active, (__m512i)at, p, 4);
}

// p[row + x0] and p[row + x1]; the cost of a gather is its number of reads, and one read serves both neighbours.
FS_HD void gather_two(const int32_t* p, i row, i x0, i x1, m active, i& a, i& b) {
  if (active & ~equal(x1, x0 + 1)) {
    a = gather(p, row + x0, active);
    b = gather(p, row + x1, active);
    return;
  }
  const __m512i at = (__m512i)(row + x0), none = _mm512_setzero_si512();
  const __m512i low = _mm512_mask_i32gather_epi64(none, __mmask8(active), _mm512_castsi512_si256(at), p, 4);
  const __m512i high = _mm512_mask_i32gather_epi64(none, __mmask8(active >> 8), _mm512_extracti64x4_epi64(at, 1), p, 4);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  a = (i)_mm512_permutex2var_epi32(low, even, high);
  b = (i)_mm512_permutex2var_epi32(low, _mm512_add_epi32(even, _mm512_set1_epi32(1)), high);
}

// Four elements at each of the lanes' places, as four columns.
template <class Place>
FS_HD void transposed(const Place& place, f column[4]) {
  __m512 a[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    a[j] = _mm512_castps128_ps512(_mm_load_ps(place(j)));
    a[j] = _mm512_insertf32x4(a[j], _mm_load_ps(place(4 + j)), 1);
    a[j] = _mm512_insertf32x4(a[j], _mm_load_ps(place(8 + j)), 2);
    a[j] = _mm512_insertf32x4(a[j], _mm_load_ps(place(12 + j)), 3);
  }
  const __m512d low_0 = _mm512_castps_pd(_mm512_unpacklo_ps(a[0], a[1])),
                low_1 = _mm512_castps_pd(_mm512_unpacklo_ps(a[2], a[3]));
  const __m512d high_0 = _mm512_castps_pd(_mm512_unpackhi_ps(a[0], a[1])),
                high_1 = _mm512_castps_pd(_mm512_unpackhi_ps(a[2], a[3]));
  column[0] = (f)_mm512_unpacklo_pd(low_0, low_1);
  column[1] = (f)_mm512_unpackhi_pd(low_0, low_1);
  column[2] = (f)_mm512_unpacklo_pd(high_0, high_1);
  column[3] = (f)_mm512_unpackhi_pd(high_0, high_1);
}

// Four rows of four, `stride` apart.
FS_HD f rows(const float* p, int64_t stride) {
  __m512 all = _mm512_castps128_ps512(_mm_loadu_ps(p));
  all = _mm512_insertf32x4(all, _mm_loadu_ps(p + stride), 1);
  all = _mm512_insertf32x4(all, _mm_loadu_ps(p + 2 * stride), 2);
  return (f)_mm512_insertf32x4(all, _mm_loadu_ps(p + 3 * stride), 3);
}

// Of two times sixteen numbers, those at `at`.
#define FS_HAS_PICK 1
FS_HD i pick(i a, i b, i at) { return (i)_mm512_permutex2var_epi32((__m512i)a, (__m512i)at, (__m512i)b); }

// table[at] of 64 numbers, at modulo 64.
FS_HD i lookup(const int32_t* table, i at) {
  const __m512i low = _mm512_permutex2var_epi32(_mm512_loadu_si512(table), (__m512i)at, _mm512_loadu_si512(table + 16));
  const __m512i high =
      _mm512_permutex2var_epi32(_mm512_loadu_si512(table + 32), (__m512i)at, _mm512_loadu_si512(table + 48));
  return (i)_mm512_mask_blend_epi32(_mm512_test_epi32_mask((__m512i)at, _mm512_set1_epi32(32)), low, high);
}

FS_HD i lookup_16(const int32_t* table, i at) {
  return (i)_mm512_permutexvar_epi32((__m512i)at, _mm512_loadu_si512(table));
}

// The kept lanes' numbers, moved together.
#define FS_HAS_COMPRESS 1
FS_HD i compress(i a, uint32_t kept) { return (i)_mm512_maskz_compress_epi32(mask_of(kept), (__m512i)a); }

// The number in the first of the active lanes.
FS_HD int32_t first_of(i a, m active) {
  return _mm_cvtsi128_si32(_mm512_castsi512_si128(_mm512_maskz_compress_epi32(active, (__m512i)a)));
}

// Up to four different numbers of the active lanes, and which of them each lane has; false where there are more.
#define FS_HAS_FEW 1
FS_HD bool few(i a, m active, int32_t number[4], i& which) {
  const __m512i none = _mm512_setr_epi32(-1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12, -13, -14, -15, -16);
  const __m512i own = _mm512_mask_mov_epi32(none, active, (__m512i)a);  // numbers are not negative
  const m first = both(active, _mm512_testn_epi32_mask(_mm512_conflict_epi32(own), _mm512_set1_epi32(-1)));
  const __m512i each = _mm512_maskz_compress_epi32(first, own);  // 0 beyond the last
  _mm_storeu_si128(reinterpret_cast<__m128i*>(number), _mm512_castsi512_si128(each));
  which = i{};
#pragma GCC unroll 3
  for (int k = 1; k < 4; ++k)
    which = select(equal((i)own, (i)_mm512_permutexvar_epi32(_mm512_set1_epi32(k), each)), k | i{}, which);
  return __builtin_popcount(first) <= 4;
}
// Each lane's column of the four elements at place(which).
template <class Place>
FS_HD void spread(const Place& place, i which, f column[4]) {
  __m512 all = _mm512_castps128_ps512(_mm_load_ps(place(0)));
  all = _mm512_insertf32x4(all, _mm_load_ps(place(1)), 1);
  all = _mm512_insertf32x4(all, _mm_load_ps(place(2)), 2);
  all = _mm512_insertf32x4(all, _mm_load_ps(place(3)), 3);
  for (int c = 0; c < 4; ++c) column[c] = (f)_mm512_permutexvar_ps((__m512i)((which << 2) + c), all);
}

FS_HD i spread_one(int32_t a, int32_t b, int32_t c, int32_t d, i which) {
  return (i)_mm512_permutexvar_epi32((__m512i)which, _mm512_castsi128_si512(_mm_setr_epi32(a, b, c, d)));
}

// Keys of 64 bits: high above low, for the first or the second half of the lanes.
FS_HD q keys(i high, i low, int half) {
  const auto wide = [half](i a) {
    return _mm512_cvtepu32_epi64(half ? _mm512_extracti64x4_epi64((__m512i)a, 1) : _mm512_castsi512_si256((__m512i)a));
  };
  return (q)_mm512_or_si512(_mm512_slli_epi64(wide(high), 32), wide(low));
}
FS_HD i low_words(q first, q second) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return (i)_mm512_permutex2var_epi32((__m512i)first, even, (__m512i)second);
}
FS_HD q min(q a, q b) { return (q)_mm512_min_epi64((__m512i)a, (__m512i)b); }

// Whole numbers of 64 bits, toward zero, of half the lanes; what a sum of them comes to.
#define FS_HAS_LONG 1
FS_HD q to_long(f a, int half) {
  const __m512 x = (__m512)a;
  return (q)_mm512_cvttps_epi64(half ? _mm512_extractf32x8_ps(x, 1) : _mm512_castps512_ps256(x));
}
// Rows of four from three columns: in each quarter of vector j, the row of its lane j.
FS_HD void quarters(f x, f y, f z, f (&row)[4]) {
  const __m512 none = _mm512_setzero_ps();
  const __m512d low[2] = {_mm512_castps_pd(_mm512_unpacklo_ps((__m512)x, (__m512)y)),
                          _mm512_castps_pd(_mm512_unpacklo_ps((__m512)z, none))},
                high[2] = {_mm512_castps_pd(_mm512_unpackhi_ps((__m512)x, (__m512)y)),
                           _mm512_castps_pd(_mm512_unpackhi_ps((__m512)z, none))};
  row[0] = (f)_mm512_unpacklo_pd(low[0], low[1]);
  row[1] = (f)_mm512_unpackhi_pd(low[0], low[1]);
  row[2] = (f)_mm512_unpacklo_pd(high[0], high[1]);
  row[3] = (f)_mm512_unpackhi_pd(high[0], high[1]);
}
// Two times three numbers of every lane as whole ones: a row of eight for each, three and a zero twice. A row is stored
// at once, as it will be loaded.
FS_HD void rows_of_long(const f (&a)[3], const f (&b)[3], int64_t (&rows)[16][8]) {
  f of_a[4], of_b[4];
  quarters(a[0], a[1], a[2], of_a);
  quarters(b[0], b[1], b[2], of_b);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j)
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const __m512i first = (__m512i)to_long(of_a[j], half), second = (__m512i)to_long(of_b[j], half);
      _mm512_store_si512(rows[j + 8 * half], _mm512_inserti64x4(first, _mm512_castsi512_si256(second), 1));
      _mm512_store_si512(rows[j + 8 * half + 4], _mm512_shuffle_i64x2(first, second, 0xee));
    }
}
FS_HD int64_t sum_of(q a) { return _mm512_reduce_add_epi64((__m512i)a); }

// 64 bytes to an address that is a multiple of 64, past the caches; seen by others after a fence.
FS_HD void stream_line(void* to, const void* from) { _mm512_stream_si512((__m512i*)to, _mm512_loadu_si512(from)); }
FS_HD void fence() { _mm_sfence(); }

// Numbers 0..255 as bytes.
FS_HD void store_bytes(uint8_t* p, i a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8((__m512i)a));
}

}  // namespace native
}  // namespace FS_ISA
}  // namespace fastsynth
