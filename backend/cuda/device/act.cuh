// Functions of one and two variables. T is float or double.
#define INF_DOUBLE __longlong_as_double(0x7ff0000000000000ll)
#define NAN_DOUBLE __longlong_as_double(0x7ff8000000000000ll)

template <class T> __device__ __forceinline__ T act_relu(T x, T, T) { return x < T(0) ? T(0) : x; } // NaN stays NaN
template <class T> __device__ __forceinline__ T act_leakyrelu(T x, T a, T) { return x < T(0) ? a * x : x; }
template <class T> __device__ __forceinline__ T act_clip(T x, T a, T b) {
    x = x < a ? a : x;
    return x > b ? b : x;
}
template <class T> __device__ __forceinline__ T act_tanh(T x, T, T) { return tanh(x); }
template <class T> __device__ __forceinline__ T act_sigmoid(T x, T, T) {
    const T e = exp(-fabs(x));
    return x >= T(0) ? T(1) / (T(1) + e) : e / (T(1) + e);
}
template <class T> __device__ __forceinline__ T act_hardsigmoid(T x, T a, T b) { return act_clip<T>(a * x + b, T(0), T(1)); }
template <class T> __device__ __forceinline__ T act_hardswish(T x, T, T) { return x * act_clip<T>(x / T(6) + T(0.5), T(0), T(1)); }
template <class T> __device__ __forceinline__ T act_silu(T x, T a, T) { return x * act_sigmoid<T>(a * x, T(0), T(0)); }
template <class T> __device__ __forceinline__ T act_elu(T x, T a, T) { return x > T(0) ? x : a * expm1(x); }
template <class T> __device__ __forceinline__ T act_selu(T x, T a, T b) { return b * (x > T(0) ? x : a * expm1(x)); }
template <class T> __device__ __forceinline__ T act_celu(T x, T a, T) { return fmax(x, T(0)) + fmin(T(0), a * expm1(x / a)); }
template <class T> __device__ __forceinline__ T act_gelu(T x, T, T) { return x / T(2) * (T(1) + erf(x * T(0.70710678118654752440))); }
template <class T> __device__ __forceinline__ T act_gelutanh(T x, T, T) { return x / T(2) * (T(1) + tanh(T(0.79788456080286535588) * (x + T(0.044715) * x * x * x))); }
template <class T> __device__ __forceinline__ T act_softplus(T x, T, T) { return fmax(x, T(0)) + log1p(exp(-fabs(x))); }
template <class T> __device__ __forceinline__ T act_mish(T x, T, T) { return x * tanh(act_softplus<T>(x, T(0), T(0))); }
template <class T> __device__ __forceinline__ T act_softsign(T x, T, T) { return x / (T(1) + fabs(x)); }
template <class T> __device__ __forceinline__ T act_thresholdedrelu(T x, T a, T) { return x > a ? x : T(0); }
template <class T> __device__ __forceinline__ T act_shrink(T x, T a, T b) { return x < -a ? x + b : x > a ? x - b : T(0); }
template <class T> __device__ __forceinline__ T act_abs(T x, T, T) { return fabs(x); }
template <class T> __device__ __forceinline__ T act_neg(T x, T, T) { return -x; }
template <class T> __device__ __forceinline__ T act_exp(T x, T, T) { return exp(x); }
template <class T> __device__ __forceinline__ T act_log(T x, T, T) { return log(x); }
template <class T> __device__ __forceinline__ T act_sqrt(T x, T, T) { return sqrt(x); }
template <class T> __device__ __forceinline__ T act_reciprocal(T x, T, T) { return T(1) / x; }
template <class T> __device__ __forceinline__ T act_erf(T x, T, T) { return erf(x); }
template <class T> __device__ __forceinline__ T act_floor(T x, T, T) { return floor(x); }
template <class T> __device__ __forceinline__ T act_ceil(T x, T, T) { return ceil(x); }
template <class T> __device__ __forceinline__ T act_round(T x, T, T) { return rint(x); } // half to even
template <class T> __device__ __forceinline__ T act_sign(T x, T, T) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x; }
template <class T> __device__ __forceinline__ T act_not(T x, T, T) { return x == T(0) ? T(1) : T(0); }
template <class T> __device__ __forceinline__ T act_sin(T x, T, T) { return sin(x); }
template <class T> __device__ __forceinline__ T act_cos(T x, T, T) { return cos(x); }
template <class T> __device__ __forceinline__ T act_tan(T x, T, T) { return tan(x); }
template <class T> __device__ __forceinline__ T act_asin(T x, T, T) { return asin(x); }
template <class T> __device__ __forceinline__ T act_acos(T x, T, T) { return acos(x); }
template <class T> __device__ __forceinline__ T act_atan(T x, T, T) { return atan(x); }
template <class T> __device__ __forceinline__ T act_sinh(T x, T, T) { return sinh(x); }
template <class T> __device__ __forceinline__ T act_cosh(T x, T, T) { return cosh(x); }
template <class T> __device__ __forceinline__ T act_asinh(T x, T, T) { return asinh(x); }
template <class T> __device__ __forceinline__ T act_acosh(T x, T, T) { return acosh(x); }
template <class T> __device__ __forceinline__ T act_atanh(T x, T, T) { return atanh(x); }
template <class T> __device__ __forceinline__ T act_isnan(T x, T, T) { return x != x ? T(1) : T(0); }
template <class T> __device__ __forceinline__ T act_isinf(T x, T a, T b) {
    return a != T(0) && x == T(-INF_DOUBLE) || b != T(0) && x == T(INF_DOUBLE) ? T(1) : T(0);
}

