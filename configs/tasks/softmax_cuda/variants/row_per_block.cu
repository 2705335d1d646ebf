// A block for each row: shuffles within warps, then across them. Each thread keeps the first KEEP of
// its elements in registers; what a row has beyond them is read again.
// launch: { grid: [rows], block: [THREADS] }
#include <cstdint>

#ifndef THREADS
#define THREADS 256
#endif
#ifndef KEEP
#define KEEP 4
#endif

template <class Combine>
__device__ float OfBlock(float value, float neutral, Combine combine) {
  __shared__ float warps[32];
  for (int step = 16; step > 0; step /= 2)
    value = combine(value, __shfl_xor_sync(~0u, value, step));
  __syncthreads();
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  value = threadIdx.x % 32 < THREADS / 32 ? warps[threadIdx.x % 32] : neutral;
  for (int step = 16; step > 0; step /= 2)
    value = combine(value, __shfl_xor_sync(~0u, value, step));
  return value;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    softmax(const float* x, float* y, int64_t rows, int64_t cols) {
  const float* in = x + blockIdx.x * cols;
  float* out = y + blockIdx.x * cols;
  const int n = static_cast<int>(cols);
  float kept[KEEP + 1];
  float max = -INFINITY;
#pragma unroll
  for (int i = 0; i < KEEP; ++i) {
    const int c = threadIdx.x + i * THREADS;
    kept[i] = c < n ? in[c] : -INFINITY;
    max = fmaxf(max, kept[i]);
  }
  for (int c = threadIdx.x + KEEP * THREADS; c < n; c += THREADS) max = fmaxf(max, in[c]);
  max = OfBlock(max, -INFINITY, [](float a, float b) { return fmaxf(a, b); });
  float sum = 0;
#pragma unroll
  for (int i = 0; i < KEEP; ++i) sum += kept[i] = expf(kept[i] - max);
  for (int c = threadIdx.x + KEEP * THREADS; c < n; c += THREADS) sum += expf(in[c] - max);
  sum = OfBlock(sum, 0, [](float a, float b) { return a + b; });
  const float scale = 1 / sum;
#pragma unroll
  for (int i = 0; i < KEEP; ++i) {
    const int c = threadIdx.x + i * THREADS;
    if (c < n) out[c] = kept[i] * scale;
  }
  for (int c = threadIdx.x + KEEP * THREADS; c < n; c += THREADS)
    out[c] = expf(in[c] - max) * scale;
}
