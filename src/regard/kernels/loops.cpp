// What PyTorch does as a row of operations on blocks of numbers, each written to the cache and read back, as one loop
// each. See loops.py, which compiles this file for one type of NUMBER and says what the arguments are.
//
// Tensors are contiguous. Of rows that are a part of longer ones a stride tells how far one is from the next. Rows
// belong to inputs: those of input i are bounds[i] to bounds[i + 1].

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

typedef NUMBER Number;
typedef uint16_t Rounded;  // bfloat16: the upper half of a float

#define PARALLEL _Pragma("omp parallel for num_threads(threads) if (threads > 1)")
#define SIDE_BY_SIDE _Pragma("omp simd")

namespace {

// Numbers that are worked on side by side, wherever a compiler would not find out by itself that they can be.
typedef Number Lane __attribute__((vector_size(64)));
constexpr int64_t WIDTH = sizeof(Lane) / sizeof(Number);

inline Number widen(Number number) { return number; }

inline Number widen(Rounded number) {
  const uint32_t bits = static_cast<uint32_t>(number) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

inline void narrow(Number number, Number* to) { *to = number; }

// To the nearest, to the even one of two; what is not a number stays none
inline void narrow(Number number, Rounded* to) {
  const float wide = static_cast<float>(number);
  uint32_t bits;
  std::memcpy(&bits, &wide, sizeof bits);
  *to = static_cast<Rounded>(wide != wide ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline Lane load(const Number* from) {
  Lane lane;
  std::memcpy(&lane, from, sizeof lane);
  return lane;
}

inline Lane load(const Rounded* from) {
  typedef Rounded Halves __attribute__((vector_size(WIDTH * sizeof(Rounded))));
  typedef uint32_t Bits __attribute__((vector_size(WIDTH * sizeof(uint32_t))));
  typedef float Floats __attribute__((vector_size(WIDTH * sizeof(float))));
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const Bits bits = __builtin_convertvector(halves, Bits) << 16;
  Floats wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return __builtin_convertvector(wide, Lane);
}

inline void store(Number* to, Lane lane) { std::memcpy(to, &lane, sizeof lane); }

inline Number total(Lane lane) {
  Number sum = 0;
  for (int64_t i = 0; i < WIDTH; ++i) sum += lane[i];
  return sum;
}

inline double exponential(double x) { return std::exp(x); }

// e^x = 2^n e^r with whole n and |r| <= ln 2 / 2, whose series ends where a float does
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

inline Number sigmoid(Number x) { return 1 / (1 + exponential(-x)); }
inline Number tanh_of(Number x) { return 2 * sigmoid(2 * x) - 1; }

// Calls work(count, row) for rows in groups of five at most, whose count a compiler sees: then what is read of an input
// is read for all of them, and their sums stay in registers.
template <typename Work>
inline void in_groups(int64_t row, int64_t end, const Work& work) {
  for (; row + 5 <= end; row += 5) work(std::integral_constant<int, 5>(), row);
  if (row + 3 <= end) work(std::integral_constant<int, 3>(), row), row += 3;
  if (row + 2 <= end) work(std::integral_constant<int, 2>(), row), row += 2;
  if (row < end) work(std::integral_constant<int, 1>(), row);
}

constexpr int AT_ONCE = 7;  // positions; grids of pictures are 7 or 14 wide

// mixed_r = start_r + Σ_n weights_rn values_n, for ROWS rows and POSITIONS positions, in the lanes of dim numbers
template <int ROWS, int POSITIONS, typename Value>
inline void add_positions(const Number* weights, int64_t positions, const Value* values, const Number* start,
                          Number* mixed, int64_t dim) {
  for (int64_t d = 0; d + WIDTH <= dim; d += WIDTH) {
    Lane found[POSITIONS];
    for (int n = 0; n < POSITIONS; ++n) found[n] = load(values + n * dim + d);
    for (int row = 0; row < ROWS; ++row) {
      Lane sum = start ? load(start + row * dim + d) : Lane{};
      for (int n = 0; n < POSITIONS; ++n) sum += weights[row * positions + n] * found[n];
      store(mixed + row * dim + d, sum);
    }
  }
}

// mixed_r = start_r + Σ_n weights_rn values_n
template <typename Value>
void mix(const Number* weights, const Value* values, const Number* start, Number* mixed, const int64_t* bounds,
         int64_t inputs, int64_t positions, int64_t dim, int threads) {
  PARALLEL
  for (int64_t input = 0; input < inputs; ++input) {
    const Value* own = values + input * positions * dim;
    in_groups(bounds[input], bounds[input + 1], [&](auto rows, int64_t row) {
      constexpr int ROWS = decltype(rows)::value;
      const Number *share = weights + row * positions, *from = start ? start + row * dim : start;
      Number* to = mixed + row * dim;
      int64_t n = 0;
      for (; n + AT_ONCE <= positions; n += AT_ONCE, from = to)
        add_positions<ROWS, AT_ONCE>(share + n, positions, own + n * dim, from, to, dim);
      for (; n < positions; ++n, from = to) add_positions<ROWS, 1>(share + n, positions, own + n * dim, from, to, dim);
    });
    for (int64_t row = bounds[input]; row < bounds[input + 1]; ++row) {
      for (int64_t d = dim - dim % WIDTH; d < dim; ++d) {
        Number sum = start ? start[row * dim + d] : 0;
        for (int64_t n = 0; n < positions; ++n) sum += weights[row * positions + n] * widen(own[n * dim + d]);
        mixed[row * dim + d] = sum;
      }
    }
  }
}

// products_rn = Σ_d left_rd values_nd, for ROWS rows and POSITIONS positions, in the lanes of dim numbers
template <int ROWS, int POSITIONS, typename Value>
inline void dot_products(const Number* left, int64_t stride, const Value* values, Number* products, int64_t positions,
                         int64_t dim) {
  Lane sums[ROWS][POSITIONS] = {};
  for (int64_t d = 0; d + WIDTH <= dim; d += WIDTH) {
    for (int n = 0; n < POSITIONS; ++n) {
      const Lane found = load(values + n * dim + d);
      for (int row = 0; row < ROWS; ++row) sums[row][n] += load(left + row * stride + d) * found;
    }
  }
  for (int row = 0; row < ROWS; ++row)
    for (int n = 0; n < POSITIONS; ++n) products[row * positions + n] = total(sums[row][n]);
}

// products_rn = Σ_d left_rd values_nd
template <typename Value>
void compare(const Number* left, int64_t stride, const Value* values, Number* products, const int64_t* bounds,
             int64_t inputs, int64_t positions, int64_t dim, int threads) {
  PARALLEL
  for (int64_t input = 0; input < inputs; ++input) {
    const Value* own = values + input * positions * dim;
    in_groups(bounds[input], bounds[input + 1], [&](auto rows, int64_t row) {
      constexpr int ROWS = decltype(rows)::value;
      const Number* one = left + row * stride;
      Number* to = products + row * positions;
      int64_t n = 0;
      for (; n + 4 <= positions; n += 4) dot_products<ROWS, 4>(one, stride, own + n * dim, to + n, positions, dim);
      for (; n < positions; ++n) dot_products<ROWS, 1>(one, stride, own + n * dim, to + n, positions, dim);
    });
    for (int64_t row = bounds[input]; row < bounds[input + 1]; ++row)
      for (int64_t n = 0; n < positions; ++n)
        for (int64_t d = dim - dim % WIDTH; d < dim; ++d)
          products[row * positions + n] += left[row * stride + d] * widen(own[n * dim + d]);
  }
}

// With p_t = softmax(logits_t + bias) of a token t with the target y:
//   logits_t = p_t − taken 1_y        chosen_t = log p_ty        normaliser_t = log Σ exp        to_bias += Σ_t share_t logits_t
template <typename Value>
void softmax_slopes(Value* logits, const Number* bias, const int64_t* targets, const Number* shares, const Number* taken,
                    Number* chosen, Number* normaliser, Number* to_bias, int64_t tokens, int64_t width, int threads) {
  PARALLEL
  for (int64_t token = 0; token < tokens; ++token) {
    Value* own = logits + token * width;
    std::vector<Number> numbers(width);
    Number* __restrict__ row = numbers.data();
    Number largest = widen(own[0]) + bias[0], sum = 0;
    _Pragma("omp simd reduction(max : largest)")
    for (int64_t i = 0; i < width; ++i) {
      row[i] = widen(own[i]) + bias[i];
      largest = row[i] > largest ? row[i] : largest;
    }
    const int64_t target = targets[token];
    const Number score = row[target] - largest;
    for (int64_t i = 0; i < width; ++i) {
      row[i] = exponential(row[i] - largest);
      sum += row[i];
    }
    chosen[token] = score - std::log(sum);
    normaliser[token] = largest + std::log(sum);
    for (int64_t i = 0; i < width; ++i) row[i] /= sum;
    row[target] -= *taken;
    for (int64_t i = 0; i < width; ++i) narrow(row[i], own + i);
  }
  constexpr int64_t COLUMNS = 256;
  PARALLEL
  for (int64_t first = 0; first < width; first += COLUMNS) {
    const int64_t end = first + COLUMNS < width ? first + COLUMNS : width;
    for (int64_t token = 0; token < tokens; ++token)
      SIDE_BY_SIDE
      for (int64_t i = first; i < end; ++i) to_bias[i] += shares[token] * widen(logits[token * width + i]);
  }
}

}  // namespace

extern "C" {

void mix_numbers(const Number* weights, const Number* values, const Number* start, Number* mixed, const int64_t* bounds,
                 int64_t inputs, int64_t positions, int64_t dim, int threads) {
  mix(weights, values, start, mixed, bounds, inputs, positions, dim, threads);
}

void mix_rounded(const Number* weights, const Rounded* values, const Number* start, Number* mixed,
                 const int64_t* bounds, int64_t inputs, int64_t positions, int64_t dim, int threads) {
  mix(weights, values, start, mixed, bounds, inputs, positions, dim, threads);
}

void compare_numbers(const Number* left, int64_t stride, const Number* values, Number* products,
                     const int64_t* bounds, int64_t inputs, int64_t positions, int64_t dim, int threads) {
  compare(left, stride, values, products, bounds, inputs, positions, dim, threads);
}

void compare_rounded(const Number* left, int64_t stride, const Rounded* values, Number* products,
                     const int64_t* bounds, int64_t inputs, int64_t positions, int64_t dim, int threads) {
  compare(left, stride, values, products, bounds, inputs, positions, dim, threads);
}

void softmax_slopes_numbers(Number* logits, const Number* bias, const int64_t* targets, const Number* shares,
                            const Number* taken, Number* chosen, Number* normaliser, Number* to_bias, int64_t tokens,
                            int64_t width, int threads) {
  softmax_slopes(logits, bias, targets, shares, taken, chosen, normaliser, to_bias, tokens, width, threads);
}

void softmax_slopes_rounded(Rounded* logits, const Number* bias, const int64_t* targets, const Number* shares,
                            const Number* taken, Number* chosen, Number* normaliser, Number* to_bias, int64_t tokens,
                            int64_t width, int threads) {
  softmax_slopes(logits, bias, targets, shares, taken, chosen, normaliser, to_bias, tokens, width, threads);
}

// e_rn = Σ_a v_a / (1 + left_ra right_na)
void additive_scores(const Number* left, const Number* right, const Number* v, Number* scores, const int64_t* bounds,
                     int64_t inputs, int64_t positions, int64_t dim, int threads) {
  PARALLEL
  for (int64_t input = 0; input < inputs; ++input) {
    for (int64_t row = bounds[input]; row < bounds[input + 1]; ++row) {
      const Number* one = left + row * dim;
      for (int64_t position = 0; position < positions; ++position) {
        const Number* other = right + (input * positions + position) * dim;
        Number sum = 0;
        for (int64_t a = 0; a < dim; ++a) sum += v[a] / (1 + one[a] * other[a]);
        scores[row * positions + position] = sum;
      }
    }
  }
}

// With σ = 1 / (1 + left_ra right_na) and the gradient g_rn of the scores:
//   to_rows_ra = Σ_n g_rn σ (1 − σ)        paid_ra = Σ_n g_rn σ        to_positions_na += Σ_r g_rn σ (1 − σ)
void additive_gradients(const Number* left, const Number* right, const Number* gradient, Number* to_rows, Number* paid,
                        Number* to_positions, const int64_t* bounds, int64_t inputs, int64_t positions, int64_t dim,
                        int threads) {
  PARALLEL
  for (int64_t input = 0; input < inputs; ++input) {
    for (int64_t i = bounds[input] * dim; i < bounds[input + 1] * dim; ++i) to_rows[i] = paid[i] = 0;
    for (int64_t position = 0; position < positions; ++position) {
      const Number* __restrict__ other = right + (input * positions + position) * dim;
      Number* __restrict__ to_position = to_positions + (input * positions + position) * dim;
      for (int64_t row = bounds[input]; row < bounds[input + 1]; ++row) {
        const Number share = gradient[row * positions + position];
        if (share == 0) continue;  // a masked position
        const Number* __restrict__ one = left + row * dim;
        Number* __restrict__ to_row = to_rows + row * dim;
        Number* __restrict__ paid_row = paid + row * dim;
        for (int64_t a = 0; a < dim; ++a) {
          const Number sigma = 1 / (1 + one[a] * other[a]);
          const Number pushed = share * sigma;
          const Number slope = pushed - pushed * sigma;
          to_row[a] += slope;
          paid_row[a] += pushed;
          to_position[a] += slope;
        }
      }
    }
  }
}

// i, f, o = σ(·) and g = tanh(·) of inputs + recurrent, written over the inputs; c' = f c + i g, h' = o tanh(c')
void lstm_forward(Number* gates, const Number* recurrent, int64_t stride, const Number* c, Number* c_after, Number* h_after,
                  int64_t rows, int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    Number *__restrict__ i = gates + row * 4 * hidden, *__restrict__ f = i + hidden;
    Number *__restrict__ g = f + hidden, *__restrict__ o = g + hidden;
    const Number* __restrict__ state = recurrent + row * stride;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      i[a] = sigmoid(i[a] + state[a]);
      f[a] = sigmoid(f[a] + state[hidden + a]);
      g[a] = tanh_of(g[a] + state[2 * hidden + a]);
      o[a] = sigmoid(o[a] + state[3 * hidden + a]);
      const Number cell = f[a] * c[row * hidden + a] + i[a] * g[a];
      c_after[row * hidden + a] = cell;
      h_after[row * hidden + a] = o[a] * tanh_of(cell);
    }
  }
}

// With t = tanh(c') and the gradient e = to_c + to_h o (1 − t²) of c':
//   i (1 − i) g e        f (1 − f) c e        (1 − g²) i e        o (1 − o) t to_h        and f e, written over to_c
void lstm_backward(const Number* gates, const Number* c, const Number* c_after, const Number* to_h, Number* to_c,
                   Number* to_gates, int64_t stride, int64_t rows, int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    const Number *__restrict__ i = gates + row * 4 * hidden, *__restrict__ f = i + hidden;
    const Number *__restrict__ g = f + hidden, *__restrict__ o = g + hidden;
    Number* __restrict__ to = to_gates + row * stride;
    Number* __restrict__ before = to_c + row * hidden;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      const Number bent = tanh_of(c_after[row * hidden + a]), pushed = to_h[row * hidden + a];
      const Number to_cell = before[a] + pushed * o[a] * (1 - bent * bent);
      to[a] = i[a] * (1 - i[a]) * g[a] * to_cell;
      to[hidden + a] = f[a] * (1 - f[a]) * c[row * hidden + a] * to_cell;
      to[2 * hidden + a] = (1 - g[a] * g[a]) * i[a] * to_cell;
      to[3 * hidden + a] = o[a] * (1 - o[a]) * bent * pushed;
      before[a] = f[a] * to_cell;
    }
  }
}

