// Layers on 8-bit integers: sums of products of four bytes, __dp4a (CUDA Math API, "SIMD
// Intrinsics"; compute capability 6.1). Its bytes are signed, so unsigned operands have their
// highest bit flipped, which subtracts 128, and so has their zero point. Elements outside the
// operand are the zero point. The sum of (x − zero)·w is that of x·w less zero times the sum of
// the weights; sums[f] is that of filter f. Sums wrap around at 32 bits and are exact at the end.
//
// store is called with a sum and the position of the result: example, channel, row, column.

template <class X> __device__ __forceinline__ int dp4a_byte(X x) { return ((X)-1 > 0 ? int(x) ^ 0x80 : int(x)) & 0xff; }
template <class X> __device__ __forceinline__ int dp4a_zero(int zero) { return (X)-1 > 0 ? zero - 128 : zero; }

// conv_dp4a computes a tile of an implicit GEMM, see gemm.cuh: 4·TX pixels and 4·TY filters.
// Weights are words [GROUPS][KP][MP] of four products each: K/4 rounded up to BK, and M
// rounded up to 4·TY. Channels are outside, taps inside. A thread has 4 × 4 sums.
template <class S, class X, class F> __device__ __forceinline__ void conv_dp4a(const X *x, const unsigned *w, const int *sums, int zero, F store) {
    constexpr int BM = 4 * S::TX, BN = 4 * S::TY, THREADS = S::TX * S::TY, TAPS = S::KH * S::KW;
    constexpr int P = S::N * S::OH * S::OW, TILES = ((S::C * TAPS + 3) / 4 + S::BK - 1) / S::BK, MP = (S::M + BN - 1) / BN * BN;
    __shared__ __align__(16) unsigned xs[S::BK][BM];
    __shared__ __align__(16) unsigned ws[S::BK][BN];
    const int group = blockIdx.z, tx = threadIdx.x % S::TX, ty = threadIdx.x / S::TX;
    int acc[4][4];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) acc[i][j] = 0;
    for (int tile = 0; tile < TILES; tile++) {
        for (int t = threadIdx.x; t < S::BK * BM; t += THREADS) {
            const int q = t / BM, p = min(int(blockIdx.x) * BM + t % BM, P - 1); // pixels behind the last are not stored
            const int top = p / S::OW % S::OH * S::SH - S::PT, left = p % S::OW * S::SW - S::PL;
            const X *from = x + p / (S::OH * S::OW) * S::XN + group * S::C * S::XC;
            unsigned word = 0;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int k = (tile * S::BK + q) * 4 + j, c = k / TAPS, tap = k % TAPS;
                const int h = top + tap / S::KW * S::DH, l = left + tap % S::KW * S::DW;
                X e = X(zero);
                if (c < S::C && !(S::PADDED && (h < 0 || h >= S::H || l < 0 || l >= S::W))) e = from[c * S::XC + h * S::XH + l * S::XW];
                word |= unsigned(dp4a_byte(e)) << (8 * j);
            }
            xs[q][t % BM] = word;
        }
        for (int t = threadIdx.x; t < S::BK * BN; t += THREADS)
            ws[t / BN][t % BN] = w[((group * TILES + tile) * S::BK + t / BN) * MP + blockIdx.y * BN + t % BN];
        __syncthreads();
#pragma unroll
        for (int q = 0; q < S::BK; q++) {
            const uint4 a = *reinterpret_cast<const uint4 *>(&xs[q][tx * 4]), b = *reinterpret_cast<const uint4 *>(&ws[q][ty * 4]);
            const unsigned u[4] = {a.x, a.y, a.z, a.w}, v[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) acc[i][j] = __dp4a(int(u[i]), int(v[j]), acc[i][j]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int p = blockIdx.x * BM + tx * 4 + i;
        if (p >= P) continue;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int m = blockIdx.y * BN + ty * 4 + j, f = group * S::M + m;
            if (m < S::M) store(int(unsigned(acc[i][j]) - unsigned(dp4a_zero<X>(zero)) * unsigned(sums[f])), p / (S::OH * S::OW), f, p / S::OW % S::OH, p % S::OW);
        }
    }
}

// dense_dp4a computes a dense layer of few rows: a warp for each of the M results of a row.
// Weights are words [M][K/4], K rounded up to 4. x has rows of XN elements.
template <class S, class X, class F> __device__ __forceinline__ void dense_dp4a(const X *x, const unsigned *w, const int *sums, int zero, F store) {
    constexpr int Q = (S::K + 3) / 4;
    const int f = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
    int acc[S::N];
#pragma unroll
    for (int n = 0; n < S::N; n++) acc[n] = 0;
    if (f < S::M) {
        for (int q = lane; q < Q; q += 32) {
            const int b = int(w[f * Q + q]);
#pragma unroll
            for (int n = 0; n < S::N; n++) {
                unsigned word = 0;
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    const int k = q * 4 + j;
                    word |= unsigned(dp4a_byte(k < S::K ? x[n * S::XN + k * S::XK] : X(0))) << (8 * j);
                }
                acc[n] = __dp4a(int(word), b, acc[n]);
            }
        }
    }
#pragma unroll
    for (int n = 0; n < S::N; n++) {
        for (int d = 16; d > 0; d /= 2) acc[n] += __shfl_xor_sync(0xffffffff, acc[n], d);
        if (lane == 0 && f < S::M) store(int(unsigned(acc[n]) - unsigned(dp4a_zero<X>(zero)) * unsigned(sums[f])), n, f);
    }
}
