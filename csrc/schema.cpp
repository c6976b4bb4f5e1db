// Every operator's signature: the table of contents.
#include <Python.h>

#include <string>

#include "ops/tensor.h"
#include "schedule/isa.h"

STABLE_TORCH_LIBRARY(fastsynth, m) {
  m.def(
      "draw(Tensor[] assets, Tensor[] scene, Tensor[] photos, int height, int width, int grid, int face_bits, int "
      "outputs, "
      "int shading, int tone, bool mips, bool linear, bool bytes, float near, float lod) -> Tensor[]");
  m.def("transform(Tensor vertices, Tensor matrices) -> Tensor");
  m.def("rasterize(Tensor clip, Tensor faces, Tensor ranges, int height, int width, int cull) -> Tensor[]");
  m.def("interpolate(Tensor attributes, Tensor faces, Tensor triangle_id, Tensor barycentric) -> Tensor");
  m.def("texture(Tensor[] levels, Tensor uv, Tensor uv_da, int wrap, bool nearest) -> Tensor");
  m.def("blur(Tensor image, Tensor sigma, int radius) -> Tensor");
  m.def(
      "develop(Tensor linear, Tensor exposure, Tensor white_balance, Tensor noise, Tensor normal, int tone, bool "
      "bytes) -> Tensor");
  m.def("reduce(Tensor instance_id, int instances) -> Tensor");
  m.def("uniform(Tensor index, int seed, int stream, int count) -> Tensor");
  m.def("normal(Tensor key, int count) -> Tensor");
}

namespace {

PyObject* build_info(PyObject*, PyObject*) {
  const std::string text = std::string("{\"cuda\": ") + FASTSYNTH_HAS_CUDA + ", \"architectures\": \"" +
                           FASTSYNTH_CUDA_ARCHS + "\", \"isa\": \"" + fastsynth::isa_name() + "\", \"isas\": \"" +
                           fastsynth::isa_names() + "\", \"compiler\": \"" + FASTSYNTH_COMPILER + "\"}";
  return PyUnicode_FromStringAndSize(text.data(), Py_ssize_t(text.size()));
}

PyMethodDef kMethods[] = {
    {"build_info", build_info, METH_NOARGS, "What was built, and what this machine runs, as JSON."},
    {nullptr, nullptr, 0, nullptr}};
PyModuleDef kModule = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, kMethods, nullptr, nullptr, nullptr, nullptr};

}  // namespace

// Importing the library registers its operators.
extern "C" __attribute__((visibility("default"))) PyObject* PyInit__C() { return PyModule_Create(&kModule); }
