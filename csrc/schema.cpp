// The library as Python and torch see it: its operators, and what was built.
#include <Python.h>

#include <string>

#include "ops/schema.h"
#include "ops/tensor.h"
#include "schedule/isa.h"

STABLE_TORCH_LIBRARY(fastsynth, m) { fastsynth::define_ops(m); }

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
