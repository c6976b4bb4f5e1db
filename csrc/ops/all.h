// Every op of the library, for one schedule.
#pragma once

#include "effects.h"
#include "gbuffer.h"
#include "layer.h"
#include "plain_backward.h"

namespace fastsynth {

template <class Schedule, class Library>
void register_ops(Library& m) {
  m.impl("draw", TORCH_BOX(&draw<Schedule>));
  m.impl("draw_backward", TORCH_BOX(&draw_backward<Schedule>));
  m.impl("gbuffer", TORCH_BOX(&gbuffer<Schedule>));
  m.impl("transform", TORCH_BOX(&transform<Schedule>));
  m.impl("rasterize", TORCH_BOX(&rasterize<Schedule>));
  m.impl("rasterize_layer", TORCH_BOX(&rasterize_layer<Schedule>));
  m.impl("interpolate", TORCH_BOX(&interpolate<Schedule>));
  m.impl("texture", TORCH_BOX(&texture<Schedule>));
  m.impl("blur", TORCH_BOX(&blur<Schedule>));
  m.impl("convolve", TORCH_BOX(&convolve<Schedule>));
  m.impl("poisson", TORCH_BOX(&poisson<Schedule>));
  m.impl("develop", TORCH_BOX(&develop_image<Schedule>));
  m.impl("reduce", TORCH_BOX(&reduce<Schedule>));
  m.impl("uniform", TORCH_BOX(&uniform<Schedule>));
  m.impl("normal", TORCH_BOX(&normal<Schedule>));
  m.impl("deform", TORCH_BOX(&deform<Schedule>));
  m.impl("transform_backward", TORCH_BOX(&transform_backward<Schedule>));
  m.impl("rasterize_backward", TORCH_BOX(&rasterize_backward<Schedule>));
  m.impl("interpolate_backward", TORCH_BOX(&interpolate_backward<Schedule>));
  m.impl("texture_backward", TORCH_BOX(&texture_backward<Schedule>));
  m.impl("blur_backward", TORCH_BOX(&blur_backward<Schedule>));
  m.impl("convolve_backward", TORCH_BOX(&convolve_backward<Schedule>));
  m.impl("poisson_backward", TORCH_BOX(&poisson_backward<Schedule>));
  m.impl("develop_backward", TORCH_BOX(&develop_backward<Schedule>));
}

}  // namespace fastsynth
