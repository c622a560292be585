// The elementwise part of recurrent steps and of their gradients. See compiled.py, which compiles this file.
//
// Tensors are [rows, ...] and contiguous; rows that are a part of longer ones come with their stride.

#include "scalars.h"

extern "C" {

// i, f, o = σ(·) and g = tanh(·) of inputs + recurrent, written over the inputs; c' = f c + i g, h' = o tanh(c')
void lstm_forward(Scalar* gates, const Scalar* recurrent, int64_t stride, const Scalar* c, Scalar* c_after,
                  Scalar* h_after, int64_t rows, int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    Scalar* __restrict__ i = gates + row * 4 * hidden, * __restrict__ f = i + hidden;
    Scalar* __restrict__ g = f + hidden, * __restrict__ o = g + hidden;
    const Scalar* __restrict__ state = recurrent + row * stride;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      i[a] = sigmoid(i[a] + state[a]);
      f[a] = sigmoid(f[a] + state[hidden + a]);
      g[a] = tanh_of(g[a] + state[2 * hidden + a]);
      o[a] = sigmoid(o[a] + state[3 * hidden + a]);
      const Scalar cell = f[a] * c[row * hidden + a] + i[a] * g[a];
      c_after[row * hidden + a] = cell;
      h_after[row * hidden + a] = o[a] * tanh_of(cell);
    }
  }
}

// With t = tanh(c') and the gradient e = grad_c + grad_h o (1 − t²) of c':
//   i (1 − i) g e        f (1 − f) c e        (1 − g²) i e        o (1 − o) t grad_h        and f e, written over
//   grad_c
void lstm_backward(const Scalar* gates, const Scalar* c, const Scalar* c_after, const Scalar* grad_h, Scalar* grad_c,
                   Scalar* grad_gates, int64_t stride, int64_t rows, int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    const Scalar* __restrict__ i = gates + row * 4 * hidden, * __restrict__ f = i + hidden;
    const Scalar* __restrict__ g = f + hidden, * __restrict__ o = g + hidden;
    Scalar* __restrict__ grad = grad_gates + row * stride;
    Scalar* __restrict__ before = grad_c + row * hidden;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      const Scalar tanh_c = tanh_of(c_after[row * hidden + a]), upstream = grad_h[row * hidden + a];
      const Scalar grad_cell = before[a] + upstream * o[a] * (1 - tanh_c * tanh_c);
      grad[a] = i[a] * (1 - i[a]) * g[a] * grad_cell;
      grad[hidden + a] = f[a] * (1 - f[a]) * c[row * hidden + a] * grad_cell;
      grad[2 * hidden + a] = (1 - g[a] * g[a]) * i[a] * grad_cell;
      grad[3 * hidden + a] = o[a] * (1 - o[a]) * tanh_c * upstream;
      before[a] = f[a] * grad_cell;
    }
  }
}

// r, z = σ(·) of inputs + recurrent and n = tanh(inputs + r recurrent), written over the inputs, and recurrent_n behind
// them; h' = (1 − z) n + z h
void gru_forward(Scalar* saved, const Scalar* recurrent, int64_t stride, const Scalar* h, Scalar* h_after, int64_t rows,
                 int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    Scalar* __restrict__ r = saved + row * 4 * hidden, * __restrict__ z = r + hidden;
    Scalar* __restrict__ n = z + hidden, * __restrict__ recurrent_n = n + hidden;
    const Scalar* __restrict__ state = recurrent + row * stride;
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

// With e = grad_h (1 − z) (1 − n²), the gradient of what n is the tanh of:
//   r (1 − r) e recurrent_n        z (1 − z) grad_h (h − n)        e for the inputs, e r for the state        and
//   grad_h z
void gru_backward(const Scalar* saved, const Scalar* h, const Scalar* grad_h, Scalar* grad_inputs,
                  Scalar* grad_recurrent, int64_t stride, Scalar* before, int64_t rows, int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    const Scalar* __restrict__ row_saved = saved + row * 4 * hidden;
    Scalar* __restrict__ own = grad_inputs + row * 3 * hidden;
    Scalar* __restrict__ state = grad_recurrent + row * stride;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      const Scalar r = row_saved[a], z = row_saved[hidden + a], n = row_saved[2 * hidden + a],
                   upstream = grad_h[row * hidden + a];
      const Scalar grad_n = upstream * (1 - z) * (1 - n * n);
      own[a] = state[a] = r * (1 - r) * grad_n * row_saved[3 * hidden + a];
      own[hidden + a] = state[hidden + a] = z * (1 - z) * upstream * (h[row * hidden + a] - n);
      own[2 * hidden + a] = grad_n;
      state[2 * hidden + a] = grad_n * r;
      before[row * hidden + a] = upstream * z;
    }
  }
}

