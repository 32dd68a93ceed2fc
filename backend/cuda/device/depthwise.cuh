// depthwise computes a convolution whose channels have a filter each: a thread computes 4
// channels of a pixel. S describes it as for conv_gemm. Weights are [KH·KW][C4].
template <class S> __device__ __forceinline__ void depthwise(const float *x, const float *w, const float *scale, const float *shift, const float *bias, const float *residual, float *y) {
    constexpr int C4 = (S::M + 3) / 4 * 4;
    const int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= S::N * S::OH * S::OW * (C4 / 4)) return;
    const int c = i % (C4 / 4) * 4, p = i / (C4 / 4);
    const int base = p / (S::OH * S::OW) * S::XN, top = p / S::OW % S::OH * S::SH - S::PT, left = p % S::OW * S::SW - S::PL;
    float4 a = zero4(), s = zero4(), t = zero4();
    if (S::PROLOGUE) s = load4(scale + c), t = load4(shift + c);
#pragma unroll
    for (int kh = 0; kh < S::KH; kh++)
#pragma unroll
        for (int kw = 0; kw < S::KW; kw++) {
            const int h = top + kh * S::DH, l = left + kw * S::DW;
            if (S::PADDED && (h < 0 || h >= S::H || l < 0 || l >= S::W)) continue;
            float4 v = load4(x + base + h * S::XH + l * S::XW + c);
            if (S::PROLOGUE) v = make_float4(S::before(v.x * s.x + t.x), S::before(v.y * s.y + t.y), S::before(v.z * s.z + t.z), S::before(v.w * s.w + t.w));
            const float4 f = load4(w + (kh * S::KW + kw) * C4 + c);
            a.x += v.x * f.x, a.y += v.y * f.y, a.z += v.z * f.z, a.w += v.w * f.w;
        }
    conv_store<S>(a, p, c, 0, bias, residual, y);
}
