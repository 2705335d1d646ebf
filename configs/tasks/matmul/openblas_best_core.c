// C = A * B by OpenBLAS with the core type that this CPU's features allow. OpenBLAS chooses its
// kernels by CPU model, and takes the oldest ones on a model newer than itself; OPENBLAS_CORETYPE,
// read when the library is loaded, overrides that. So it is loaded here, after the variable is set,
// rather than linked; a process that has loaded it before has another core type, and is refused. A
// value set from outside is left alone.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef void Sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                   const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);

static Sgemm* sgemm;

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
  if (library != NULL) sgemm = (Sgemm*)dlsym(library, "cblas_sgemm");
  if (sgemm == NULL) {
    fprintf(stderr, "OpenBLAS cannot be loaded: %s; install the package libopenblas0\n", dlerror());
    abort();
  }
}

void matmul(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  sgemm(101, 111, 111, (int)m, (int)n, (int)k, 1.0f, a, (int)k, b, (int)n, 0.0f, c, (int)n);
}
