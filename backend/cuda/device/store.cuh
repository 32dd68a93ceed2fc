// conv_store writes the results of 4 filters of a group, from filter m, at pixel p.
template <class S> __device__ __forceinline__ void conv_store(float4 v, int p, int m, int group, const float *bias, const float *residual, float *y) {
    const int n = p / (S::OH * S::OW), h = p / S::OW % S::OH, w = p % S::OW;
    const int f = group * S::M + m;
    const int at = n * S::YN + h * S::YH + w * S::YW + f * S::YC;
    const int from = n * S::RN + h * S::RH + w * S::RW + f * S::RC;
    if constexpr (S::YV) {
        if (m >= S::M) return;
        if (S::BIAS) {
            const float4 b = load4(bias + f);
            v.x += b.x, v.y += b.y, v.z += b.z, v.w += b.w;
        }
        if (S::RESIDUAL) {
            const float4 r = load4(residual + from);
            v.x += r.x, v.y += r.y, v.z += r.z, v.w += r.w;
        }
        store4(y + at, make_float4(S::after(v.x), S::after(v.y), S::after(v.z), S::after(v.w)));
    } else {
        const float e[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (m + i >= S::M) return;
            float r = e[i];
            if (S::BIAS) r += bias[f + i];
            if (S::RESIDUAL) r += residual[from + i * S::RC];
            y[at + i * S::YC] = S::after(r);
        }
    }
}
