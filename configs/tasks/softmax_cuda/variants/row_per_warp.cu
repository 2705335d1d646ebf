// A warp for each row, WARPS rows in a block: no barrier at all. Each lane keeps the first KEEP of its
// elements in registers; what a row has beyond them is read again.
// launch: { grid: [(rows + WARPS - 1) // WARPS], block: [32, WARPS] }
#include <cstdint>

#ifndef WARPS
#define WARPS 4
#endif
#ifndef KEEP
#define KEEP 8
#endif

template <class Combine>
__device__ float OfWarp(float value, Combine combine) {
  for (int step = 16; step > 0; step /= 2)
    value = combine(value, __shfl_xor_sync(~0u, value, step));
  return value;
}

extern "C" __global__ void __launch_bounds__(32 * WARPS)
    softmax(const float* x, float* y, int64_t rows, int64_t cols) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * WARPS + threadIdx.y;
  if (row >= rows) return;
  const float* in = x + row * cols;
  float* out = y + row * cols;
  const int n = static_cast<int>(cols);
  float kept[KEEP + 1];
  float max = -INFINITY;
#pragma unroll
  for (int i = 0; i < KEEP; ++i) {
    const int c = threadIdx.x + i * 32;
    kept[i] = c < n ? in[c] : -INFINITY;
    max = fmaxf(max, kept[i]);
  }
  for (int c = threadIdx.x + KEEP * 32; c < n; c += 32) max = fmaxf(max, in[c]);
  max = OfWarp(max, [](float a, float b) { return fmaxf(a, b); });
  float sum = 0;
#pragma unroll
  for (int i = 0; i < KEEP; ++i) sum += kept[i] = expf(kept[i] - max);
  for (int c = threadIdx.x + KEEP * 32; c < n; c += 32) sum += expf(in[c] - max);
  sum = OfWarp(sum, [](float a, float b) { return a + b; });
  const float scale = 1 / sum;
#pragma unroll
  for (int i = 0; i < KEEP; ++i) {
    const int c = threadIdx.x + i * 32;
    if (c < n) out[c] = kept[i] * scale;
  }
  for (int c = threadIdx.x + KEEP * 32; c < n; c += 32) out[c] = expf(in[c] - max) * scale;
}
