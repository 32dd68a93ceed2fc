// The part of CUDA C++ that kernels.cu uses, for a C++ compiler. It comes before the
// source. The functions that other threads take part in are in shim.cc.
#pragma once
#include <cmath>
#include <cstring>

#define __global__ __attribute__((visibility("hidden")))
#define __device__
#define __align__(n) __attribute__((aligned(n)))
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
// Blocks run one after another, so that they can share the memory of shared variables.
#define __shared__ static

struct dim3 {
    unsigned x, y, z;
};
typedef dim3 uint3;

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return float4{x, y, z, w}; }

// shim_cur has the built-in variables of the thread that runs.
struct shim_builtins {
    uint3 threadIdx, blockIdx;
    dim3 blockDim, gridDim;
};
extern "C" shim_builtins shim_cur;
#define threadIdx (shim_cur.threadIdx)
#define blockIdx (shim_cur.blockIdx)
#define blockDim (shim_cur.blockDim)
#define gridDim (shim_cur.gridDim)

extern "C" {
// shim_barrier waits for all threads of the block.
void shim_barrier(void);
// shim_exchange gives 4·n bytes to the other lanes of the warp. It waits for them, and
// returns what they gave, lane by lane, until the next call.
const unsigned *shim_exchange(const void *give, int n);
int shim_lane(void);
}

inline void __syncthreads() { shim_barrier(); }
inline void __syncwarp() { shim_exchange(nullptr, 0); }

template <class T> inline T shim_from(T v, int lane) {
    static_assert(sizeof(T) == 4, "shuffles of 32 bits");
    T r;
    memcpy(&r, shim_exchange(&v, 1) + (lane & 31), 4);
    return r;
}
template <class T> inline T __shfl_xor_sync(unsigned, T v, int mask) { return shim_from(v, shim_lane() ^ mask); }
template <class T> inline T __shfl_down_sync(unsigned, T v, int by) { return shim_from(v, shim_lane() + by > 31 ? shim_lane() : shim_lane() + by); }
template <class T> inline T __shfl_sync(unsigned, T v, int lane) { return shim_from(v, lane); }

template <class T> inline T max(T a, T b) { return a > b ? a : b; }
template <class T> inline T min(T a, T b) { return a < b ? a : b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline int __dp4a(int a, int b, int c) {
    unsigned s = unsigned(c);
    for (int i = 0; i < 32; i += 8) s += unsigned(int((signed char)(a >> i)) * int((signed char)(b >> i)));
    return int(s);
}
inline float __int_as_float(int x) {
    float f;
    memcpy(&f, &x, 4);
    return f;
}
inline double __longlong_as_double(long long x) {
    double f;
    memcpy(&f, &x, 8);
    return f;
}
using std::isinf;
using std::isnan;

// Tensor cores, see mma.cuh in the device code.
#define SHIM 1
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

extern "C" {
// shim_fragments adds the product of the fragments of the warp to d. words has a[4] and
// b[2] of the lane.
void shim_fragments(float *d, const unsigned *words, int half);
unsigned shim_tf32(float v);
unsigned shim_half(float v);
float shim_float(unsigned half);
}

template <bool HALF> inline void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    const unsigned words[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    shim_fragments(d, words, HALF);
}
inline unsigned word_tf32(float v) { return shim_tf32(v); }
inline float2 halves(unsigned word) { return float2{shim_float(word & 0xffff), shim_float(word >> 16)}; }
inline unsigned word_half(float low, float high) { return shim_half(low) | shim_half(high) << 16; }
