// Functions of two integers, which are exact and wrap around at 64 bits. u is set if they
// are unsigned integers of 64 bits.
typedef long long i64;
typedef unsigned long long u64;

__device__ __forceinline__ bool whole_lt(i64 a, i64 b, bool u) { return u ? (u64)a < (u64)b : a < b; }
__device__ __forceinline__ i64 whole_add(i64 a, i64 b, bool) { return (i64)((u64)a + (u64)b); }
__device__ __forceinline__ i64 whole_sub(i64 a, i64 b, bool) { return (i64)((u64)a - (u64)b); }
__device__ __forceinline__ i64 whole_mul(i64 a, i64 b, bool) { return (i64)((u64)a * (u64)b); }
__device__ __forceinline__ i64 whole_div(i64 a, i64 b, bool u) {
    if (b == 0) return 0;
    if (u) return (i64)((u64)a / (u64)b);
    return b == -1 ? whole_sub(0, a, false) : a / b;
}
__device__ __forceinline__ i64 whole_fmod(i64 a, i64 b, bool u) { // the sign of the dividend
    if (b == 0) return 0;
    if (u) return (i64)((u64)a % (u64)b);
    return b == -1 ? 0 : a % b;
}
__device__ __forceinline__ i64 whole_mod(i64 a, i64 b, bool u) { // the sign of the divisor
    const i64 r = whole_fmod(a, b, u);
    return !u && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
__device__ __forceinline__ i64 whole_pow(i64 a, i64 b, bool) {
    if (b < 0) return (i64)pow((double)a, (double)b);
    u64 r = 1, x = (u64)a;
    for (; b > 0; b >>= 1) {
        if (b & 1) r *= x;
        x *= x;
    }
    return (i64)r;
}
__device__ __forceinline__ i64 whole_max(i64 a, i64 b, bool u) { return whole_lt(a, b, u) ? b : a; }
__device__ __forceinline__ i64 whole_min(i64 a, i64 b, bool u) { return whole_lt(a, b, u) ? a : b; }
__device__ __forceinline__ i64 whole_bitand(i64 a, i64 b, bool) { return a & b; }
__device__ __forceinline__ i64 whole_bitor(i64 a, i64 b, bool) { return a | b; }
__device__ __forceinline__ i64 whole_bitxor(i64 a, i64 b, bool) { return a ^ b; }
__device__ __forceinline__ i64 whole_shiftleft(i64 a, i64 b, bool) { return (u64)b > 63 ? 0 : (i64)((u64)a << b); }
__device__ __forceinline__ i64 whole_shiftright(i64 a, i64 b, bool) { return (u64)b > 63 ? 0 : (i64)((u64)a >> b); }
__device__ __forceinline__ i64 whole_equal(i64 a, i64 b, bool) { return a == b; }
__device__ __forceinline__ i64 whole_less(i64 a, i64 b, bool u) { return whole_lt(a, b, u); }
__device__ __forceinline__ i64 whole_lessorequal(i64 a, i64 b, bool u) { return !whole_lt(b, a, u); }
__device__ __forceinline__ i64 whole_greater(i64 a, i64 b, bool u) { return whole_lt(b, a, u); }
__device__ __forceinline__ i64 whole_greaterorequal(i64 a, i64 b, bool u) { return !whole_lt(a, b, u); }
__device__ __forceinline__ i64 whole_and(i64 a, i64 b, bool) { return a != 0 && b != 0; }
__device__ __forceinline__ i64 whole_or(i64 a, i64 b, bool) { return a != 0 || b != 0; }
__device__ __forceinline__ i64 whole_xor(i64 a, i64 b, bool) { return (a != 0) != (b != 0); }

// saturate rounds v half to even, adds zero, and bounds the sum. NaN becomes lo.
__device__ __forceinline__ int saturate(float v, int zero, int lo, int hi) {
    v = rintf(v);
    if (!(v >= (float)(lo - zero))) return lo;
    return v >= (float)(hi - zero) ? hi : (int)v + zero;
}
__device__ __forceinline__ int saturate(double v, int zero, int lo, int hi) {
    v = rint(v);
    if (!(v >= (double)(lo - zero))) return lo;
    return v >= (double)(hi - zero) ? hi : (int)v + zero;
}