// r, z = σ(·) of inputs + recurrent and n = tanh(inputs + r recurrent), written over the inputs, and recurrent_n behind
// them; h' = (1 − z) n + z h
void gru_forward(Number* kept, const Number* recurrent, int64_t stride, const Number* h, Number* h_after, int64_t rows,
                 int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    Number *__restrict__ r = kept + row * 4 * hidden, *__restrict__ z = r + hidden;
    Number *__restrict__ n = z + hidden, *__restrict__ recurrent_n = n + hidden;
    const Number* __restrict__ state = recurrent + row * stride;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      r[a] = sigmoid(r[a] + state[a]);
      z[a] = sigmoid(z[a] + state[hidden + a]);
      recurrent_n[a] = state[2 * hidden + a];
      n[a] = tanh_of(n[a] + r[a] * recurrent_n[a]);
      h_after[row * hidden + a] = n[a] + z[a] * (h[row * hidden + a] - n[a]);
    }
  }
}

// With e = to_h (1 − z) (1 − n²), the gradient of what n is the tanh of:
//   r (1 − r) e recurrent_n        z (1 − z) to_h (h − n)        e for the inputs, e r for the state        and to_h z
void gru_backward(const Number* kept, const Number* h, const Number* to_h, Number* to_inputs, Number* to_recurrent,
                  int64_t stride, Number* before, int64_t rows, int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    const Number* __restrict__ keep = kept + row * 4 * hidden;
    Number* __restrict__ own = to_inputs + row * 3 * hidden;
    Number* __restrict__ state = to_recurrent + row * stride;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      const Number r = keep[a], z = keep[hidden + a], n = keep[2 * hidden + a], pushed = to_h[row * hidden + a];
      const Number to_n = pushed * (1 - z) * (1 - n * n);
      own[a] = state[a] = r * (1 - r) * to_n * keep[3 * hidden + a];
      own[hidden + a] = state[hidden + a] = z * (1 - z) * pushed * (h[row * hidden + a] - n);
      own[2 * hidden + a] = to_n;
      state[2 * hidden + a] = to_n * r;
      before[row * hidden + a] = pushed * z;
    }
  }
}

