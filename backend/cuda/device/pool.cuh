// pool_window computes the maximum or the average over windows: a thread computes 4 channels
// of a pixel. S describes the window and the strides as for conv_gemm, M channels. BH and BW
// are the padding at the bottom and right that COUNTPAD counts.
template <class S> __device__ __forceinline__ void pool_window(const float *x, const float *scale, const float *shift, float *y) {
    constexpr int C4 = (S::M + 3) / 4 * 4;
    const int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= S::N * S::OH * S::OW * (C4 / 4)) return;
    const int c = i % (C4 / 4) * 4, p = i / (C4 / 4);
    const int base = p / (S::OH * S::OW) * S::XN, top = p / S::OW % S::OH * S::SH - S::PT, left = p % S::OW * S::SW - S::PL;
    float4 s = zero4(), t = zero4();
    if (S::PROLOGUE) s = load4(scale + c), t = load4(shift + c);
    const float start = S::MAXIMUM ? float(-INF_DOUBLE) : 0.0f;
    float4 a = make_float4(start, start, start, start);
    int count = 0;
#pragma unroll
    for (int kh = 0; kh < S::KH; kh++)
#pragma unroll
        for (int kw = 0; kw < S::KW; kw++) {
            const int h = top + kh * S::DH, l = left + kw * S::DW;
            const bool inside = !S::PADDED || h >= 0 && h < S::H && l >= 0 && l < S::W;
            if (inside || S::COUNTPAD && h < S::H + S::BH && l < S::W + S::BW) count++;
            if (!inside) continue;
            float4 v = load4(x + base + h * S::XH + l * S::XW + c);
            if (S::PROLOGUE) v = make_float4(S::before(v.x * s.x + t.x), S::before(v.y * s.y + t.y), S::before(v.z * s.z + t.z), S::before(v.w * s.w + t.w));
            if (S::MAXIMUM)
                a = make_float4(binary_max<float>(a.x, v.x), binary_max<float>(a.y, v.y), binary_max<float>(a.z, v.z), binary_max<float>(a.w, v.w));
            else
                a.x += v.x, a.y += v.y, a.z += v.z, a.w += v.w;
        }
    if (!S::MAXIMUM) a.x /= count, a.y /= count, a.z /= count, a.w /= count;
    conv_store<S>(a, p, c, 0, nullptr, nullptr, y);
}

// global_mean averages the pixels of each channel: 8 threads share a channel, and a warp
// reads neighbouring channels.
template <int C, int H, int W, int XN, int XH, int XW, int YN, int YC> __device__ __forceinline__ void global_mean(const float *x, float *y) {
    __shared__ float part[8][32];
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32, c = blockIdx.x * 32 + lane;
    float s = 0;
    if (c < C)
        for (int p = row; p < H * W; p += 8) s += x[blockIdx.y * XN + p / W * XH + p % W * XW + c];
    part[row][lane] = s;
    __syncthreads();
    if (row > 0 || c >= C) return;
    for (int i = 1; i < 8; i++) s += part[i][lane];
    y[blockIdx.y * YN + c * YC] = s / (H * W);
}
