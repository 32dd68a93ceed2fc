// dense_gemv computes a dense layer of few rows: WARPS warps share the sum of each of the M
// results of a row, and a block of 8 warps computes 8/WARPS results. Weights are [M][KP], K
// rounded up to 4: floats, or pairs in half precision if W is unsigned; STEP of them are a
// vector. x has rows of XN elements, read as vectors if XV is set. S::after is the epilogue.
template <class S, class W> __device__ __forceinline__ void dense_gemv(const float *x, const W *w, const float *bias, float *y) {
    constexpr int Q = (S::K + 3) / 4;
    __shared__ float part[8][S::N];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int m = blockIdx.x * (8 / S::WARPS) + warp / S::WARPS;
    float acc[S::N];
#pragma unroll
    for (int n = 0; n < S::N; n++) acc[n] = 0;
    if (m < S::M) {
#pragma unroll 4
        for (int q = warp % S::WARPS * 32 + lane; q < Q; q += S::WARPS * 32) {
            const float4 f = load4(w + ((long long)m * Q + q) * S::STEP);
#pragma unroll
            for (int n = 0; n < S::N; n++) {
                const float *r = x + n * S::XN + q * 4 * S::XK;
                float4 v = zero4();
                if (S::XV) {
                    v = load4(r);
                } else {
                    v.x = r[0];
                    if (q * 4 + 1 < S::K) v.y = r[S::XK];
                    if (q * 4 + 2 < S::K) v.z = r[2 * S::XK];
                    if (q * 4 + 3 < S::K) v.w = r[3 * S::XK];
                }
                acc[n] += v.x * f.x + v.y * f.y + v.z * f.z + v.w * f.w;
            }
        }
    }
#pragma unroll
    for (int n = 0; n < S::N; n++) {
        for (int d = 16; d > 0; d /= 2) acc[n] += __shfl_xor_sync(0xffffffff, acc[n], d);
        if (lane == 0) part[warp][n] = acc[n];
    }
    __syncthreads();
    const int r = threadIdx.x / S::N, n = threadIdx.x % S::N; // a result of the block
    const int to = blockIdx.x * (8 / S::WARPS) + r;
    if (r >= 8 / S::WARPS || to >= S::M) return;
    float v = 0;
#pragma unroll
    for (int i = 0; i < S::WARPS; i++) v += part[r * S::WARPS + i][n];
    if (S::BIAS) v += bias[to];
    y[n * S::YN + to * S::YM] = S::after(v);
}
