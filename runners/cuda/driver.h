// The part of NVIDIA's driver API that a runner process uses, loaded where it is there. Names and
// signatures are those of the CUDA driver API reference.
//
// Threads: as the driver says. Errors: numbers; 0 is success.
#ifndef KEV_RUNNERS_CUDA_DRIVER_H_
#define KEV_RUNNERS_CUDA_DRIVER_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace kev::cuda {

using Status = int;
using Device = int;
using DevicePointer = uint64_t;  // CUdeviceptr
struct OpaqueContext;
struct OpaqueModule;
struct OpaqueFunction;
struct OpaqueStream;
using Context = OpaqueContext*;
using Module = OpaqueModule*;
using Function = OpaqueFunction*;
using Stream = OpaqueStream*;

inline constexpr Status kSuccess = 0;
inline constexpr unsigned kSpinWhileWaiting = 1;         // CU_CTX_SCHED_SPIN
inline constexpr unsigned kOwnStream = 1;                // CU_STREAM_NON_BLOCKING
inline constexpr int kMostDynamicSharedBytes = 8;        // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_…
inline constexpr unsigned kPlainSharedBytes = 48 << 10;  // beyond this it must be asked for

struct Driver {
  Status (*Init)(unsigned flags);
  Status (*DeviceGetCount)(int* count);
  Status (*DeviceGet)(Device* device, int ordinal);
  Status (*PrimarySetFlags)(Device device, unsigned flags);
  Status (*PrimaryRetain)(Context* context, Device device);
  Status (*SetCurrent)(Context context);
  Status (*MemAlloc)(DevicePointer* pointer, size_t bytes);
  Status (*MemSet)(DevicePointer to, unsigned char byte, size_t bytes);
  Status (*MemSetAsync)(DevicePointer to, unsigned char byte, size_t bytes, Stream stream);
  Status (*CopyToDevice)(DevicePointer to, const void* from, size_t bytes);
  Status (*CopyToHost)(void* to, DevicePointer from, size_t bytes);
  Status (*CopyOnDevice)(DevicePointer to, DevicePointer from, size_t bytes, Stream stream);
  Status (*HostRegister)(void* memory, size_t bytes, unsigned flags);
  Status (*StreamCreate)(Stream* stream, unsigned flags);
  Status (*StreamSynchronize)(Stream stream);
  Status (*ContextSynchronize)();
  Status (*ModuleLoadData)(Module* module, const void* image);
  Status (*ModuleGetFunction)(Function* function, Module module, const char* name);
  Status (*SetFunctionAttribute)(Function function, int attribute, int value);
  Status (*Launch)(Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                   Stream stream, void** parameters, void** extra);
  Status (*GetErrorName)(Status status, const char** name);
  Status (*GetErrorString)(Status status, const char** text);
};

// "" or why the driver cannot be used. `library`: a soname or a path.
std::string LoadDriver(const char* library, Driver* driver);
// "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)".
std::string Describe(const Driver& driver, Status status);

}  // namespace kev::cuda

#endif  // KEV_RUNNERS_CUDA_DRIVER_H_
