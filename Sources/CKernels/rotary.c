/// The angles of rotary position embedding, in double precision without a mathematical library, so
/// that every machine computes the same ones.
#include "kernels.h"

/// ln(x) for a normal x > 0: x = m * 2^e with m in [sqrt(1/2), sqrt(2)), and ln(m) is
/// 2 atanh((m-1)/(m+1)) by its series, whose terms fall by a factor of 34 each.
static double natural_logarithm(double x) {
    const double ln2 = 0x1.62e42fefa39efp-1;
    int exponent = 0;
    for (; x >= 1.4142135623730951; x *= 0.5) exponent++;
    for (; x < 0.7071067811865476; x *= 2) exponent--;
    double s = (x - 1) / (x + 1), square = s * s, sum = 0;
    for (int n = 25; n >= 1; n -= 2) sum = sum * square + 1.0 / n;
    return 2 * s * sum + exponent * ln2;
}

/// exp(x) for -700 < x < 700: x = n ln(2) + r, |r| <= ln(2)/2, and the Taylor polynomial of r.
static double exponential(double x) {
    const double high = 0x1.62e42feep-1, low = 0x1.a39ef35793c76p-33;
    int n = (int)(x * 0x1.71547652b82fep0 + (x < 0 ? -0.5 : 0.5));
    double r = (x - n * high) - n * low, sum = 1;
    for (int i = 18; i >= 1; i--) sum = 1 + r / i * sum;
    for (; n > 0; n--) sum *= 2;
    for (; n < 0; n++) sum *= 0.5;
    return sum;
}

/// Taylor's polynomials on |r| <= pi/4, whose remainders are below 1e-17.
static double sine_near_zero(double r) {
    static const double terms[] = {
        -1.0 / 121645100408832000, 1.0 / 355687428096000, -1.0 / 1307674368000, 1.0 / 6227020800,
        -1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6, 1,
    };
    double square = r * r, sum = 0;
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) sum = sum * square + terms[i];
    return r * sum;
}

static double cosine_near_zero(double r) {
    static const double terms[] = {
        -1.0 / 6402373705728000, 1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600,
        -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24, -1.0 / 2, 1,
    };
    double square = r * r, sum = 0;
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) sum = sum * square + terms[i];
    return sum;
}

/// The sine and cosine of 0 <= x < 2^20. pi/2 in two parts, of which the first has 33 bits, so that
/// its multiples here are exact (as in FreeBSD's e_rem_pio2.c).
static void sine_and_cosine(double x, double *sine, double *cosine) {
    const double first = 0x1.921fb544p0, rest = 0x1.0b4611a626331p-34;
    int64_t n = (int64_t)(x * 0x1.45f306dc9c883p-1 + 0.5);
    double r = (x - (double)n * first) - (double)n * rest;
    double s = sine_near_zero(r), c = cosine_near_zero(r);
    switch (n & 3) {
    case 0: *sine = s; *cosine = c; break;
    case 1: *sine = c; *cosine = -s; break;
    case 2: *sine = -s; *cosine = -c; break;
    default: *sine = -c; *cosine = s;
    }
}

void ck_inverse_frequencies(double base, size_t head_dimension, float *frequencies) {
    double logarithm = natural_logarithm(base);
    for (size_t i = 0; i < head_dimension / 2; i++) {
        frequencies[i] =
            (float)exponential(-logarithm * (double)(2 * i) / (double)head_dimension);
    }
}

void ck_rotary_angles(size_t position, const float *frequencies, size_t count, float *output) {
    for (size_t i = 0; i < count; i++) {
        float angle = (float)position * frequencies[i];
        double sine, cosine;
        sine_and_cosine((double)angle, &sine, &cosine);
        output[i] = (float)cosine;
        output[count + i] = (float)sine;
    }
}