// z, r = σ(·) of inputs + recurrent, written over the inputs, which hold z, r and s̃; reset = r s
void gated_open(Number* gates, const Number* recurrent, int64_t stride, const Number* s, Number* reset, int64_t rows,
                int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    Number *__restrict__ z = gates + row * 3 * hidden, *__restrict__ r = z + hidden;
    const Number* __restrict__ state = recurrent + row * stride;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      z[a] = sigmoid(z[a] + state[a]);
      r[a] = sigmoid(r[a] + state[hidden + a]);
      reset[row * hidden + a] = r[a] * s[row * hidden + a];
    }
  }
}

// s̃ = tanh(inputs + product), written over the inputs; s' = s + z (s̃ − s)
void gated_forward(Number* gates, const Number* product, const Number* s, Number* s_after, int64_t rows, int64_t hidden,
                   int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    const Number* __restrict__ z = gates + row * 3 * hidden;
    Number* __restrict__ candidate = gates + row * 3 * hidden + 2 * hidden;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      const Number before = s[row * hidden + a];
      candidate[a] = tanh_of(candidate[a] + product[row * hidden + a]);
      s_after[row * hidden + a] = before + z[a] * (candidate[a] - before);
    }
  }
}

// The gradients z (1 − z) to_s (s̃ − s) of z and to_s z (1 − s̃²) of s̃; that of s̃ is written twice
void gated_backward(const Number* gates, const Number* s, const Number* to_s, Number* to_gates, Number* to_candidate,
                    int64_t rows, int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    const Number* __restrict__ z = gates + row * 3 * hidden;
    const Number* __restrict__ candidate = z + 2 * hidden;
    Number* __restrict__ to = to_gates + row * 3 * hidden;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      const Number pushed = to_s[row * hidden + a];
      to[a] = z[a] * (1 - z[a]) * pushed * (candidate[a] - s[row * hidden + a]);
      to[2 * hidden + a] = to_candidate[row * hidden + a] = pushed * z[a] * (1 - candidate[a] * candidate[a]);
    }
  }
}

// With what comes through U: r (1 − r) s through, the gradient of r; before = to_s (1 − z) + r through
void gated_close(const Number* gates, const Number* s, const Number* to_s, const Number* through, Number* to_gates,
                 Number* before, int64_t rows, int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    const Number *__restrict__ z = gates + row * 3 * hidden, *__restrict__ r = z + hidden;
    Number* __restrict__ to_r = to_gates + row * 3 * hidden + hidden;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      const int64_t i = row * hidden + a;
      to_r[a] = r[a] * (1 - r[a]) * s[i] * through[i];
      before[i] = to_s[i] * (1 - z[a]) + r[a] * through[i];
    }
  }
}

}  // extern "C"
