struct fold_min {
    __device__ float operator()(float a, float b) const { return a < b ? a : b; }
};

// quantised_range finds the scale and the zero point with which an unsigned byte holds the
// range of LEN elements and zero.
template <class AT, int LEN> __device__ __forceinline__ void quantised_range(const float *x, float *scale, unsigned char *zero) {
    __shared__ float scratch[8];
    float lo = 0, hi = 0;
    for (int i = threadIdx.x; i < LEN; i += 256) {
        const float e = x[AT::x(0, i)];
        lo = binary_min<float>(lo, e), hi = binary_max<float>(hi, e);
    }
    lo = block_fold(lo, scratch, fold_min());
    hi = block_fold(hi, scratch, fold_max());
    if (threadIdx.x == 0) {
        const float s = hi == lo ? 1.0f : (hi - lo) / 255.0f;
        *scale = s;
        *zero = (unsigned char)saturate((0.0f - lo) / s, 0, 0, 255);
    }
}
