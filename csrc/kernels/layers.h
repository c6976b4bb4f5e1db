// Layers: an instance of a higher one is in front of every instance of a lower one, whatever their depths, as if the
// depth buffer were cleared in between.
//
// z/w = -near / w lies in [-1, 0), and a float has the same number of steps at any scale. So the z/w of an instance is
// multiplied by a power of two, 2^30 from layer to layer: the ranges of the layers lie apart, the nearest triangle is
// that of the highest layer, and within a layer the very digits are compared that would be without. Holds for what lies
// within 2^30 near distances (10,000 km for one of a centimetre).
#pragma once

#include "../core/vec.h"

namespace fastsynth {

constexpr int kLayers = 4;
constexpr int kLayerBits = 30;  // slopes and extrapolations of z/w stay finite and normal in all layers

// What the z/w of layer 0 to kLayers - 1 is multiplied by; numbers beyond are those of the last layer on their side.
FS_HD float layer_scale(int32_t layer) {
  return as_float((127 + kLayerBits * (min(max(layer, 0), kLayers - 1) - 1)) << 23);
}

}  // namespace fastsynth
