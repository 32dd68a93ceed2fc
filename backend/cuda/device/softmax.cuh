// block_fold combines a value of each of the 256 threads of a block with f, and returns the
// result to all of them. scratch has 8 elements.
template <class F> __device__ __forceinline__ float block_fold(float v, float *scratch, F f) {
    for (int d = 16; d > 0; d /= 2) v = f(v, __shfl_xor_sync(0xffffffff, v, d));
    __syncthreads(); // the readers of the fold before are done
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
    __syncthreads();
    v = scratch[0];
    for (int i = 1; i < 8; i++) v = f(v, scratch[i]);
    return v;
}

struct fold_max {
    __device__ float operator()(float a, float b) const { return binary_max<float>(a, b); }
};
struct fold_sum {
    __device__ float operator()(float a, float b) const { return a + b; }
};

// softmax computes the softmax of group blockIdx.x of LEN elements, which lie at AT::x and
// AT::y.
template <class AT, int LEN, bool LOG> __device__ __forceinline__ void softmax(const float *x, float *y) {
    __shared__ float scratch[8];
    const int g = blockIdx.x;
    float top = float(-INF_DOUBLE), s = 0;
    for (int i = threadIdx.x; i < LEN; i += 256) top = binary_max<float>(top, x[AT::x(g, i)]);
    top = block_fold(top, scratch, fold_max());
    for (int i = threadIdx.x; i < LEN; i += 256) s += exp(x[AT::x(g, i)] - top);
    s = block_fold(s, scratch, fold_sum());
    for (int i = threadIdx.x; i < LEN; i += 256) {
        const float e = x[AT::x(g, i)] - top;
        y[AT::y(g, i)] = LOG ? e - log(s) : exp(e) / s;
    }
}

// normalize gives group blockIdx.x of LEN elements mean 0 and variance 1, then applies
// AT::finish.
template <class AT, int LEN> __device__ __forceinline__ void normalize(const float *x, float *y, float epsilon, const float *scale, const float *bias) {
    __shared__ float scratch[8];
    const int g = blockIdx.x;
    float s = 0, q = 0;
    for (int i = threadIdx.x; i < LEN; i += 256) s += x[AT::x(g, i)];
    const float mean = block_fold(s, scratch, fold_sum()) / LEN;
    for (int i = threadIdx.x; i < LEN; i += 256) {
        const float d = x[AT::x(g, i)] - mean;
        q += d * d;
    }
    const float r = 1 / sqrt(block_fold(q, scratch, fold_sum()) / LEN + epsilon);
    for (int i = threadIdx.x; i < LEN; i += 256) y[AT::y(g, i)] = AT::finish((x[AT::x(g, i)] - mean) * r, g, i, scale, bias);
}
