// Additive scores, weighted sums and the softmax of a cross-entropy, each in one pass over its operands.
// See compiled.py, which compiles this file.
//
// Tensors are contiguous; rows that are a part of longer ones come with their stride. Rows belong to inputs: those of
// input i are offsets[i] to offsets[i + 1].

#include <type_traits>
#include <vector>

#include "scalars.h"

namespace {

// A SIMD vector, for what a compiler does not vectorise by itself.
typedef Scalar Vector __attribute__((vector_size(64)));
constexpr int64_t WIDTH = sizeof(Vector) / sizeof(Scalar);

inline Vector load(const Scalar* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}

inline Vector load(const BFloat16* from) {
  typedef BFloat16 Halves __attribute__((vector_size(WIDTH * sizeof(BFloat16))));
  typedef uint32_t Bits __attribute__((vector_size(WIDTH * sizeof(uint32_t))));
  typedef float Floats __attribute__((vector_size(WIDTH * sizeof(float))));
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const Bits bits = __builtin_convertvector(halves, Bits) << 16;
  Floats wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return __builtin_convertvector(wide, Vector);
}

inline void store(Scalar* to, Vector vector) { std::memcpy(to, &vector, sizeof vector); }

inline Scalar total(Vector vector) {
  Scalar sum = 0;
  for (int64_t i = 0; i < WIDTH; ++i) sum += vector[i];
  return sum;
}

// Calls work(count, row) for groups of at most five rows, whose count is a constant: values are loaded once for the
// whole group, and its sums stay in registers.
template <typename Work>
inline void for_row_groups(int64_t row, int64_t end, const Work& work) {
  for (; row + 5 <= end; row += 5) work(std::integral_constant<int, 5>(), row);
  if (row + 3 <= end) work(std::integral_constant<int, 3>(), row), row += 3;
  if (row + 2 <= end) work(std::integral_constant<int, 2>(), row), row += 2;
  if (row < end) work(std::integral_constant<int, 1>(), row);
}

constexpr int POSITIONS_PER_TILE = 7;  // positions; grids of pictures are 7 or 14 wide

// context_r = start_r + Σ_n weights_rn values_n, for ROWS rows and POSITIONS positions, in whole vectors of dim
template <int ROWS, int POSITIONS, typename Value>
inline void add_positions(const Scalar* weights, int64_t positions, const Value* values, const Scalar* start,
                          Scalar* context, int64_t dim) {
  for (int64_t d = 0; d + WIDTH <= dim; d += WIDTH) {
    Vector tile[POSITIONS];
    for (int n = 0; n < POSITIONS; ++n) tile[n] = load(values + n * dim + d);
    for (int row = 0; row < ROWS; ++row) {
      Vector sum = start ? load(start + row * dim + d) : Vector{};
      for (int n = 0; n < POSITIONS; ++n) sum += weights[row * positions + n] * tile[n];
      store(context + row * dim + d, sum);
    }
  }
}

// context_r = start_r + Σ_n weights_rn values_n
template <typename Value>
void sum_values(const Scalar* weights, const Value* values, const Scalar* start, Scalar* context,
                const int64_t* offsets, int64_t inputs, int64_t positions, int64_t dim, int threads) {
  PARALLEL
  for (int64_t input = 0; input < inputs; ++input) {
    const Value* own = values + input * positions * dim;
    for_row_groups(offsets[input], offsets[input + 1], [&](auto rows, int64_t row) {
      constexpr int ROWS = decltype(rows)::value;
      const Scalar *share = weights + row * positions, *from = start ? start + row * dim : start;
      Scalar* to = context + row * dim;
      int64_t n = 0;
      for (; n + POSITIONS_PER_TILE <= positions; n += POSITIONS_PER_TILE, from = to)
        add_positions<ROWS, POSITIONS_PER_TILE>(share + n, positions, own + n * dim, from, to, dim);
      for (; n < positions; ++n, from = to) add_positions<ROWS, 1>(share + n, positions, own + n * dim, from, to, dim);
    });
    for (int64_t row = offsets[input]; row < offsets[input + 1]; ++row) {
      for (int64_t d = dim - dim % WIDTH; d < dim; ++d) {
        Scalar sum = start ? start[row * dim + d] : 0;
        for (int64_t n = 0; n < positions; ++n) sum += weights[row * positions + n] * to_scalar(own[n * dim + d]);
        context[row * dim + d] = sum;
      }
    }
  }
}

// products_rn = Σ_d left_rd values_nd, for ROWS rows and POSITIONS positions, in whole vectors of dim
template <int ROWS, int POSITIONS, typename Value>
inline void dot_product_tile(const Scalar* left, int64_t stride, const Value* values, Scalar* products,
                             int64_t positions, int64_t dim) {
  Vector sums[ROWS][POSITIONS] = {};
  for (int64_t d = 0; d + WIDTH <= dim; d += WIDTH) {
    for (int n = 0; n < POSITIONS; ++n) {
      const Vector tile = load(values + n * dim + d);
      for (int row = 0; row < ROWS; ++row) sums[row][n] += load(left + row * stride + d) * tile;
    }
  }
  for (int row = 0; row < ROWS; ++row)
    for (int n = 0; n < POSITIONS; ++n) products[row * positions + n] = total(sums[row][n]);
}

// products_rn = Σ_d left_rd values_nd
template <typename Value>
void multiply_values(const Scalar* left, int64_t stride, const Value* values, Scalar* products, const int64_t* offsets,
                     int64_t inputs, int64_t positions, int64_t dim, int threads) {
  PARALLEL
  for (int64_t input = 0; input < inputs; ++input) {
    const Value* own = values + input * positions * dim;
    for_row_groups(offsets[input], offsets[input + 1], [&](auto rows, int64_t row) {
      constexpr int ROWS = decltype(rows)::value;
      const Scalar* one = left + row * stride;
      Scalar* to = products + row * positions;
      int64_t n = 0;
      for (; n + 4 <= positions; n += 4) dot_product_tile<ROWS, 4>(one, stride, own + n * dim, to + n, positions, dim);
      for (; n < positions; ++n) dot_product_tile<ROWS, 1>(one, stride, own + n * dim, to + n, positions, dim);
    });
    for (int64_t row = offsets[input]; row < offsets[input + 1]; ++row)
      for (int64_t n = 0; n < positions; ++n)
        for (int64_t d = dim - dim % WIDTH; d < dim; ++d)
          products[row * positions + n] += left[row * stride + d] * to_scalar(own[n * dim + d]);
  }
}

// With p_t = softmax(logits_t + bias) of a token t with the target y:
//   logits_t = p_t − target_mass 1_y    chosen_t = log p_ty    normaliser_t = log Σ exp    grad_bias += Σ_t w_t
//   logits_t
template <typename Value>
void softmax_rows(Value* logits, const Scalar* bias, const int64_t* targets, const Scalar* token_weights,
                  const Scalar* target_mass, Scalar* chosen, Scalar* normaliser, Scalar* grad_bias, int64_t tokens,
                  int64_t width, int threads) {
  PARALLEL
  for (int64_t token = 0; token < tokens; ++token) {
    Value* own = logits + token * width;
    std::vector<Scalar> row_values(width);
    Scalar* __restrict__ row = row_values.data();
    Scalar largest = to_scalar(own[0]) + bias[0], sum = 0;
    _Pragma("omp simd reduction(max : largest)") for (int64_t i = 0; i < width; ++i) {
      row[i] = to_scalar(own[i]) + bias[i];
      largest = row[i] > largest ? row[i] : largest;
    }
    const int64_t target = targets[token];
    const Scalar score = row[target] - largest;
    for (int64_t i = 0; i < width; ++i) {
      row[i] = exponential(row[i] - largest);
      sum += row[i];
    }
    chosen[token] = score - std::log(sum);
    normaliser[token] = largest + std::log(sum);
    for (int64_t i = 0; i < width; ++i) row[i] /= sum;
    row[target] -= *target_mass;
    for (int64_t i = 0; i < width; ++i) store_as(row[i], own + i);
  }
  constexpr int64_t COLUMNS = 256;
  PARALLEL
  for (int64_t first = 0; first < width; first += COLUMNS) {
    const int64_t end = first + COLUMNS < width ? first + COLUMNS : width;
    for (int64_t token = 0; token < tokens; ++token) SIDE_BY_SIDE
    for (int64_t i = first; i < end; ++i) grad_bias[i] += token_weights[token] * to_scalar(logits[token * width + i]);
  }
}

}  // namespace

