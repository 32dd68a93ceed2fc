// A convolution as a product of matrices (implicit GEMM): rows are pixels of the result,
// columns are filters, and the sum runs over the window and the channels. No matrix of
// windows is in memory: each block gathers BM pixels × BK products of the operand and BK × BN
// weights into shared memory, while it multiplies those gathered before. A thread adds up
// TM × TN results in registers, in pieces of 4 × 4 that lie apart, so that the threads of a
// warp read neighbouring vectors.
//
// S describes the convolution:
//   N, C, H, W, M, OH, OW    extents; C and M are the channels and filters of a group
//   KH, KW, SH, SW, DH, DW   window, strides, dilations
//   PT, PL, PADDED           padding at the top and left; whether windows leave the operand
//   XN, XC, XH, XW, XV       strides of the operand; whether 4 channels are a vector
//   YN, YC, YH, YW, YV       strides of the result; whether 4 filters are a vector
//   RN, RC, RH, RW           strides of the residual
//   GROUPS, SPLITS           groups; parts of the sum, which conv_finish adds
//   BM, BN, BK, TM, TN       tiles
//   THREADS                  of a block
//   BIAS, RESIDUAL, PROLOGUE presence of operands
//   before, after            functions of an element before and after the convolution
//
// Weights are [GROUPS][KP][MP]: K rounded up to BK, and M rounded up to BN. Row k belongs to
// the products of a tap and a channel: taps outside, channels rounded up to 4 inside, if XV
// is set; otherwise channels outside.

// conv_dims has the extents of the matrices.
template <class S> struct conv_dims {
    static constexpr int C4 = (S::C + 3) / 4 * 4;
    static constexpr int P = S::N * S::OH * S::OW;
    static constexpr int K = S::KH * S::KW * (S::XV ? C4 : S::C);
    static constexpr int TILES = (K + S::BK - 1) / S::BK; // of the sum
    static constexpr int PART = (TILES + S::SPLITS - 1) / S::SPLITS;
    static constexpr int MP = (S::M + S::BN - 1) / S::BN * S::BN;
};

// conv_gather reads the operand's part of a tile: a thread reads 4 products of each of
// LOADS pixels if XV is set, otherwise 4 products of one pixel after the other.
template <class S> struct conv_gather {
    typedef conv_dims<S> D;
    static constexpr int LOADS = S::BM * S::BK / 4 / S::THREADS;
    static constexpr int QUADS = S::BK / 4; // vectors of a pixel
    int base[LOADS], top[LOADS], left[LOADS];

    // row and quad are the pixel and the vector of load i.
    static __device__ __forceinline__ int row(int i) {
        const int t = threadIdx.x + i * S::THREADS;
        return S::XV ? t / QUADS : t % S::BM;
    }
    static __device__ __forceinline__ int quad(int i) {
        const int t = threadIdx.x + i * S::THREADS;
        return S::XV ? t % QUADS : t / S::BM;
    }

    __device__ __forceinline__ conv_gather(int group) {
#pragma unroll
        for (int i = 0; i < LOADS; i++) {
            // Pixels behind the last one are computed, but not stored.
            const int p = min(int(blockIdx.x) * S::BM + row(i), D::P - 1);
            base[i] = p / (S::OH * S::OW) * S::XN + group * S::C * S::XC;
            top[i] = p / S::OW % S::OH * S::SH - S::PT;
            left[i] = p % S::OW * S::SW - S::PL;
        }
    }

    __device__ __forceinline__ float4 load(int i, int tile, const float *x, const float *scale, const float *shift) const {
        const int k = tile * S::BK + quad(i) * 4;
        if constexpr (S::XV) {
            const int tap = k / D::C4, c = k % D::C4;
            const int h = top[i] + tap / S::KW * S::DH, w = left[i] + tap % S::KW * S::DW;
            if (D::K % S::BK != 0 && k >= D::K) return zero4();
            if (S::PADDED && (h < 0 || h >= S::H || w < 0 || w >= S::W)) return zero4();
            float4 v = load4(x + base[i] + h * S::XH + w * S::XW + c);
            if (S::PROLOGUE) {
                const int f = blockIdx.z / S::SPLITS * S::C + c;
                const float4 a = load4(scale + f), b = load4(shift + f);
                v = make_float4(S::before(v.x * a.x + b.x), S::before(v.y * a.y + b.y), S::before(v.z * a.z + b.z), S::before(v.w * a.w + b.w));
            }
            return S::C % 4 != 0 ? first4(v, S::C - c) : v;
        } else {
            float e[4];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int c = (k + j) / (S::KH * S::KW), tap = (k + j) % (S::KH * S::KW);
                const int h = top[i] + tap / S::KW * S::DH, w = left[i] + tap % S::KW * S::DW;
                e[j] = 0;
                if (c < S::C && !(S::PADDED && (h < 0 || h >= S::H || w < 0 || w >= S::W))) {
                    e[j] = x[base[i] + h * S::XH + w * S::XW + c * S::XC];
                    if (S::PROLOGUE) {
                        const int f = blockIdx.z / S::SPLITS * S::C + c;
                        e[j] = S::before(e[j] * scale[f] + shift[f]);
                    }
                }
            }
            return make_float4(e[0], e[1], e[2], e[3]);
        }
    }
};

