// Source of the samples beside it (nvcc 13.0):
//   nvcc -arch=sm_80 -cubin -o reverse_sm_80.cubin reverse.cu
//   nvcc -arch=sm_90 -cubin -Xptxas -v -maxrregcount=32 -o reverse_sm_90.cubin reverse.cu 2> reverse_sm_90.ptxas
extern "C" __global__ void __launch_bounds__(256) reverse(const float* x, float* y, int n) {
  __shared__ float tile[256];
  const int i = blockIdx.x * 256 + threadIdx.x;
  tile[threadIdx.x] = i < n ? x[i] : 0;
  __syncthreads();
  if (i < n) y[i] = tile[255 - threadIdx.x] * 2;
}

extern "C" __global__ void spill(const float* x, float* y) {
  float v[48];
#pragma unroll
  for (int i = 0; i < 48; i++) v[i] = x[i * 32 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 48; i++) y[i * 32 + threadIdx.x] = v[47 - i] * v[i] + v[(i * 7) % 48];
}
