// mirror_at reflects at until it lies between lo and hi.
__device__ __forceinline__ double mirror_at(double at, double lo, double hi) {
    const double span = hi - lo;
    if (span == 0) return lo;
    const double d = fmod(fabs(at - lo), 2 * span);
    return lo + fmin(d, 2 * span - d);
}

// cubic_weight is Keys' kernel with the coefficient −0.75.
__device__ __forceinline__ double cubic_weight(double d) {
    const double a = -0.75;
    d = fabs(d);
    if (d <= 1) return (a + 2) * d * d * d - (a + 3) * d * d + 1;
    return d < 2 ? a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a : 0;
}

// sample_taps finds the elements that a sample at coordinate at reads along an axis of n
// elements, and their weights: 1 element for the nearest, 2 for linear and 4 for cubic
// interpolation. An index of −1 stands for a zero. BORDER is 0 for zeros, 1 for the edge and
// 2 for reflection.
template <int TAPS, int BORDER, bool CORNERS> __device__ void sample_taps(double at, int n, int *index, double *weight) {
    const double last = n - 1, lo = CORNERS ? 0 : -0.5, hi = CORNERS ? last : last + 0.5;
    at = lo + (at + 1) / 2 * (hi - lo);
    if (TAPS == 1) at = rint(at);
    at = fmin(fmax(at, -1073741824.0), 1073741824.0); // NaN becomes the lower bound
    if (at < lo || at > hi) {
        if (BORDER == 1) at = fmin(fmax(at, 0.0), last);
        if (BORDER == 2) at = mirror_at(at, lo, hi);
    }
    const double f = at - floor(at);
    const int first = (int)floor(at) - (TAPS == 4 ? 1 : 0);
    for (int k = 0; k < TAPS; k++) {
        weight[k] = TAPS == 1 ? 1 : TAPS == 2 ? (k ? f : 1 - f) : cubic_weight(f + 1 - k);
        int i = first + k;
        if (i < 0 || i >= n) i = BORDER == 1 ? min(max(i, 0), n - 1) : BORDER == 2 ? (int)mirror_at(i, lo, hi) : -1;
        index[k] = i;
    }
}
