// Sixteen lanes of the CPU schedule.
//
// The vectors are the compiler's own (`vector_size`), which it splits where the instruction set is narrower; what it
// has no operator for, or generates badly, is named here: masks, gathers, square root, byte stores.
#pragma once

#include "wide.h"

#if defined(__AVX512F__) || defined(__AVX2__)
#  include <immintrin.h>
#endif

namespace fastsynth {
namespace FS_ISA {

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));

#define FS_SIXTEEN(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x

struct Mask {
#ifdef __AVX512F__
  __mmask16 m;
  FS_HD uint32_t bits() const { return m; }
  static FS_HD Mask of(uint32_t bits) { return {static_cast<__mmask16>(bits)}; }
#else
  i32x16 m;  // 0 or -1
  FS_HD uint32_t bits() const {
    uint32_t bits = 0;
#  ifdef __AVX2__
    __m256 halves[2];
    __builtin_memcpy(halves, &m, sizeof halves);
    bits = static_cast<uint32_t>(_mm256_movemask_ps(halves[0])) | static_cast<uint32_t>(_mm256_movemask_ps(halves[1]))
                                                                      << 8;
#  else
    for (int lane = 0; lane < 16; ++lane) bits |= (m[lane] & 1u) << lane;
#  endif
    return bits;
  }
  static FS_HD Mask of(uint32_t bits) {
    const i32x16 bit = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
    const i32x16 all = {FS_SIXTEEN(static_cast<int32_t>(bits))};
    return {(all & bit) != 0};
  }
#endif
  FS_HD Mask() = default;
#ifdef __AVX512F__
  FS_HD Mask(__mmask16 value) : m(value) {}
  FS_HD Mask(bool value) : m(value ? 0xffff : 0) {}
#else
  FS_HD Mask(i32x16 value) : m(value) {}
  FS_HD Mask(bool value) : m(i32x16{FS_SIXTEEN(value ? -1 : 0)}) {}
#endif
};
#ifdef __AVX512F__
FS_HD Mask operator&(Mask a, Mask b) { return Mask(static_cast<__mmask16>(a.m & b.m)); }
FS_HD Mask operator|(Mask a, Mask b) { return Mask(static_cast<__mmask16>(a.m | b.m)); }
FS_HD Mask mask_not(Mask a) { return Mask(static_cast<__mmask16>(~a.m)); }
FS_HD bool any(Mask a) { return a.m != 0; }
FS_HD bool all(Mask a) { return a.m == 0xffff; }
#else
FS_HD Mask operator&(Mask a, Mask b) { return Mask(a.m & b.m); }
FS_HD Mask operator|(Mask a, Mask b) { return Mask(a.m | b.m); }
FS_HD Mask mask_not(Mask a) { return Mask(~a.m); }
FS_HD bool any(Mask a) { return a.bits() != 0; }
FS_HD bool all(Mask a) { return a.bits() == 0xffff; }
#endif
FS_HD int count(Mask a) { return __builtin_popcount(a.bits()); }

struct Int {
  i32x16 v;
  FS_HD Int() = default;
  FS_HD Int(i32x16 value) : v(value) {}
  FS_HD Int(int32_t value) : v(i32x16{FS_SIXTEEN(value)}) {}
};
struct Float {
  f32x16 v;
  FS_HD Float() = default;
  FS_HD Float(f32x16 value) : v(value) {}
  FS_HD Float(float value) : v(f32x16{FS_SIXTEEN(value)}) {}
};

#define FS_OPERATOR(T, op) \
  FS_HD T operator op(T a, T b) { return T(a.v op b.v); }
// clang-format off: a table
FS_OPERATOR(Float, +) FS_OPERATOR(Float, -) FS_OPERATOR(Float, *) FS_OPERATOR(Float, /)
FS_OPERATOR(Int, +) FS_OPERATOR(Int, -) FS_OPERATOR(Int, &) FS_OPERATOR(Int, |)
// clang-format on
#undef FS_OPERATOR
        FS_HD Float operator-(Float a) {
  return Float(-a.v);
}
FS_HD Int operator-(Int a) { return Int(-a.v); }
FS_HD Int operator<<(Int a, int by) { return Int(a.v << by); }
FS_HD Int operator>>(Int a, int by) { return Int(a.v >> by); }
FS_HD Int multiply(Int a, Int b) { return Int(a.v * b.v); }
FS_HD Int shift_right(Int a, Int by) { return Int(a.v >> by.v); }
FS_HD Int shift_right_logical(Int a, int by) {
  return Int(__builtin_convertvector(__builtin_convertvector(a.v, u32x16) >> by, i32x16));
}

