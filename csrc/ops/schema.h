// Every operator's signature: the table of contents.
#pragma once

namespace fastsynth {

template <class Library>
void define_ops(Library& m) {
  m.def(
      "draw(Tensor[] assets, Tensor[] scene, Tensor[] photos, Tensor[] traced, int height, int width, int grid, "
      "int face_bits, int outputs, int shading, int tone, bool mips, bool linear, bool bytes, float near, "
      "float lod) -> Tensor[]");
  m.def(
      "draw_backward(Tensor[] assets, Tensor[] scene, Tensor[] photos, Tensor rgb, Tensor grad, Tensor instance_id, "
      "Tensor triangle_id, Tensor seen, int wanted, int shading, int tone, bool mips, bool linear, float near, "
      "float lod) -> Tensor[]");
  m.def(
      "draw_lit(Tensor[] assets, Tensor[] scene, Tensor[] photos, Tensor[] traced, Tensor[] lighting, "
      "Tensor instance_id, Tensor triangle_id, Tensor seen, int grid, int face_bits, int casters, int panorama_side, "
      "bool visible, int shading, int tone, bool mips, bool linear, bool bytes, float near, float lod) -> Tensor");
  m.def(
      "draw_lit_backward(Tensor[] assets, Tensor[] scene, Tensor[] photos, Tensor[] lighting, Tensor rgb, Tensor grad, "
      "Tensor instance_id, Tensor triangle_id, Tensor seen, int wanted, int casters, int panorama_side, bool visible, "
      "int shading, int tone, bool mips, bool linear, float near, float lod) -> Tensor[]");
  m.def(
      "gbuffer(Tensor[] assets, Tensor[] scene, Tensor[] lighting, Tensor instance_id, Tensor triangle_id, "
      "int outputs, int casters, int panorama_side, int shading, int tone, bool mips, float near, "
      "float lod) -> Tensor[]");
  m.def("transform(Tensor vertices, Tensor matrices) -> Tensor");
  m.def("rasterize(Tensor clip, Tensor faces, Tensor ranges, int height, int width, int cull) -> Tensor[]");
  m.def(
      "rasterize_layer(Tensor clip, Tensor faces, Tensor ranges, Tensor layer_id, Tensor layer_z, int height, "
      "int width, int cull) -> Tensor[]");
  m.def("interpolate(Tensor attributes, Tensor faces, Tensor triangle_id, Tensor barycentric) -> Tensor");
  m.def("texture(Tensor[] levels, Tensor uv, Tensor uv_da, int wrap, bool nearest) -> Tensor");
  m.def("blur(Tensor image, Tensor sigma, int radius) -> Tensor");
  m.def("convolve(Tensor image, Tensor kernel) -> Tensor");
  m.def("poisson(Tensor source, Tensor target, Tensor mask) -> Tensor");
  m.def(
      "develop(Tensor linear, Tensor exposure, Tensor white_balance, Tensor noise, Tensor normal, int tone, "
      "bool bytes) -> Tensor");
  m.def("reduce(Tensor instance_id, int instances) -> Tensor");
  m.def("uniform(Tensor index, int seed, int stream, int count) -> Tensor");
  m.def("normal(Tensor key, int count) -> Tensor");
  m.def("deform(Tensor vertex_data, Tensor first, Tensor count, Tensor numbers, int program, int capacity) -> Tensor");
  m.def(
      "deform_copies(Tensor vertex_data, Tensor faces, Tensor rows, Tensor numbers, int program, int hull, "
      "int vertices, int face_rows) -> Tensor[]");

  m.def(
      "transform_backward(Tensor grad, Tensor vertices, Tensor matrices, bool to_vertices, bool to_matrices) -> "
      "Tensor[]");
  m.def(
      "rasterize_backward(Tensor grad_barycentric, Tensor grad_depth, Tensor clip, Tensor faces, "
      "Tensor triangle_id) -> Tensor");
  m.def(
      "interpolate_backward(Tensor grad, Tensor attributes, Tensor faces, Tensor triangle_id, Tensor barycentric, "
      "bool to_attributes, bool to_barycentric) -> Tensor[]");
  m.def(
      "texture_backward(Tensor grad, Tensor[] levels, Tensor uv, Tensor uv_da, int wrap, bool nearest, bool to_texels, "
      "bool to_uv, bool to_uv_da) -> Tensor[]");
  m.def("blur_backward(Tensor grad, Tensor image, Tensor sigma, int radius, bool to_image, bool to_sigma) -> Tensor[]");
  m.def("convolve_backward(Tensor grad, Tensor image, Tensor kernel, bool to_image, bool to_kernel) -> Tensor[]");
  m.def("poisson_backward(Tensor grad, Tensor mask) -> Tensor[]");
  m.def(
      "develop_backward(Tensor grad, Tensor linear, Tensor exposure, Tensor white_balance, Tensor noise, "
      "Tensor normal, int tone, bool to_linear, bool to_settings) -> Tensor[]");
}

}  // namespace fastsynth