extern "C" {

void weighted_sum(const Scalar* weights, const Scalar* values, const Scalar* start, Scalar* context,
                  const int64_t* offsets, int64_t inputs, int64_t positions, int64_t dim, int threads) {
  sum_values(weights, values, start, context, offsets, inputs, positions, dim, threads);
}

void weighted_sum_bfloat16(const Scalar* weights, const BFloat16* values, const Scalar* start, Scalar* context,
                           const int64_t* offsets, int64_t inputs, int64_t positions, int64_t dim, int threads) {
  sum_values(weights, values, start, context, offsets, inputs, positions, dim, threads);
}

void dot_products(const Scalar* left, int64_t stride, const Scalar* values, Scalar* products, const int64_t* offsets,
                  int64_t inputs, int64_t positions, int64_t dim, int threads) {
  multiply_values(left, stride, values, products, offsets, inputs, positions, dim, threads);
}

void dot_products_bfloat16(const Scalar* left, int64_t stride, const BFloat16* values, Scalar* products,
                           const int64_t* offsets, int64_t inputs, int64_t positions, int64_t dim, int threads) {
  multiply_values(left, stride, values, products, offsets, inputs, positions, dim, threads);
}

void softmax_gradients(Scalar* logits, const Scalar* bias, const int64_t* targets, const Scalar* token_weights,
                       const Scalar* target_mass, Scalar* chosen, Scalar* normaliser, Scalar* grad_bias, int64_t tokens,
                       int64_t width, int threads) {
  softmax_rows(logits, bias, targets, token_weights, target_mass, chosen, normaliser, grad_bias, tokens, width,
               threads);
}

void softmax_gradients_bfloat16(BFloat16* logits, const Scalar* bias, const int64_t* targets,
                                const Scalar* token_weights, const Scalar* target_mass, Scalar* chosen,
                                Scalar* normaliser, Scalar* grad_bias, int64_t tokens, int64_t width, int threads) {
  softmax_rows(logits, bias, targets, token_weights, target_mass, chosen, normaliser, grad_bias, tokens, width,
               threads);
}

// e_rn = Σ_a v_a / (1 + left_ra right_na)
void additive_scores(const Scalar* left, const Scalar* right, const Scalar* v, Scalar* scores, const int64_t* offsets,
                     int64_t inputs, int64_t positions, int64_t dim, int threads) {
  PARALLEL
  for (int64_t input = 0; input < inputs; ++input) {
    for (int64_t row = offsets[input]; row < offsets[input + 1]; ++row) {
      const Scalar* one = left + row * dim;
      for (int64_t position = 0; position < positions; ++position) {
        const Scalar* other = right + (input * positions + position) * dim;
        Scalar sum = 0;
        for (int64_t a = 0; a < dim; ++a) sum += v[a] / (1 + one[a] * other[a]);
        scores[row * positions + position] = sum;
      }
    }
  }
}

// With σ = 1 / (1 + left_ra right_na) and the gradient g_rn of the scores:
//   grad_rows_ra = Σ_n g_rn σ (1 − σ)      sigma_sums_ra = Σ_n g_rn σ      grad_positions_na += Σ_r g_rn σ (1 − σ)
void additive_gradients(const Scalar* left, const Scalar* right, const Scalar* gradient, Scalar* grad_rows,
                        Scalar* sigma_sums, Scalar* grad_positions, const int64_t* offsets, int64_t inputs,
                        int64_t positions, int64_t dim, int threads) {
  PARALLEL
  for (int64_t input = 0; input < inputs; ++input) {
    for (int64_t i = offsets[input] * dim; i < offsets[input + 1] * dim; ++i) grad_rows[i] = sigma_sums[i] = 0;
    for (int64_t position = 0; position < positions; ++position) {
      const Scalar* __restrict__ other = right + (input * positions + position) * dim;
      Scalar* __restrict__ grad_position = grad_positions + (input * positions + position) * dim;
      for (int64_t row = offsets[input]; row < offsets[input + 1]; ++row) {
        const Scalar share = gradient[row * positions + position];
        if (share == 0) continue;  // a masked position
        const Scalar* __restrict__ one = left + row * dim;
        Scalar* __restrict__ grad_row = grad_rows + row * dim;
        Scalar* __restrict__ sigma_row = sigma_sums + row * dim;
        for (int64_t a = 0; a < dim; ++a) {
          const Scalar sigma = 1 / (1 + one[a] * other[a]);
          const Scalar upstream = share * sigma;
          const Scalar derivative = upstream - upstream * sigma;
          grad_row[a] += derivative;
          sigma_row[a] += upstream;
          grad_position[a] += derivative;
        }
      }
    }
  }
}

}  // extern "C"