#ifdef __AVX512F__
#  define FS_COMPARE(op, code) \
    FS_HD Mask operator op(Float a, Float b) { return Mask(_mm512_cmp_ps_mask(a.v, b.v, code)); }
// clang-format off: a table
FS_COMPARE(<, _CMP_LT_OQ) FS_COMPARE(<=, _CMP_LE_OQ) FS_COMPARE(>, _CMP_GT_OQ)
FS_COMPARE(>=, _CMP_GE_OQ) FS_COMPARE(==, _CMP_EQ_OQ)
// clang-format on
#  undef FS_COMPARE
#  define FS_COMPARE(op, code) \
    FS_HD Mask operator op(Int a, Int b) { return Mask(_mm512_cmp_epi32_mask((__m512i)a.v, (__m512i)b.v, code)); }
    // clang-format off: a table
FS_COMPARE(<, _MM_CMPINT_LT) FS_COMPARE(<=, _MM_CMPINT_LE) FS_COMPARE(>, _MM_CMPINT_NLE)
FS_COMPARE(>=, _MM_CMPINT_NLT) FS_COMPARE(==, _MM_CMPINT_EQ) FS_COMPARE(!=, _MM_CMPINT_NE)
// clang-format on
#  undef FS_COMPARE
            FS_HD Float select(Mask m, Float a, Float b) {
  return Float((f32x16)_mm512_mask_blend_ps(m.m, b.v, a.v));
}
FS_HD Int select(Mask m, Int a, Int b) { return Int((i32x16)_mm512_mask_blend_epi32(m.m, (__m512i)b.v, (__m512i)a.v)); }
FS_HD Float sqrt(Float a) { return Float((f32x16)_mm512_sqrt_ps(a.v)); }
FS_HD Float min(Float a, Float b) { return Float((f32x16)_mm512_min_ps(a.v, b.v)); }
FS_HD Float max(Float a, Float b) { return Float((f32x16)_mm512_max_ps(a.v, b.v)); }
FS_HD Int min(Int a, Int b) { return Int((i32x16)_mm512_min_epi32((__m512i)a.v, (__m512i)b.v)); }
FS_HD Int max(Int a, Int b) { return Int((i32x16)_mm512_max_epi32((__m512i)a.v, (__m512i)b.v)); }
FS_HD Float gather(const float* p, Int i, Mask active) {
  return Float((f32x16)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), active.m, (__m512i)i.v, p, 4));
}
FS_HD Int gather(const int32_t* p, Int i, Mask active) {
  return Int((i32x16)_mm512_mask_i32gather_epi32(_mm512_setzero_si512(), active.m, (__m512i)i.v, p, 4));
}
#else
#  define FS_COMPARE(T, op) \
    FS_HD Mask operator op(T a, T b) { return Mask(a.v op b.v); }
// clang-format off: a table
FS_COMPARE(Float, <) FS_COMPARE(Float, <=) FS_COMPARE(Float, >) FS_COMPARE(Float, >=) FS_COMPARE(Float, ==)
FS_COMPARE(Int, <) FS_COMPARE(Int, <=) FS_COMPARE(Int, >) FS_COMPARE(Int, >=) FS_COMPARE(Int, ==) FS_COMPARE(Int, !=)
// clang-format on
#  undef FS_COMPARE
        FS_HD Float select(Mask m, Float a, Float b) {
  return Float(m.m ? a.v : b.v);
}
FS_HD Int select(Mask m, Int a, Int b) { return Int(m.m ? a.v : b.v); }
FS_HD Float sqrt(Float a) {
  f32x16 root;
#  pragma GCC unroll 16
  for (int lane = 0; lane < 16; ++lane) root[lane] = __builtin_sqrtf(a.v[lane]);
  return Float(root);
}
FS_HD Float min(Float a, Float b) { return select(a < b, a, b); }
FS_HD Float max(Float a, Float b) { return select(a > b, a, b); }
FS_HD Int min(Int a, Int b) { return select(a < b, a, b); }
FS_HD Int max(Int a, Int b) { return select(a > b, a, b); }
template <class T, class V>
FS_HD V gather_lanes(const T* p, Int i, Mask active) {
  V out;
  const i32x16 safe = select(active, i, Int(0)).v;
  const uint32_t bits = active.bits();
  if (bits == 0) return V{};
#  pragma GCC unroll 16
  for (int lane = 0; lane < 16; ++lane) out[lane] = (bits >> lane & 1) ? p[safe[lane]] : T(0);
  return out;
}
FS_HD Float gather(const float* p, Int i, Mask active) { return Float(gather_lanes<float, f32x16>(p, i, active)); }
FS_HD Int gather(const int32_t* p, Int i, Mask active) { return Int(gather_lanes<int32_t, i32x16>(p, i, active)); }
#endif

