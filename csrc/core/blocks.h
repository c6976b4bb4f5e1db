// The CPU schedule's numbers: sixteen lanes, one for each pixel of a block of 4 x 4, as vectors of the machine.
//
// A vector is never wider than the machine's: what is, the compiler takes apart element by element.
#pragma once

#include "wide.h"

#if defined(__AVX512F__)
#  include "native_avx512.h"
#elif defined(__AVX2__)
#  include "native_avx2.h"
#else
#  include "native_any.h"
#endif

namespace fastsynth {
namespace FS_ISA {

constexpr int kParts = 16 / native::kLanes;
#define FS_PARTS _Pragma("GCC unroll 4") for (int part = 0; part < kParts; ++part)

struct Mask {
  native::m v[kParts];

  FS_HD Mask() = default;
  FS_HD Mask(bool value) { *this = of(value ? 0xffff : 0); }
  FS_HD uint32_t bits() const {
    uint32_t bits = 0;
    FS_PARTS bits |= native::bits_of(v[part]) << (part * native::kLanes);
    return bits;
  }
  static FS_HD Mask of(uint32_t bits) {
    Mask mask;
    FS_PARTS mask.v[part] = native::mask_of(bits >> (part * native::kLanes));
    return mask;
  }
};
// Operators are friends, so that the other operand may be a number that is the same in all lanes.
#define FS_BINARY(T, op)                         \
  friend FS_HD T operator op(T a, T b) {         \
    FS_PARTS a.v[part] = a.v[part] op b.v[part]; \
    return a;                                    \
  }
#define FS_COMPARE(T, op, function)                                \
  friend FS_HD Mask operator op(T a, T b) {                        \
    Mask out;                                                      \
    FS_PARTS out.v[part] = native::function(a.v[part], b.v[part]); \
    return out;                                                    \
  }
#define FS_COMPARES(T)                                    \
  FS_COMPARE(T, <, less)                                  \
  FS_COMPARE(T, <=, less_equal)                           \
  FS_COMPARE(T, ==, equal)                                \
  friend FS_HD Mask operator!=(T a, T b) {                \
    Mask out = a == b;                                    \
    FS_PARTS out.v[part] = native::inverse(out.v[part]);  \
    return out;                                           \
  }                                                       \
  friend FS_HD Mask operator>(T a, T b) { return b < a; } \
  friend FS_HD Mask operator>=(T a, T b) { return b <= a; }

struct Int {
  native::i v[kParts];

  FS_HD Int() = default;
  FS_HD Int(int32_t value) { FS_PARTS v[part] = value | native::i{}; }
  static FS_HD Int load(const int32_t* p) {
    Int x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  }
  FS_BINARY(Int, +)
  FS_BINARY(Int, -)
  FS_BINARY(Int, &)
  FS_BINARY(Int, |)
  FS_BINARY(Int, ^)
  FS_COMPARES(Int)
};
struct Float {
  native::f v[kParts];

