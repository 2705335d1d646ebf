// Softmax as one writes it first: a block for each row, three passes over it, trees in shared
// memory.
// launch: { grid: [rows], block: [256] }
#include <cstdint>

constexpr int kThreads = 256;

template <class Combine>
__device__ float OfBlock(float value, Combine combine) {
  __shared__ float all[kThreads];
  __syncthreads();
  all[threadIdx.x] = value;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) all[threadIdx.x] = combine(all[threadIdx.x], all[threadIdx.x + half]);
  }
  __syncthreads();
  return all[0];
}

extern "C" __global__ void softmax(const float* x, float* y, int64_t rows, int64_t cols) {
  const float* in = x + blockIdx.x * cols;
  float* out = y + blockIdx.x * cols;
  float max = -INFINITY;
  for (int64_t c = threadIdx.x; c < cols; c += kThreads) max = fmaxf(max, in[c]);
  max = OfBlock(max, [](float a, float b) { return fmaxf(a, b); });
  float sum = 0;
  for (int64_t c = threadIdx.x; c < cols; c += kThreads) sum += expf(in[c] - max);
  sum = OfBlock(sum, [](float a, float b) { return a + b; });
  const float scale = 1 / sum;
  for (int64_t c = threadIdx.x; c < cols; c += kThreads) out[c] = expf(in[c] - max) * scale;
}
