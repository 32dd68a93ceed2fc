// Products of matrices on tensor cores (mma.sync, PTX ISA, "Matrix multiply-accumulate
// instructions"). A word is an element of TF32, or two elements of half precision that are
// neighbours along the sum. With words, both instructions have the same fragments: lane l of
// a warp, with g = l / 4 and t = l % 4, holds
//
//   a  words t and t + 4 of rows g and g + 8 of a matrix of 16 rows × 8 words:
//      a[0] (g, t), a[1] (g + 8, t), a[2] (g, t + 4), a[3] (g + 8, t + 4)
//   b  words t and t + 4 of column g of a matrix of 8 words × 8 columns
//   d  float32: rows g and g + 8 of columns 2t and 2t + 1:
//      d[0] (g, 2t), d[1] (g, 2t + 1), d[2] (g + 8, 2t), d[3] (g + 8, 2t + 1)
//
// mma adds a·b to d. word_tf32 and word_half round to nearest. halves returns the two
// elements of a word.
#ifndef SHIM
template <bool HALF> __device__ __forceinline__ void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    if constexpr (HALF)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    else
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ unsigned word_tf32(float v) {
    unsigned r;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(v));
    return r;
}
__device__ __forceinline__ unsigned word_half(float low, float high) {
    unsigned r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
__device__ __forceinline__ float2 halves(unsigned word) {
    float2 v;
    asm("{.reg .b16 low, high;\n mov.b32 {low, high}, %2;\n cvt.f32.f16 %0, low;\n cvt.f32.f16 %1, high;}" : "=f"(v.x), "=f"(v.y) : "r"(word));
    return v;
}
#endif

// load4 loads four elements of half precision.
__device__ __forceinline__ float4 load4(const unsigned *p) {
    const uint2 v = *reinterpret_cast<const uint2 *>(p);
    const float2 a = halves(v.x), b = halves(v.y);
    return make_float4(a.x, a.y, b.x, b.y);
}
