// What PyTorch does as a row of operations on blocks of numbers, each written to the cache and read back, as one loop
// each. See loops.py, which compiles this file and says what the arguments are. All tensors are contiguous.

#include <cstdint>

namespace {

// e_rn = Σ_a v_a / (1 + left_ra right_na)
template <typename T>
void additive_scores(const T* left, const T* right, const T* v, T* scores, int64_t inputs, int64_t rows,
                     int64_t positions, int64_t dim, int threads) {
#pragma omp parallel for collapse(2) num_threads(threads) if (threads > 1)
  for (int64_t input = 0; input < inputs; ++input) {
    for (int64_t row = 0; row < rows; ++row) {
      const T* one = left + (input * rows + row) * dim;
      for (int64_t position = 0; position < positions; ++position) {
        const T* other = right + (input * positions + position) * dim;
        T sum = 0;
        for (int64_t a = 0; a < dim; ++a) sum += v[a] / (1 + one[a] * other[a]);
        scores[(input * rows + row) * positions + position] = sum;
      }
    }
  }
}

// With σ = 1 / (1 + left_ra right_na) and the gradient g_rn of the scores:
//   to_rows_ra = Σ_n g_rn σ (1 − σ)        paid_ra = Σ_n g_rn σ        to_positions_na += Σ_r g_rn σ (1 − σ)
template <typename T>
void additive_gradients(const T* left, const T* right, const T* gradient, T* to_rows, T* paid, T* to_positions,
                        int64_t inputs, int64_t rows, int64_t positions, int64_t dim, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (int64_t input = 0; input < inputs; ++input) {
    for (int64_t i = input * rows * dim; i < (input + 1) * rows * dim; ++i) to_rows[i] = paid[i] = 0;
    for (int64_t position = 0; position < positions; ++position) {
      const T* __restrict__ other = right + (input * positions + position) * dim;
      T* __restrict__ to_position = to_positions + (input * positions + position) * dim;
      for (int64_t row = 0; row < rows; ++row) {
        const T share = gradient[(input * rows + row) * positions + position];
        if (share == 0) continue;  // a masked position, or no row stands here
        const T* __restrict__ one = left + (input * rows + row) * dim;
        T* __restrict__ to_row = to_rows + (input * rows + row) * dim;
        T* __restrict__ paid_row = paid + (input * rows + row) * dim;
        for (int64_t a = 0; a < dim; ++a) {
          const T sigmoid = 1 / (1 + one[a] * other[a]);
          const T pushed = share * sigmoid;
          const T slope = pushed - pushed * sigmoid;
          to_row[a] += slope;
          paid_row[a] += pushed;
          to_position[a] += slope;
        }
      }
    }
  }
}

}  // namespace

#define LOOPS(T)                                                                                                      \
  void additive_scores_##T(const T* left, const T* right, const T* v, T* scores, int64_t inputs, int64_t rows,        \
                           int64_t positions, int64_t dim, int threads) {                                             \
    additive_scores(left, right, v, scores, inputs, rows, positions, dim, threads);                                   \
  }                                                                                                                   \
  void additive_gradients_##T(const T* left, const T* right, const T* gradient, T* to_rows, T* paid, T* to_positions, \
                              int64_t inputs, int64_t rows, int64_t positions, int64_t dim, int threads) {            \
    additive_gradients(left, right, gradient, to_rows, paid, to_positions, inputs, rows, positions, dim, threads);    \
  }

extern "C" {
LOOPS(float)
LOOPS(double)
}
