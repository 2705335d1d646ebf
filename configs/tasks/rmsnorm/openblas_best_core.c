// RMS norm with the sum of squares by OpenBLAS (a dot product of the row with itself) and one pass
// that scales. OpenBLAS is taken with the core type that this CPU's features allow. OpenBLAS
// chooses its kernels by CPU model, and takes the oldest ones on a model newer than itself;
// OPENBLAS_CORETYPE, read when the library is loaded, overrides that. So it is loaded here, after
// the variable is set, rather than linked; a process that has loaded it before has another core
// type, and is refused. A value set from outside is left alone.
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef float Sdot(int n, const float* x, int step_x, const float* y, int step_y);

static Sdot* sdot;

__attribute__((constructor)) static void LoadOpenBlas(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512cd")) {
    setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
  } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    setenv("OPENBLAS_CORETYPE", "Haswell", 0);
  }
#endif
  if (dlopen("libopenblas.so.0", RTLD_NOW | RTLD_NOLOAD) != NULL) {
    fprintf(stderr,
            "OpenBLAS was loaded before, with a core type of its own choice; "
            "run this baseline in a process of its own\n");
    abort();
  }
  void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library != NULL) sdot = (Sdot*)dlsym(library, "cblas_sdot");
  if (sdot == NULL) {
    fprintf(stderr, "OpenBLAS cannot be loaded: %s; install the package libopenblas0\n", dlerror());
    abort();
  }
}

void rmsnorm(const float* x, const float* gamma, float* y, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; r++) {
    const float* in = x + r * cols;
    float* out = y + r * cols;
    const float squares = sdot((int)cols, in, 1, in, 1);
    const float scale = 1 / sqrtf(squares / (float)cols + 1e-6f);
    for (int64_t c = 0; c < cols; c++) out[c] = in[c] * scale * gamma[c];
  }
}
