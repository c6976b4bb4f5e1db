// Uniform numbers and the noise of pictures.
#pragma once

#include "../core/random.h"
#include "sums.h"

namespace fastsynth {

struct UniformNumbers {
  static constexpr int kItems =
      2048;  // groups of four numbers: a small draw is one tile, for which no second thread is woken
  template <class Tile>
  struct Shared {};
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }
  const int64_t* index;  // [B]
  int64_t images, count;
  int64_t seed, stream;
  float* out;  // [B, count]

  FS_HD int64_t blocks() const { return (count + 3) / 4; }
  FS_HD int64_t tiles() const { return (images * blocks() + kItems - 1) / kItems; }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    const Philox generator = Philox::of(seed, stream);
    const int64_t first = tile.index * kItems, total = images * blocks();
    tile.for_one(int32_t(min(total - first, int64_t(kItems))), [&](int32_t k) {
      const int64_t image = (first + k) / blocks(), block = (first + k) % blocks();
      uint32_t words[4];
      generator.words(index[image], static_cast<uint32_t>(block), words);
      for (int64_t i = 4 * block; i < min(4 * block + 4, count); ++i) out[image * count + i] = unit_float(words[i & 3]);
    });
  }
};

// Standard normal numbers, one for each element of an image, from a hash of (key, position): the two multiply-xorshift
// rounds of Wellons, "Prospecting for hash functions", 2018, and the inverse error function of Giles, "Approximating
// the erfinv function", 2010.
struct NormalNumbers {
  static constexpr int kItems = 4096;
  template <class Tile>
  struct Shared {};
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }
  const int64_t* key;  // [B]
  int64_t images, count;
  float* out;  // [B, count]

  FS_HD int64_t parts() const { return (count + kItems - 1) / kItems; }
  FS_HD int64_t tiles() const { return images * parts(); }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = tile.index % parts() * kItems;
    const Philox mixed = Philox::of(key[image], 0x6e6f697365);
    const int32_t low = static_cast<int32_t>(mixed.key_0), high = static_cast<int32_t>(mixed.key_1);
    tile.for_each(int32_t(min(count - first, int64_t(kItems))), [&](Int i, Mask active) {
      Int h = hash(i + Int(static_cast<int32_t>(static_cast<uint32_t>(first) + static_cast<uint32_t>(low))));
      h = hash(h ^ Int(high));
      // Odd multiples of 2^-24 in (-1, 1).
      const Float u =
          to_float((shift_right_logical(h, 9) << 1) + Int(1) - Int(1 << 23)) * Float(1.1920928955078125e-7f);
      store_items(out + image * count + first, i, inverse_normal(u), active);
    });
  }

 private:
  template <class Int>
  static FS_KERNEL Int hash(Int x) {
    x = multiply(x ^ shift_right_logical(x, 16), Int(0x7feb352d));
    x = multiply(x ^ shift_right_logical(x, 15), Int(int32_t(0x846ca68bu)));
    return x ^ shift_right_logical(x, 16);
  }
  template <class Float>
  static FS_KERNEL Float inverse_normal(Float x) {
    const Float w = Float(-0.69314718f) * log2_of((Float(1.0f) - x) * (Float(1.0f) + x));
    const Float a = w - Float(2.5f), b = sqrt(max(w, Float(0.0f))) - Float(3.0f);
    const float central[9] = {2.81022636e-08f, 3.43273939e-07f, -3.5233877e-06f, -4.39150654e-06f, 0.00021858087f,
                              -0.00125372503f, -0.00417768164f, 0.246640727f,    1.50140941f};
    const float tail[9] = {-0.000200214257f, 0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
                           -0.0076224613f,   0.00943887047f,  1.00167406f,    2.83297682f};
    Float p(central[0]), q(tail[0]);
    for (int i = 1; i < 9; ++i) {
      p = Float(central[i]) + p * a;
      q = Float(tail[i]) + q * b;
    }
    return Float(1.41421356f) * select(w < Float(5.0f), p, q) * x;
  }
};

}  // namespace fastsynth