// z, r = σ(·) of inputs + recurrent, written over the inputs, which hold z, r and s̃; reset = r s
void gated_gates(Scalar* gates, const Scalar* recurrent, int64_t stride, const Scalar* s, Scalar* reset, int64_t rows,
                 int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    Scalar* __restrict__ z = gates + row * 3 * hidden, * __restrict__ r = z + hidden;
    const Scalar* __restrict__ state = recurrent + row * stride;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      z[a] = sigmoid(z[a] + state[a]);
      r[a] = sigmoid(r[a] + state[hidden + a]);
      reset[row * hidden + a] = r[a] * s[row * hidden + a];
    }
  }
}

// s̃ = tanh(inputs + product), written over the inputs; s' = s + z (s̃ − s)
void gated_forward(Scalar* gates, const Scalar* product, const Scalar* s, Scalar* s_after, int64_t rows, int64_t hidden,
                   int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    const Scalar* __restrict__ z = gates + row * 3 * hidden;
    Scalar* __restrict__ candidate = gates + row * 3 * hidden + 2 * hidden;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      const Scalar before = s[row * hidden + a];
      candidate[a] = tanh_of(candidate[a] + product[row * hidden + a]);
      s_after[row * hidden + a] = before + z[a] * (candidate[a] - before);
    }
  }
}

// The gradients z (1 − z) grad_s (s̃ − s) of z and grad_s z (1 − s̃²) of s̃; that of s̃ is written twice
void gated_backward(const Scalar* gates, const Scalar* s, const Scalar* grad_s, Scalar* grad_gates,
                    Scalar* grad_candidate, int64_t rows, int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    const Scalar* __restrict__ z = gates + row * 3 * hidden;
    const Scalar* __restrict__ candidate = z + 2 * hidden;
    Scalar* __restrict__ grad = grad_gates + row * 3 * hidden;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      const Scalar upstream = grad_s[row * hidden + a];
      grad[a] = z[a] * (1 - z[a]) * upstream * (candidate[a] - s[row * hidden + a]);
      grad[2 * hidden + a] = grad_candidate[row * hidden + a] = upstream * z[a] * (1 - candidate[a] * candidate[a]);
    }
  }
}

// With the gradient of reset, which comes back through U: the gradient r (1 − r) s grad_reset of r, and that of s
// before the step, grad_s (1 − z) + r grad_reset
void gated_reset_backward(const Scalar* gates, const Scalar* s, const Scalar* grad_s, const Scalar* grad_reset,
                          Scalar* grad_gates, Scalar* grad_before, int64_t rows, int64_t hidden, int threads) {
  PARALLEL
  for (int64_t row = 0; row < rows; ++row) {
    const Scalar* __restrict__ z = gates + row * 3 * hidden, * __restrict__ r = z + hidden;
    Scalar* __restrict__ grad_r = grad_gates + row * 3 * hidden + hidden;
    SIDE_BY_SIDE
    for (int64_t a = 0; a < hidden; ++a) {
      const int64_t i = row * hidden + a;
      grad_r[a] = r[a] * (1 - r[a]) * s[i] * grad_reset[i];
      grad_before[i] = grad_s[i] * (1 - z[a]) + r[a] * grad_reset[i];
    }
  }
}

}  // extern "C"
