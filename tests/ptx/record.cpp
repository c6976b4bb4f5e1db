// The library's operators under a schedule that hands every launch to a listener in Python: the same launch functions
// as on a device, and every tensor that a kernel may touch.
#include "../../csrc/ops/tensor.h"

namespace fastsynth {

using Watch = void (*)(void* at, int64_t bytes, int writable);
using Listen = void (*)(const char* kernel, const void* argument, int64_t bytes, int64_t tiles, int64_t blocks,
                        int64_t threads, int64_t shared_bytes);
static Watch watch_memory = nullptr;
static Listen listen_to_launch = nullptr;

static void watch(const Tensor& t, bool writable) {
  void* at = const_cast<void*>(t.const_data_ptr());
  if (t.numel()) watch_memory(at, int64_t(t.numel()) * int64_t(t.element_size()), writable);
}
template <class T>
const T* watched_read(const Tensor& t) {
  watch(t, false);
  return read<T>(t);
}
template <class T>
const T* watched_read_or_null(const Tensor& t) {
  watch(t, false);
  return read_or_null<T>(t);
}
template <class T>
T* watched_write(Tensor& t) {
  watch(t, true);
  return write<T>(t);
}
inline Tensor watched_make(const Tensor& like, std::vector<int64_t> shape, ScalarType type) {
  Tensor t = make(like, std::move(shape), type);
  watch(t, true);
  return t;
}
inline Tensor watched_make_zeros(const Tensor& like, std::vector<int64_t> shape, ScalarType type) {
  Tensor t = make_zeros(like, std::move(shape), type);
  watch(t, true);
  return t;
}

}  // namespace fastsynth

#define read watched_read
#define read_or_null watched_read_or_null
#define write watched_write
#define make watched_make
#define make_zeros watched_make_zeros
#include "../../csrc/schedule/launch.h"  // first: the kernels are written over its lanes

#include "../../csrc/ops/all.h"
#include "../../csrc/ops/schema.h"

namespace fastsynth {

#define FS_NAME(K) \
  inline const char* name_of(const K&) { return #K; }
FS_KERNELS(FS_NAME)
#undef FS_NAME

struct Recorder {
  template <class Kernel>
  static void run(const Tensor&, const Kernel& kernel) {
    launch(kernel, [&](const Launch& grid, int64_t tiles) {
      listen_to_launch(name_of(kernel), &kernel, int64_t(sizeof kernel), tiles, grid.blocks, grid.threads,
                       shared_bytes<Kernel>());
    });
  }
  static Tensor output(const Tensor& like, const std::vector<int64_t>& shape, ScalarType type) {
    return watched_make(like, shape, type);
  }
  static void refuse(const Tensor&, const char*, int64_t, const char*) {}
};

}  // namespace fastsynth

STABLE_TORCH_LIBRARY(fastsynth_ptx, m) { fastsynth::define_ops(m); }
STABLE_TORCH_LIBRARY_IMPL(fastsynth_ptx, CPU, m) { fastsynth::register_ops<fastsynth::Recorder>(m); }

extern "C" void fastsynth_ptx_listen(fastsynth::Watch watch, fastsynth::Listen listen) {
  fastsynth::watch_memory = watch;
  fastsynth::listen_to_launch = listen;
}
