// All that differs between the compilers.
//
// FS_HD marks mathematics, FS_KERNEL the body of a kernel; both are always inlined, so that a kernel compiled
// for one instruction set never calls a function compiled for another. FS_APART marks a part of a kernel that is large
// enough to be compiled for itself, which takes a fraction of the time; its arguments must name the instruction set.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#  define FS_HD __host__ __device__ __forceinline__
#  define FS_KERNEL __device__ __forceinline__
#  define FS_APART FS_KERNEL
#  define FS_ROLLED _Pragma("unroll 1")  // a loop that would only take registers
#else
#  define FS_HD inline __attribute__((always_inline))
#  define FS_KERNEL inline __attribute__((always_inline))
#  define FS_APART inline __attribute__((noinline))
#  define FS_ROLLED
#endif

// The code of each instruction set lives in a namespace of its own: the linker must not merge them.
#ifndef FS_ISA
#  define FS_ISA scalar
#endif
