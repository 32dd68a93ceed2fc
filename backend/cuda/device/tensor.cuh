// conv_tensor is conv_gemm on tensor cores, for operands whose channels are vectors. Both
// operands are rounded to TF32, or to half precision if S::HALF is set; sums are float32. A
// warp computes WM × WN results. Weights are words, [GROUPS][words of KP][MP], see mma.cuh.
template <class S> __device__ __forceinline__ void conv_tensor(const float *x, const unsigned *w, const float *scale, const float *shift, const float *bias, const float *residual, float *y, float *parts) {
    typedef conv_dims<S> D;
    constexpr int PAIR = S::HALF ? 2 : 1, WORDS = S::BK / PAIR;
    constexpr int MM = S::WM / 16, MN = S::WN / 8, WLOADS = WORDS * S::BN / 4 / S::THREADS;
    // Rows are padded by 8 words: the lanes of a fragment then read different banks.
    __shared__ __align__(16) unsigned xs[2][WORDS][S::BM + 8];
    __shared__ __align__(16) unsigned ws[2][WORDS][S::BN + 8];

    const int group = blockIdx.z / S::SPLITS, part = blockIdx.z % S::SPLITS;
    const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const int row = warp / (S::BN / S::WN) * S::WM, column = warp % (S::BN / S::WN) * S::WN;
    const int first = part * D::PART, last = min(first + D::PART, D::TILES);
    const conv_gather<S> gather(group);
    const unsigned *wt = w + group * (D::TILES * WORDS * D::MP) + blockIdx.y * S::BN;

    float4 xr[conv_gather<S>::LOADS];
    uint4 wr[WLOADS];
    float acc[MM][MN][4];
#pragma unroll
    for (int i = 0; i < MM; i++)
#pragma unroll
        for (int j = 0; j < MN; j++)
#pragma unroll
            for (int k = 0; k < 4; k++) acc[i][j][k] = 0;

    auto fetch = [&](int tile) { // to registers
#pragma unroll
        for (int i = 0; i < conv_gather<S>::LOADS; i++) xr[i] = gather.load(i, tile, x, scale, shift);
#pragma unroll
        for (int i = 0; i < WLOADS; i++) {
            const int l = threadIdx.x + i * S::THREADS;
            wr[i] = *reinterpret_cast<const uint4 *>(wt + (tile * WORDS + l / (S::BN / 4)) * D::MP + l % (S::BN / 4) * 4);
        }
    };
    auto keep = [&](int b) { // to shared memory
#pragma unroll
        for (int i = 0; i < conv_gather<S>::LOADS; i++) {
            const int r = conv_gather<S>::row(i), q = conv_gather<S>::quad(i) * 4 / PAIR;
            const float4 v = xr[i];
            if constexpr (S::HALF) {
                xs[b][q][r] = word_half(v.x, v.y);
                xs[b][q + 1][r] = word_half(v.z, v.w);
            } else {
                xs[b][q][r] = word_tf32(v.x);
                xs[b][q + 1][r] = word_tf32(v.y);
                xs[b][q + 2][r] = word_tf32(v.z);
                xs[b][q + 3][r] = word_tf32(v.w);
            }
        }
#pragma unroll
        for (int i = 0; i < WLOADS; i++) {
            const int l = threadIdx.x + i * S::THREADS;
            *reinterpret_cast<uint4 *>(&ws[b][l / (S::BN / 4)][l % (S::BN / 4) * 4]) = wr[i];
        }
    };

    if (first < last) {
        fetch(first);
        keep(0);
    }
    __syncthreads();
    for (int tile = first; tile < last; tile++) {
        const int b = (tile - first) & 1;
        if (tile + 1 < last) fetch(tile + 1);
#pragma unroll
        for (int k = 0; k < WORDS; k += 8) {
            unsigned xf[MM][4], wf[MN][2];
#pragma unroll
            for (int i = 0; i < MM; i++) {
                const int r = row + i * 16 + g;
                xf[i][0] = xs[b][k + t][r];
                xf[i][1] = xs[b][k + t][r + 8];
                xf[i][2] = xs[b][k + t + 4][r];
                xf[i][3] = xs[b][k + t + 4][r + 8];
            }
#pragma unroll
            for (int j = 0; j < MN; j++) {
                wf[j][0] = ws[b][k + t][column + j * 8 + g];
                wf[j][1] = ws[b][k + t + 4][column + j * 8 + g];
            }
#pragma unroll
            for (int i = 0; i < MM; i++)
#pragma unroll
                for (int j = 0; j < MN; j++) mma<S::HALF>(acc[i][j], xf[i], wf[j]);
        }
        // The other buffer was last read before the barrier of the tile before.
        if (tile + 1 < last) keep(b ^ 1);
        __syncthreads();
    }

    // Neighbouring lanes exchange halves: even ones store 4 filters of row g, odd ones of row
    // g + 8.
    const bool odd = t & 1;
#pragma unroll
    for (int i = 0; i < MM; i++)
#pragma unroll
        for (int j = 0; j < MN; j++) {
            const float(&d)[4] = acc[i][j];
            const float r0 = __shfl_xor_sync(0xffffffff, odd ? d[0] : d[2], 1), r1 = __shfl_xor_sync(0xffffffff, odd ? d[1] : d[3], 1);
            const float4 v = odd ? make_float4(r0, r1, d[2], d[3]) : make_float4(d[0], d[1], r0, r1);
            const int p = blockIdx.x * S::BM + row + i * 16 + g + (odd ? 8 : 0);
            const int m = blockIdx.y * S::BN + column + j * 8 + t / 2 * 4;
            if (p >= D::P) continue;
            if constexpr (S::SPLITS == 1)
                conv_store<S>(v, p, m, group, bias, residual, y);
            else
                store4(parts + (part * D::P + p) * (S::GROUPS * D::MP) + group * D::MP + m, v);
        }
}
