// sRGB and tone curves (IEC 61966-2-1), and the few transcendental functions that shading needs, as polynomials fitted
// for this purpose (least maximum error), so that every device gives the same bits.
#pragma once

#include "vec.h"

namespace fastsynth {

// Base-2 logarithm, relative error 4e-8; x > 0 and normal.
template <class T>
FS_HD T log2_of(T x) {
  const auto bits = as_int(x);
  const auto exponent = (bits - 0x3f3504f3) >> 23;  // of x / sqrt(1/2): mantissa in [sqrt(1/2), sqrt(2))
  const T t = as_float(bits - (exponent << 23)) - T(1.0f);
  const T p =
      ((((((((T(0.12926429f) * t - T(0.20893382f)) * t + T(0.21521225f)) * t - T(0.23867568f)) * t + T(0.28793909f)) *
              t -
          T(0.36071626f)) *
             t +
         T(0.48091028f)) *
            t -
        T(0.7213472f)) *
           t +
       T(1.442695f));
  return to_float(exponent) + t * p;
}

// 2^x, relative error 8e-8, for x in [-126, 126]; clamped outside.
template <class T>
FS_HD T exp2_of(T x) {
  const T inside = min(max(x, T(-126.0f)), T(126.0f));
  const auto whole = floor_int(inside + T(0.5f));
  const T t = inside - to_float(whole);
  const T p =
      ((((T(0.001341f) * t + T(0.00967604f)) * t + T(0.05550297f)) * t + T(0.24022107f)) * t + T(0.69314723f)) * t +
      T(1.0f);
  return as_float(as_int(p) + (whole << 23));
}

template <class T>
FS_HD T power(T x, T exponent) {
  return select(x > T(1e-30f), exp2_of(exponent * log2_of(max(x, T(1e-30f)))), T(0.0f));
}

// Coded value in [0, 1] to linear light; largest error 6e-6.
template <class T>
FS_HD T srgb_decode(T c) {
  const T p =
      (((((T(-0.05561982f) * c + T(0.22988171f)) * c - T(0.43860507f)) * c + T(0.71949739f)) * c + T(0.51068498f)) * c +
       T(0.03324556f)) *
          c +
      T(0.0009096f);
  return select(c > T(0.04045f), p, c * T(1.0f / 12.92f));
}

// Linear light to coded value, both clamped to [0, 1].
template <class T>
FS_HD T srgb_encode(T linear) {
  const T x = min(max(linear, T(0.0f)), T(1.0f));
  const T curve = T(1.055f) * exp2_of(T(1.0f / 2.4f) * log2_of(max(x, T(1e-6f)))) - T(0.055f);
  return min(select(x > T(0.0031308f), curve, x * T(12.92f)), T(1.0f));
}

// A filmic curve: Narkowicz, "ACES Filmic Tone Mapping Curve", 2016.
template <class T>
FS_HD T filmic(T linear) {
  const T x = max(linear, T(0.0f));
  const T y = (x * (T(2.51f) * x + T(0.03f))) / (x * (T(2.43f) * x + T(0.59f)) + T(0.14f));
  return min(max(y, T(0.0f)), T(1.0f));
}

enum Tone : int32_t { kToneSrgb = 0, kToneFilmic = 1, kToneLinear = 2 };

// Display-referred value in [0, 1].
template <class T>
FS_HD T develop(T linear, int tone) {
  if (tone == kToneLinear) return min(max(linear, T(0.0f)), T(1.0f));
  return srgb_encode(tone == kToneFilmic ? filmic(linear) : linear);
}

// Slopes of the curves above. Zero where they hold the value, the ends of the range not included.
template <class T>
FS_HD T srgb_decode_slope(T c) {
  const T p =
      ((((((T(-1.45166818f) * c + T(5.57815977f)) * c - T(8.93264977f)) * c + T(7.94973321f)) * c - T(4.68067655f)) *
            c +
        T(2.82700151f)) *
           c +
       T(0.948811113f)) *
          c +
      T(0.0359997757f);
  return select(c > T(0.04045f), p, T(1.0f / 12.92f));
}

template <class T>
FS_HD T srgb_encode_slope(T linear) {
  const T curve = T(1.055f / 2.4f) * exp2_of(T(1.0f / 2.4f - 1.0f) * log2_of(max(linear, T(1e-6f))));
  const auto held = (linear < T(0.0f)) | (linear > T(1.0f));
  return select(held, T(0.0f), select(linear > T(0.0031308f), curve, T(12.92f)));
}

template <class T>
FS_HD T filmic_slope(T linear) {
  const T x = max(linear, T(0.0f));
  const T over = x * (T(2.51f) * x + T(0.03f)), under = x * (T(2.43f) * x + T(0.59f)) + T(0.14f);
  const T slope = ((T(5.02f) * x + T(0.03f)) * under - over * (T(4.86f) * x + T(0.59f))) / (under * under);
  return select((linear < T(0.0f)) | (over > under), T(0.0f), slope);
}

template <class T>
FS_HD T develop_slope(T linear, int tone) {
  if (tone == kToneLinear) return select((linear < T(0.0f)) | (linear > T(1.0f)), T(0.0f), T(1.0f));
  if (tone == kToneFilmic) return srgb_encode_slope(filmic(linear)) * filmic_slope(linear);
  return srgb_encode_slope(linear);
}

}  // namespace fastsynth
