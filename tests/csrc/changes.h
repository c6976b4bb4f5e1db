// Meshes and pictures that are changed: deformations, convolutions and blends.
#pragma once

#include "gradients.h"

namespace fastsynth {

inline void deform_meshes(Way way, Results& results) {
  constexpr int kRows = 1300, kFaces = 2100, kInstances = 3, kCapacity = 1200, kFaceRows = 2090, kHull = 2;
  uint32_t state = 3;
  const auto number = [&] {  // in [-1, 1)
    state = state * 1664525u + 1013904223u;
    return float(state >> 8) / float(1 << 23) - 1.0f;
  };
  Floats data(8 * kRows), numbers, out, places, box(6 * kInstances);
  for (float& value : data) value = number();
  Ints faces(4 * kFaces), rows = {0, 1150, 0, 2085, 1200, 100, 2090, 10, 1250, 9000, 2000, 9000}, copied;  // too many
  for (int i = 0; i < 4 * kFaces; ++i) faces[i] = i % 1150;
  for (int trilinear = 0; trilinear < 2; ++trilinear) {
    DeformVertices deform{};
    const int32_t lattice = trilinear ? kDeformTrilinear : kDeformBernstein;
    deform.steps[0] = {lattice, {3, 2, 4}, 0};
    deform.steps[1] = {kDeformTwist, {0, 0, 0}, 78};
    deform.steps[2] = {kDeformDent, {0, 0, 0}, 85};
    deform.each = 92;
    numbers.resize(kInstances * deform.each);
    for (float& value : numbers) value = number();
    for (int i = 0; i < kInstances; ++i) {
      numbers[i * deform.each + 84] = i == 2 ? 1e9f : 3.0f;  // turns without end
      if (i == 1) numbers[i * deform.each + 3] = 0.0f;       // a flat box
    }
    out.assign(8 * (kRows + kInstances * kCapacity), -7.0f);
    places.assign(3 * (kHull + kInstances * kCapacity), -7.0f);
    copied.assign(4 * (kFaces + kInstances * kFaceRows), -7);
    deform.vertex_data = data.data();
    deform.first = rows.data();
    deform.count = rows.data() + 1;
    deform.row_stride = 4;
    deform.numbers = numbers.data();
    deform.instances = kInstances;
    deform.vertices = deform.before = kRows;
    deform.capacity = kCapacity;
    deform.out = out.data();
    deform.places = places.data() + 3 * kHull;
    run(way, deform);
    CopyFaces copy{};
    copy.faces = faces.data();
    copy.rows = rows.data();
    copy.instances = kInstances;
    copy.face_count = kFaces;
    copy.capacity = kFaceRows;
    copy.first_copy = kRows;
    copy.vertices = kCapacity;
    copy.out = copied.data();
    run(way, copy);
    run(way, BoundPlaces{deform.places, deform.count, 4, kInstances, kCapacity, box.data()});
    results.keep("deformed", out);
    results.keep("deformed places", places);
    results.keep("copied faces", copied);
    results.keep("bounds of places", box);
  }
}

// Two pictures convolved with a stroke and with a square, and one blended into the other.
inline void change_images(Way way, Results& results) {
  constexpr int kImages = 2, kChannels = 2, kHeight = 13, kWidth = 21, kRadius = 2, kSide = 2 * kRadius + 1;
  const Floats wide = random_numbers(kImages * kChannels * (kHeight + 2 * kRadius) * (kWidth + 2 * kRadius));
  Floats kernel(kImages * kSide * kSide), out(kImages * kChannels * kHeight * kWidth);
  for (int i = 0; i < kSide; ++i) kernel[i * kSide + kSide - 1 - i] = 0.2f;
  for (int i = 0; i < kSide * kSide; ++i) kernel[kSide * kSide + i] = 0.04f * float(i % 3);
  Convolve convolve{};
  convolve.in = wide.data();
  convolve.kernel = kernel.data();
  convolve.images = kImages;
  convolve.channels = kChannels;
  convolve.height = kHeight;
  convolve.width = kWidth;
  convolve.radius = kRadius;
  convolve.out = out.data();
  run(way, convolve);
  results.keep("convolved", out);
  convolve_gradients(way, convolve, results);
  const Floats source = random_numbers(out.size());
  const Floats& target = wide;
  Ints mask(kImages * kHeight * kWidth);
  for (int i = 0; i < kHeight * kWidth; ++i) {
    const int x = i % kWidth - 9, y = i / kWidth - 5;
    mask[i] = x * x + 2 * y * y < 60;     // reaches over a border
    mask[kHeight * kWidth + i] = x > -7;  // whose cells correct what is smooth
  }
  const size_t size = size_t(PoissonView::scratch_size(kHeight, kWidth));
  Floats scratch(kImages * kChannels * size);
  Poisson poisson{};
  poisson.mask = mask.data();
  poisson.images = kImages;
  poisson.channels = kChannels;
  poisson.height = kHeight;
  poisson.width = kWidth;
  poisson.scratch = scratch.data();
  poisson.source = source.data();
  poisson.target = target.data();
  poisson.out = out.data();
  run(way, poisson);
  results.keep("blended", out);
  poisson_gradients(way, poisson, results);
}

}  // namespace fastsynth
