// Every kernel of the library. FS_KERNELS(X) names them once for each schedule.
#pragma once

#include "blur.h"
#include "convolve.h"
#include "deform.h"
#include "draw.h"
#include "draw_backward.h"
#include "draw_lit.h"
#include "gbuffer.h"
#include "image.h"
#include "pointwise.h"
#include "poisson.h"
#include "prepare.h"
#include "random.h"
#include "rasterize.h"
#include "texture.h"

// clang-format off: a table
#define FS_FORWARD_KERNELS(X)                                                                \
  X(Prepare) X(LooseBoxes) X(Draw) X(SnapCorners) X(BoundRuns) X(RasterizeClip)              \
  X(RasterizeLayer) X(UniformNumbers) X(NormalNumbers) X(TransformVertices) X(Interpolate)   \
  X(TextureLookup) X(Blur) X(Develop) X(ClearSeen) X(Reduce) X(Convolve) X(Poisson)          \
  X(DeformVertices) X(CopyFaces) X(BoundPlaces) X(DrawLit) X(Gbuffer) X(GbufferLit)
#define FS_BACKWARD_KERNELS(X)                                                               \
  X(DrawBackward) X(LargestMagnitude) X(SumsToFloats) X(TransformToVertices)                 \
  X(TransformToMatrices) X(RasterizeAdjoint) X(InterpolateAdjoint) X(TextureAdjoint)         \
  X(BlurAdjoint) X(BlurToSigma) X(DevelopAdjoint) X(ConvolveAdjoint) X(ConvolveToKernel)   \
  X(PoissonAdjoint) X(DrawLitBackward)
#define FS_KERNELS(X) FS_FORWARD_KERNELS(X) FS_BACKWARD_KERNELS(X)
// clang-format on

namespace fastsynth {

// Kernels that work on pixel tiles need the schedule's tile side to count them.
template <class Kernel>
FS_HD auto tile_count(const Kernel& kernel, int side, int) -> decltype(kernel.tiles(side)) {
  return kernel.tiles(side);
}
template <class Kernel>
FS_HD auto tile_count(const Kernel& kernel, int, long) -> decltype(kernel.tiles()) {
  return kernel.tiles();
}

}  // namespace fastsynth
