// Counter-based random numbers: each is a pure function of (seed, stream, index, i).
// Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include "color.h"

namespace fastsynth {

struct Philox {
  uint32_t key_0, key_1;

  // The finaliser of splitmix64 (Steele, Lea, Flood 2014) spreads seed and stream over the key.
  static FS_HD Philox of(int64_t seed, int64_t stream) {
    uint64_t k = static_cast<uint64_t>(seed) + 0x9E3779B97F4A7C15ull * static_cast<uint64_t>(stream);
    k = (k ^ (k >> 30)) * 0xBF58476D1CE4E5B9ull;
    k = (k ^ (k >> 27)) * 0x94D049BB133111EBull;
    k ^= k >> 31;
    return {static_cast<uint32_t>(k), static_cast<uint32_t>(k >> 32)};
  }

  FS_HD void words(int64_t index, uint32_t block, uint32_t out[4]) const {
    uint32_t c0 = block, c1 = static_cast<uint32_t>(index),
             c2 = static_cast<uint32_t>(static_cast<uint64_t>(index) >> 32), c3 = 0;
    uint32_t k0 = key_0, k1 = key_1;
    for (int round = 0; round < 10; ++round) {
      const uint64_t a = uint64_t{0xD2511F53u} * c0, b = uint64_t{0xCD9E8D57u} * c2;
      c0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0;
      c1 = static_cast<uint32_t>(b);
      c2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
      c3 = static_cast<uint32_t>(a);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
  }
};

// In [0, 1), a multiple of 2^-24.
FS_HD float unit_float(uint32_t word) { return static_cast<float>(word >> 8) * 5.9604644775390625e-8f; }

}  // namespace fastsynth
