// recurrent computes direction and example blockIdx.x of a recurrent layer, L, step by step.
// A thread has the same units in all steps, so that the states c, which no other thread reads,
// stay in the memory of the result. Operands that are absent are null.
template <class L, typename T>
__device__ void recurrent(const T *x, const T *w, const T *r, const T *bias, const T *h0, const T *c0, const T *peepholes,
                          const int *lengths, T *y, T *last, T *c) {
    __shared__ T h[L::H], rows[3 * L::H];
    const int d = blockIdx.x / L::N, n = blockIdx.x % L::N, G = L::GATES;
    const int length = lengths ? lengths[n] : L::T;
    w += d * G * L::H * L::I;
    r += d * G * L::H * L::H;
    last += blockIdx.x * L::H;
    c += L::LSTM ? blockIdx.x * L::H : 0;
    for (int j = threadIdx.x; j < L::H; j += 256) {
        h[j] = h0 && length > 0 ? h0[blockIdx.x * L::H + j] : T(0);
        if (L::LSTM) c[j] = c0 && length > 0 ? c0[blockIdx.x * L::H + j] : T(0);
    }
    __syncthreads();
    for (int k = 0; k < length; k++) {
        const int t = L::REVERSE || d == 1 ? length - 1 - k : k;
        const T *now = x + (t * L::N + n) * L::I;
        T *out = y + ((t * L::N + n) * L::D + d) * L::H;
        // input and state are the products of a row of gate g with its bias.
        auto input = [&](int g, int j) {
            T s = 0;
            for (int i = 0; i < L::I; i++) s += w[(g * L::H + j) * L::I + i] * now[i];
            return bias ? s + bias[2 * d * G * L::H + g * L::H + j] : s;
        };
        auto state = [&](int g, int j, const T *scale) {
            T s = 0;
            for (int i = 0; i < L::H; i++) s += r[(g * L::H + j) * L::H + i] * (scale ? scale[i] * h[i] : h[i]);
            return bias ? s + bias[(2 * d + 1) * G * L::H + g * L::H + j] : s;
        };
        if (L::GRU) { // rows has z, r and h'
            for (int j = threadIdx.x; j < L::H; j += 256) {
                rows[j] = L::f(input(0, j) + state(0, j, nullptr));
                rows[L::H + j] = L::f(input(1, j) + state(1, j, nullptr));
            }
            __syncthreads();
        }
        for (int j = threadIdx.x; j < L::H; j += 256) {
            if (L::GRU) {
                const T *reset = rows + L::H;
                const T a = input(2, j) + (L::LINEAR ? reset[j] * state(2, j, nullptr) : state(2, j, reset));
                rows[2 * L::H + j] = (1 - rows[j]) * L::g(a) + rows[j] * h[j];
            } else if (L::LSTM) {
                auto peephole = [&](int g) { return peepholes ? peepholes[(3 * d + g) * L::H + j] * c[j] : T(0); };
                const T i = L::f(input(0, j) + state(0, j, nullptr) + peephole(0));
                const T forget = L::COUPLED ? 1 - i : L::f(input(2, j) + state(2, j, nullptr) + peephole(2));
                c[j] = forget * c[j] + i * L::g(input(3, j) + state(3, j, nullptr));
                rows[2 * L::H + j] = L::f(input(1, j) + state(1, j, nullptr) + peephole(1)) * L::h(c[j]);
            } else {
                rows[2 * L::H + j] = L::f(input(0, j) + state(0, j, nullptr));
            }
        }
        __syncthreads();
        for (int j = threadIdx.x; j < L::H; j += 256) h[j] = out[j] = rows[2 * L::H + j];
        __syncthreads();
    }
    for (int j = threadIdx.x; j < L::H; j += 256) last[j] = h[j];
    for (int t = length; t < L::T; t++) {
        for (int j = threadIdx.x; j < L::H; j += 256) y[((t * L::N + n) * L::D + d) * L::H + j] = 0;
    }
}
