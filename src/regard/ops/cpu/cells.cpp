// What the steps of recurrent networks do number by number, as one loop each. See loops.py, which compiles this file.
//
// Tensors are [rows, ...] and contiguous. Of rows that are a part of longer ones a stride tells how far one is from the
// next.

#include "numbers.h"

extern "C" {

// i, f, o = σ(·) and g = tanh(·) of inputs + recurrent, written over the inputs; c' = f c + i g, h' = o tanh(c')
void lstm_forward(Number* gates, const Number* recurrent, int64_t stride, const Number* c, Number* c_after,
                  Number* h_after, int64_t rows, int64_t hidden, int threads) {
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