  FS_HD Float() = default;
  FS_HD Float(float value) { FS_PARTS v[part] = value - native::f{}; }  // x - 0 is x, -0 included
  FS_BINARY(Float, +)
  FS_BINARY(Float, -)
  FS_BINARY(Float, *)
  FS_BINARY(Float, /)
  FS_COMPARES(Float)
};
#undef FS_BINARY
#undef FS_COMPARE
#undef FS_COMPARES

#define FS_MAP2(T, name, function)                               \
  FS_HD T name(T a, T b) {                                       \
    FS_PARTS a.v[part] = native::function(a.v[part], b.v[part]); \
    return a;                                                    \
  }
FS_MAP2(Mask, operator&, both)
FS_MAP2(Mask, operator|, either)
FS_MAP2(Float, min, min)
FS_MAP2(Float, max, max)
FS_MAP2(Int, min, min)
FS_MAP2(Int, max, max)
#undef FS_MAP2

FS_HD Mask mask_not(Mask a) {
  FS_PARTS a.v[part] = native::inverse(a.v[part]);
  return a;
}
FS_HD bool any(Mask a) {
  native::m some = a.v[0];
  for (int part = 1; part < kParts; ++part) some = native::either(some, a.v[part]);
  return native::bits_of(some) != 0;
}
FS_HD bool all(Mask a) {
  native::m every = a.v[0];
  for (int part = 1; part < kParts; ++part) every = native::both(every, a.v[part]);
  return native::bits_of(every) == (1u << native::kLanes) - 1;
}
FS_HD int count(Mask a) { return __builtin_popcount(a.bits()); }

FS_HD Float select(Mask m, Float a, Float b) {
  FS_PARTS a.v[part] = native::select(m.v[part], a.v[part], b.v[part]);
  return a;
}
FS_HD Int select(Mask m, Int a, Int b) {
  FS_PARTS a.v[part] = native::select(m.v[part], a.v[part], b.v[part]);
  return a;
}
FS_HD Float operator-(Float a) {
  FS_PARTS a.v[part] = -a.v[part];
  return a;
}
FS_HD Int operator-(Int a) {
  FS_PARTS a.v[part] = -a.v[part];
  return a;
}
FS_HD Int operator<<(Int a, int by) {
  FS_PARTS a.v[part] = a.v[part] << by;
  return a;
}
FS_HD Int operator>>(Int a, int by) {
  FS_PARTS a.v[part] = a.v[part] >> by;
  return a;
}
FS_HD Int shift_right(Int a, Int by) {
  FS_PARTS a.v[part] = a.v[part] >> by.v[part];
  return a;
}
FS_HD Int shift_right_logical(Int a, int by) { return (a >> by) & Int(int32_t(0xffffffffu >> by)); }
FS_HD Int multiply(Int a, Int b) {
  FS_PARTS a.v[part] = a.v[part] * b.v[part];
  return a;
}
FS_HD Float sqrt(Float a) {
  FS_PARTS a.v[part] = native::sqrt(a.v[part]);
  return a;
}
FS_HD Float abs(Float a) { return select(a < Float(0.0f), -a, a); }
FS_HD Int as_int(Float a) {
  Int bits;
  FS_PARTS bits.v[part] = (native::i)a.v[part];
  return bits;
}
FS_HD Float as_float(Int a) {
  Float value;
  FS_PARTS value.v[part] = (native::f)a.v[part];
  return value;
}
FS_HD Float to_float(Int a) {
  Float value;
  FS_PARTS value.v[part] = __builtin_convertvector(a.v[part], native::f);
  return value;
}
FS_HD Int to_int(Float a) {
  const Float in_range = min(max(a, Float(-2147483648.0f)), Float(2147483520.0f));
  Int value;
  FS_PARTS value.v[part] = __builtin_convertvector(in_range.v[part], native::i);
  return value;
}
FS_HD Float floor(Float a) {
  FS_PARTS a.v[part] = native::floor(a.v[part]);
  return a;
}
FS_HD Int as_whole(Float a) {
  Int value;
  FS_PARTS value.v[part] = __builtin_convertvector(a.v[part], native::i);
  return value;
}
FS_HD Int floor_int(Float a) {
  const Int i = to_int(a);
  return select(to_float(i) > a, i - Int(1), i);
}

FS_HD Float gather(const float* p, Int at, Mask active) {
  Float out;
  FS_PARTS out.v[part] = native::gather(p, at.v[part], active.v[part]);
  return out;
}
FS_HD Int gather(const int32_t* p, Int at, Mask active) {
  FS_PARTS at.v[part] = native::gather(p, at.v[part], active.v[part]);
  return at;
}

FS_HD void gather_two(const int32_t* p, Int row, Int x0, Int x1, Mask active, Int& a, Int& b) {
  FS_PARTS native::gather_two(p, row.v[part], x0.v[part], x1.v[part], active.v[part], a.v[part], b.v[part]);
}

// See wide.h. Whole rows are read as vectors of four and transposed, which takes a third of the time of a gather for
// each column.
template <int N, int kShift, class T, class V>
FS_HD void gather_row(const T* p, Int row, Mask active, V out[N]) {
  static_assert((N == 4 || N == 8) && sizeof(T) == 4);
  if (!any(active)) {
    for (int c = 0; c < N; ++c) out[c] = V(T(0));
    return;
  }
  alignas(64) int32_t rows[16];
  const Int safe = select(active, row, Int(0));
  __builtin_memcpy(rows, &safe, sizeof rows);
  for (int four = 0; four < N / 4; ++four) FS_PARTS {
      native::f column[4];
      native::transposed(
          [&](int lane) {
            return reinterpret_cast<const float*>(p + (int64_t{rows[part * native::kLanes + lane]} << kShift)) +
                   4 * four;
          },
          column);
#pragma GCC unroll 4
      for (int c = 0; c < 4; ++c) out[4 * four + c].v[part] = (decltype(out[0].v[0] + out[0].v[0]))column[c];
    }
}

// table[at] of a table of 64, for lanes whose index may be anything (reads modulo 64).
FS_HD Int lookup(const int32_t* table, Int at) {
  FS_PARTS at.v[part] = native::lookup(table, at.v[part]);
  return at;
}
FS_HD Int lookup_16(const int32_t* table, Int at) {
  FS_PARTS at.v[part] = native::lookup_16(table, at.v[part]);
  return at;
}
FS_HD Float lookup_16(const float* table, Int at) {
  return as_float(lookup_16(reinterpret_cast<const int32_t*>(table), at));
}
FS_HD Float lookup(const float* table, Int at) { return as_float(lookup(reinterpret_cast<const int32_t*>(table), at)); }

// 0, 1, 2, ...
alignas(64) inline constexpr int32_t kNumbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
FS_HD Int lane_numbers() { return Int::load(kNumbers); }

// A value of each lane, kept where a scalar step can read it.
template <class T>
struct Kept {
  alignas(64) T value[16];
  FS_HD T operator[](int lane) const { return value[lane]; }
};
FS_HD Kept<float> keep(Float x) {
  Kept<float> kept;
  __builtin_memcpy(kept.value, &x, sizeof x);
  return kept;
}
FS_HD Kept<int32_t> keep(Int x) {
  Kept<int32_t> kept;
  __builtin_memcpy(kept.value, &x, sizeof x);
  return kept;
}

FS_HD int32_t at_lane(Int a, int lane) { return keep(a)[lane]; }
// The number in the first of the active lanes, of which there is one at least.
FS_HD int32_t first_of(Int a, Mask active) {
  int part = 0;
  while (part < kParts - 1 && native::bits_of(active.v[part]) == 0) ++part;
  return native::first_of(a.v[part], active.v[part]);
}
// See wide.h.
FS_HD Float gather_alike(const float* p, Int at, Mask active) {
  if (!any(active)) return Float(0.0f);
  const int32_t one = first_of(at, active);
  if (any(active & (at != Int(one)))) return gather(p, at, active);
  return Float(p[one]);
}
FS_HD int32_t min_over(Int a, Mask active) {
  int32_t least = 0x7fffffff;
  for (uint32_t bits = active.bits(); bits; bits &= bits - 1)
    least = fastsynth::min(least, at_lane(a, __builtin_ctz(bits)));
  return least;
}
FS_HD int32_t max_over(Int a, Mask active) {
  int32_t most = -0x7fffffff - 1;
  for (uint32_t bits = active.bits(); bits; bits &= bits - 1)
    most = fastsynth::max(most, at_lane(a, __builtin_ctz(bits)));
  return most;
}

// See wide.h. A face that several lanes see is read once, where there are few of them.
struct SixteenRows {
  FS_HD SixteenRows(const int32_t* faces, Int face, Mask active) : active_(active) {
#ifdef FS_HAS_FEW
    int32_t number[4];
    few_ = native::few(face.v[0], active.v[0], number, which_);
    if (few_) {
      for (int k = 0; k < 4; ++k) __builtin_memcpy(few_row_[k], faces + 4 * int64_t{number[k]}, sizeof few_row_[k]);
      return;
    }
#endif
    gather_row<4, 2>(faces, face, active, row_);
  }
  FS_HD Int corner(int i) const { return column(i); }
  FS_HD Int material() const { return column(3); }
  FS_HD void read(const float* p, int corner, Float out[4]) const {
#ifdef FS_HAS_FEW
    if (few_) {
      native::f column[4];
      native::spread([&](int k) { return p + 8 * int64_t{few_row_[k][corner]}; }, which_, column);
      for (int i = 0; i < 4; ++i) out[i].v[0] = column[i];
      return;
    }
#endif
    gather_row<4, 3>(p, row_[corner], active_, out);
  }

 private:
  Int row_[4];
  Mask active_;
#ifdef FS_HAS_FEW
  bool few_;
  native::i which_;
  alignas(16) int32_t few_row_[4][4];
#endif

  FS_HD Int column(int i) const {
#ifdef FS_HAS_FEW
    if (few_) {
      Int each;
      each.v[0] = native::spread_one(few_row_[0][i], few_row_[1][i], few_row_[2][i], few_row_[3][i], which_);
      return each;
    }
#endif
    return row_[i];
  }
};

struct SixteenLanes {
  using Float = FS_ISA::Float;
  using Int = FS_ISA::Int;
  using Mask = FS_ISA::Mask;
  using FaceRows = SixteenRows;
  static constexpr int kBlock = 4;
};

}  // namespace FS_ISA
}  // namespace fastsynth
