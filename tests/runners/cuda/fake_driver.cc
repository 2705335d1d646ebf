// A CUDA driver for tests: device memory is host memory of its own, a module is a shared library,
// and a kernel is void NAME(unsigned block, unsigned thread, void** parameters), called for each
// thread of each block, one after the other. As with the real one, what goes wrong in a kernel is
// told when it is waited for: a kernel that returns 1 has touched what it must not.
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kInvalidValue = 1, kInvalidImage = 200, kNotFound = 500, kIllegalAddress = 700;
constexpr unsigned kMostThreads = 1024;
// Pointers on the device are no host pointers.
constexpr unsigned long long kAway = 1ull << 60;

int g_sticky = 0;

char* Host(unsigned long long pointer) { return reinterpret_cast<char*>(pointer ^ kAway); }

}  // namespace

extern "C" {

using Kernel = int (*)(unsigned block, unsigned thread, void** parameters,
                       char* (*host)(unsigned long long));

int cuInit(unsigned) { return std::getenv("FAKE_NO_DEVICE") != nullptr ? 100 : 0; }
int cuDeviceGetCount(int* count) { return *count = 1, 0; }
int cuDeviceGet(int* device, int) { return *device = 0, 0; }
int cuDevicePrimaryCtxSetFlags_v2(int, unsigned) { return 0; }
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &g_sticky, 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuMemAlloc_v2(unsigned long long* pointer, size_t bytes) {
  *pointer = reinterpret_cast<unsigned long long>(std::malloc(bytes)) ^ kAway;
  return 0;
}
int cuMemsetD8_v2(unsigned long long to, unsigned char byte, size_t bytes) {
  std::memset(Host(to), byte, bytes);
  return 0;
}
int cuMemsetD8Async(unsigned long long to, unsigned char byte, size_t bytes, void*) {
  return cuMemsetD8_v2(to, byte, bytes);
}
int cuMemcpyHtoD_v2(unsigned long long to, const void* from, size_t bytes) {
  std::memcpy(Host(to), from, bytes);
  return g_sticky;
}
int cuMemcpyDtoH_v2(void* to, unsigned long long from, size_t bytes) {
  std::memcpy(to, Host(from), bytes);
  return g_sticky;
}
int cuMemcpyDtoDAsync_v2(unsigned long long to, unsigned long long from, size_t bytes, void*) {
  std::memmove(Host(to), Host(from), bytes);
  return g_sticky;
}
int cuMemHostRegister_v2(void*, size_t, unsigned) { return 0; }
int cuStreamCreate(void** stream, unsigned) { return *stream = &g_sticky, 0; }
int cuStreamSynchronize(void*) { return g_sticky; }
int cuCtxSynchronize() { return g_sticky; }
int cuModuleLoadData(void** module, const void* image) {
  if (std::memcmp(image, "\177ELF", 4) != 0) return kInvalidImage;
  // The image says its own length where an ELF file's section headers end.
  unsigned long long headers = 0;
  unsigned short size = 0, count = 0;
  std::memcpy(&headers, static_cast<const char*>(image) + 40, 8);
  std::memcpy(&size, static_cast<const char*>(image) + 58, 2);
  std::memcpy(&count, static_cast<const char*>(image) + 60, 2);
  const int file = memfd_create("module", 0);
  const size_t bytes = headers + size_t{size} * count;
  if (ftruncate(file, static_cast<off_t>(bytes)) != 0) return kInvalidImage;
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  std::memcpy(at, image, bytes);
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  *module = dlopen(path, RTLD_NOW);
  return *module == nullptr ? kInvalidImage : 0;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
  *function = dlsym(module, name);
  return *function == nullptr ? kNotFound : 0;
}
int cuFuncSetAttribute(void*, int, int value) { return value > 227 << 10 ? kInvalidValue : 0; }
int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, unsigned, void*, void** parameters, void**) {
  if (bx * by * bz > kMostThreads) return kInvalidValue;
  for (unsigned block = 0; block < gx * gy * gz; ++block) {
    for (unsigned thread = 0; thread < bx * by * bz; ++thread) {
      if (reinterpret_cast<Kernel>(function)(block, thread, parameters, Host) != 0)
        g_sticky = kIllegalAddress;
    }
  }
  return 0;
}
int cuGetErrorName(int status, const char** name) {
  *name = status == kIllegalAddress ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR_OTHER";
  return 0;
}
int cuGetErrorString(int, const char** text) { return *text = "says the fake driver", 0; }

}  // extern "C"
