// Compute-bound kernel whose time is known up to one factor: WORK. y = x, after WORK * 10 steps per
// element that change nothing.
//
// Why the ratio of two of these is the ratio of their WORK: every step waits for the one before it
// (v = v * one + zero; the compiler and the processor know neither operand, and each element starts
// from the last one's end), so a step takes the latency of its arithmetic, whatever else the core
// could do beside it, and nothing else in the loop is on the chain. What does not scale is the
// function's own entry, one mispredicted loop end per element and the loads and stores: some 30
// cycles per element beside 28,000 of the chain, 0.1 % of 2 % where WORK differs by 2 %. It touches
// 64 bytes: no cache matters.
#include <stdint.h>

#ifndef WORK
#define WORK 714
#endif

void chain(const float* x, float* y, int64_t n) {
  float one = 1, zero = 0, v = 0;
  __asm__ volatile("" : "+x"(one), "+x"(zero));
  for (int64_t i = 0; i < n; i++) {
    v = v * zero + x[i];
    for (int64_t step = 0; step < WORK * 10; step++) {
      __asm__ volatile("" : "+x"(v));  // a step is neither merged with its neighbours nor left out
      v = v * one + zero;
    }
    y[i] = v;
  }
}
