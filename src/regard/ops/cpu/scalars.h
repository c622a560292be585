// Scalars of attention.cpp and cells.cpp, which compiled.py compiles for one dtype, SCALAR.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

typedef SCALAR Scalar;
typedef uint16_t BFloat16;  // bfloat16: the upper half of a float

#define PARALLEL _Pragma("omp parallel for num_threads(threads) if (threads > 1)")
#define SIDE_BY_SIDE _Pragma("omp simd")

inline Scalar to_scalar(Scalar number) { return number; }

inline Scalar to_scalar(BFloat16 number) {
  const uint32_t bits = static_cast<uint32_t>(number) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

inline void store_as(Scalar number, Scalar* to) { *to = number; }

// Rounds to nearest, ties to even; NaN stays NaN
inline void store_as(Scalar number, BFloat16* to) {
  const float wide = static_cast<float>(number);
  uint32_t bits;
  std::memcpy(&bits, &wide, sizeof bits);
  *to = static_cast<BFloat16>(wide != wide ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline double exponential(double x) { return std::exp(x); }

// e^x = 2^n e^r with integer n and |r| <= ln 2 / 2; the series is as precise as a float
inline float exponential(float x) {
  x = x < -87 ? -87 : x > 88 ? 88 : x;
  const float n = std::nearbyint(x * 1.44269504f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  const float series =
      1 + r * (1 + r * (1 / 2.f + r * (1 / 6.f + r * (1 / 24.f + r * (1 / 120.f + r * (1 / 720.f + r / 5040.f))))));
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return series * power;
}

inline Scalar sigmoid(Scalar x) { return 1 / (1 + exponential(-x)); }
inline Scalar tanh_of(Scalar x) { return 2 * sigmoid(2 * x) - 1; }