// See wide.h. Whole rows are read as vectors of four and transposed, which takes a third of the time of a gather for
// each column.
template <int N, int kShift, class T, class V>
FS_HD void gather_row(const T* p, Int row, Mask active, V out[N]) {
  static_assert(N == 4 || N == 8);
  alignas(64) int32_t rows[16];
  const i32x16 safe = select(active, row, Int(0)).v;
  __builtin_memcpy(rows, &safe, sizeof rows);
  if (!any(active)) {
    for (int i = 0; i < N; ++i) out[i] = V(T(0));
    return;
  }
  for (int part = 0; part < N / 4; ++part) {
#ifdef __AVX512F__
    __m512 a[4];
#  pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const auto four = [&](int lane) {
        return _mm_load_ps(reinterpret_cast<const float*>(p + (int64_t{rows[lane]} << kShift)) + 4 * part);
      };
      a[j] = _mm512_castps128_ps512(four(j));
      a[j] = _mm512_insertf32x4(a[j], four(4 + j), 1);
      a[j] = _mm512_insertf32x4(a[j], four(8 + j), 2);
      a[j] = _mm512_insertf32x4(a[j], four(12 + j), 3);
    }
    const __m512d low = _mm512_castps_pd(_mm512_unpacklo_ps(a[0], a[1])),
                  high = _mm512_castps_pd(_mm512_unpackhi_ps(a[0], a[1]));
    const __m512d low_2 = _mm512_castps_pd(_mm512_unpacklo_ps(a[2], a[3])),
                  high_2 = _mm512_castps_pd(_mm512_unpackhi_ps(a[2], a[3]));
    const __m512d columns[4] = {_mm512_unpacklo_pd(low, low_2), _mm512_unpackhi_pd(low, low_2),
                                _mm512_unpacklo_pd(high, high_2), _mm512_unpackhi_pd(high, high_2)};
    for (int i = 0; i < 4; ++i) __builtin_memcpy(&out[4 * part + i], &columns[i], sizeof columns[i]);
#else
    alignas(64) T columns[4][16];
    for (int lane = 0; lane < 16; ++lane)
      for (int i = 0; i < 4; ++i) columns[i][lane] = p[(int64_t{rows[lane]} << kShift) + 4 * part + i];
    for (int i = 0; i < 4; ++i) __builtin_memcpy(&out[4 * part + i], columns[i], sizeof columns[i]);
#endif
  }
}

FS_HD Float abs(Float a) { return select(a < Float(0.0f), -a, a); }
FS_HD Int as_int(Float a) { return Int((i32x16)a.v); }
FS_HD Float as_float(Int a) { return Float((f32x16)a.v); }
FS_HD Float to_float(Int a) { return Float(__builtin_convertvector(a.v, f32x16)); }
FS_HD Int to_int(Float a) {
  const Float in_range = min(max(a, Float(-2147483648.0f)), Float(2147483520.0f));
  return Int(__builtin_convertvector(in_range.v, i32x16));
}
FS_HD Int floor_int(Float a) {
  const Int i = to_int(a);
  return select(to_float(i) > a, i - Int(1), i);
}

FS_HD int32_t first_lane(Int a, Mask active) { return a.v[__builtin_ctz(active.bits() | 0x10000) & 15]; }
FS_HD int32_t min_over(Int a, Mask active) {
  int32_t least = 0x7fffffff;
  for (uint32_t bits = active.bits(); bits; bits &= bits - 1)
    least = fastsynth::min(least, int32_t(a.v[__builtin_ctz(bits)]));
  return least;
}
FS_HD int32_t max_over(Int a, Mask active) {
  int32_t most = -0x7fffffff - 1;
  for (uint32_t bits = active.bits(); bits; bits &= bits - 1)
    most = fastsynth::max(most, int32_t(a.v[__builtin_ctz(bits)]));
  return most;
}

struct SixteenLanes {
  using Float = FS_ISA::Float;
  using Int = FS_ISA::Int;
  using Mask = FS_ISA::Mask;
  static constexpr int kWidth = 16;
  static constexpr int kBlock = 4;
};

}  // namespace FS_ISA
}  // namespace fastsynth