// A NaN among the operands is the maximum and the minimum.
template <class T> __device__ __forceinline__ T binary_max(T a, T b) { return a != a || a > b ? a : b; }
template <class T> __device__ __forceinline__ T binary_min(T a, T b) { return a != a || a < b ? a : b; }
template <class T> __device__ __forceinline__ T binary_pow(T a, T b) { return pow(a, b); }
template <class T> __device__ __forceinline__ T binary_fmod(T a, T b) { return fmod(a, b); }
template <class T> __device__ __forceinline__ T binary_mod(T a, T b) { // the sign of the divisor
    const T r = fmod(a, b);
    return r != T(0) && (r < T(0)) != (b < T(0)) ? r + b : r;
}
template <class T> __device__ __forceinline__ T binary_equal(T a, T b) { return a == b ? T(1) : T(0); }
template <class T> __device__ __forceinline__ T binary_less(T a, T b) { return a < b ? T(1) : T(0); }
template <class T> __device__ __forceinline__ T binary_lessorequal(T a, T b) { return a <= b ? T(1) : T(0); }
template <class T> __device__ __forceinline__ T binary_greater(T a, T b) { return a > b ? T(1) : T(0); }
template <class T> __device__ __forceinline__ T binary_greaterorequal(T a, T b) { return a >= b ? T(1) : T(0); }
template <class T> __device__ __forceinline__ T binary_and(T a, T b) { return a != T(0) && b != T(0) ? T(1) : T(0); }
template <class T> __device__ __forceinline__ T binary_or(T a, T b) { return a != T(0) || b != T(0) ? T(1) : T(0); }
template <class T> __device__ __forceinline__ T binary_xor(T a, T b) { return (a != T(0)) != (b != T(0)) ? T(1) : T(0); }
template <class T> __device__ __forceinline__ T binary_bitand(T, T) { return T(NAN_DOUBLE); } // bits of floats have no meaning
template <class T> __device__ __forceinline__ T binary_bitor(T, T) { return T(NAN_DOUBLE); }
template <class T> __device__ __forceinline__ T binary_bitxor(T, T) { return T(NAN_DOUBLE); }
template <class T> __device__ __forceinline__ T binary_shiftleft(T, T) { return T(NAN_DOUBLE); }
template <class T> __device__ __forceinline__ T binary_shiftright(T, T) { return T(NAN_DOUBLE); }
