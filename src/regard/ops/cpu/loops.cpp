// What PyTorch does as a row of operations on blocks of numbers, each written to the cache and read back, as one loop
// each: looks, and the softmax of a cross-entropy. See loops.py, which compiles this file.
//
// Tensors are contiguous. Of rows that are a part of longer ones a stride tells how far one is from the next. Rows
// belong to inputs: those of input i are bounds[i] to bounds[i + 1].

#include <type_traits>
#include <vector>

#include "numbers.h"

namespace {

// Numbers that are worked on side by side, wherever a compiler would not find out by itself that they can be.
typedef Number Lane __attribute__((vector_size(64)));
constexpr int64_t WIDTH = sizeof(Lane) / sizeof(Number);

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
//   logits_t = p_t − taken 1_y    chosen_t = log p_ty    normaliser_t = log Σ exp    to_bias += Σ_t share_t logits_t
template <typename Value>
void softmax_slopes(Value* logits, const Number* bias, const int64_t* targets, const Number* shares,
                    const Number* taken, Number* chosen, Number* normaliser, Number* to_bias, int64_t tokens,
                    int64_t width, int threads) {
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

}  // extern "C"