// conv_gemm computes a tile: pixels from blockIdx.x·BM, filters from blockIdx.y·BN of group
// blockIdx.z / SPLITS, part blockIdx.z % SPLITS of the sum. With one part it writes y.
// Otherwise it writes its sums to parts, [SPLITS][P][GROUPS·MP].
template <class S> __device__ __forceinline__ void conv_gemm(const float *x, const float *w, const float *scale, const float *shift, const float *bias, const float *residual, float *y, float *parts) {
    typedef conv_dims<S> D;
    constexpr int RM = S::TM / 4, RN = S::TN / 4, WLOADS = S::BK * S::BN / 4 / S::THREADS;
    // The rows of xs are padded, so that the stores of a warp hit different banks.
    __shared__ __align__(16) float xs[2][S::BK][S::BM + 4];
    __shared__ __align__(16) float ws[2][S::BK][S::BN];

    const int group = blockIdx.z / S::SPLITS, part = blockIdx.z % S::SPLITS;
    const int tx = threadIdx.x % (S::BN / S::TN), ty = threadIdx.x / (S::BN / S::TN);
    const int first = part * D::PART, last = min(first + D::PART, D::TILES);
    const conv_gather<S> gather(group);
    const float *wt = w + group * (D::TILES * S::BK * D::MP) + blockIdx.y * S::BN;

    float4 xr[conv_gather<S>::LOADS], wr[WLOADS];
    float acc[S::TM][S::TN];
#pragma unroll
    for (int i = 0; i < S::TM; i++)
#pragma unroll
        for (int j = 0; j < S::TN; j++) acc[i][j] = 0;

    auto fetch = [&](int tile) { // to registers
#pragma unroll
        for (int i = 0; i < conv_gather<S>::LOADS; i++) xr[i] = gather.load(i, tile, x, scale, shift);
#pragma unroll
        for (int i = 0; i < WLOADS; i++) {
            const int t = threadIdx.x + i * S::THREADS;
            wr[i] = load4(wt + (tile * S::BK + t / (S::BN / 4)) * D::MP + t % (S::BN / 4) * 4);
        }
    };
    auto keep = [&](int b) { // to shared memory
#pragma unroll
        for (int i = 0; i < conv_gather<S>::LOADS; i++) {
            const int r = conv_gather<S>::row(i), k = conv_gather<S>::quad(i) * 4;
            xs[b][k][r] = xr[i].x;
            xs[b][k + 1][r] = xr[i].y;
            xs[b][k + 2][r] = xr[i].z;
            xs[b][k + 3][r] = xr[i].w;
        }
#pragma unroll
        for (int i = 0; i < WLOADS; i++) {
            const int t = threadIdx.x + i * S::THREADS;
            store4(&ws[b][t / (S::BN / 4)][t % (S::BN / 4) * 4], wr[i]);
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
#pragma unroll 8
        for (int k = 0; k < S::BK; k++) {
            float xf[S::TM], wf[S::TN];
#pragma unroll
            for (int i = 0; i < RM; i++) {
                const float4 v = load4(&xs[b][k][i * (S::BM / RM) + ty * 4]);
                xf[4 * i] = v.x, xf[4 * i + 1] = v.y, xf[4 * i + 2] = v.z, xf[4 * i + 3] = v.w;
            }
#pragma unroll
            for (int j = 0; j < RN; j++) {
                const float4 v = load4(&ws[b][k][j * (S::BN / RN) + tx * 4]);
                wf[4 * j] = v.x, wf[4 * j + 1] = v.y, wf[4 * j + 2] = v.z, wf[4 * j + 3] = v.w;
            }
#pragma unroll
            for (int i = 0; i < S::TM; i++)
#pragma unroll
                for (int j = 0; j < S::TN; j++) acc[i][j] += xf[i] * wf[j];
        }
        // The other buffer was last read before the barrier of the tile before.
        if (tile + 1 < last) keep(b ^ 1);
        __syncthreads();
    }

#pragma unroll
    for (int i = 0; i < S::TM; i++) {
        const int p = blockIdx.x * S::BM + i / 4 * (S::BM / RM) + ty * 4 + i % 4;
        if (p >= D::P) continue;
#pragma unroll
        for (int j = 0; j < RN; j++) {
            const int m = blockIdx.y * S::BN + j * (S::BN / RN) + tx * 4;
            const float4 v = make_float4(acc[i][4 * j], acc[i][4 * j + 1], acc[i][4 * j + 2], acc[i][4 * j + 3]);
            if constexpr (S::SPLITS == 1)
                conv_store<S>(v, p, m, group, bias, residual, y);
            else
                store4(parts + (part * D::P + p) * (S::GROUPS * D::MP) + group * D::MP + m, v);
        }
    }
}

// conv_finish adds the parts of the sums of conv_gemm, a thread for 4 filters of a pixel.
template <class S> __device__ __forceinline__ void conv_finish(const float *parts, const float *bias, const float *residual, float *y) {
    typedef conv_dims<S> D;
    constexpr int Q = S::GROUPS * D::MP / 4;
    const int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= D::P * Q) return;
    const int p = i / Q, m = i % Q * 4;
    float4 v = zero4();
#pragma unroll
    for (int s = 0; s < S::SPLITS; s++) {
        const float4 a = load4(parts + (s * D::P + p) * (Q * 4) + m);
        v.x += a.x, v.y += a.y, v.z += a.z, v.w += a.w;
    }
    conv_store<S>(v, p, m % D::MP, m / D::MP, bias, residual, y);
}
