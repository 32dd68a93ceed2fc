// Vectors of four floats.
__device__ __forceinline__ float4 load4(const float *p) { return *reinterpret_cast<const float4 *>(p); }
__device__ __forceinline__ void store4(float *p, float4 v) { *reinterpret_cast<float4 *>(p) = v; }
__device__ __forceinline__ float4 zero4() { return make_float4(0, 0, 0, 0); }

// first4 clears the elements of v at and behind n, which are no channels.
__device__ __forceinline__ float4 first4(float4 v, int n) {
    if (n < 2) v.y = 0;
    if (n < 3) v.z = 0;
    if (n < 4) v.w = 0;
    return v;
}
