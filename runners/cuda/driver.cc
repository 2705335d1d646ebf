#include "runners/cuda/driver.h"

#include <dlfcn.h>

namespace kev::cuda {
namespace {

template <class F>
bool Find(void* library, const char* name, F* function) {
  *function = reinterpret_cast<F>(dlsym(library, name));
  return *function != nullptr;
}

}  // namespace

std::string LoadDriver(const char* library, Driver* driver) {
  void* loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) return std::string("cannot load the GPU's driver: ") + dlerror();
  std::string missing;
  const auto find = [&](const char* name, auto* function) {
    if (!Find(loaded, name, function)) missing = name;
  };
  find("cuInit", &driver->Init);
  find("cuDeviceGetCount", &driver->DeviceGetCount);
  find("cuDeviceGet", &driver->DeviceGet);
  find("cuDevicePrimaryCtxSetFlags_v2", &driver->PrimarySetFlags);
  find("cuDevicePrimaryCtxRetain", &driver->PrimaryRetain);
  find("cuCtxSetCurrent", &driver->SetCurrent);
  find("cuMemAlloc_v2", &driver->MemAlloc);
  find("cuMemsetD8_v2", &driver->MemSet);
  find("cuMemsetD8Async", &driver->MemSetAsync);
  find("cuMemcpyHtoD_v2", &driver->CopyToDevice);
  find("cuMemcpyDtoH_v2", &driver->CopyToHost);
  find("cuMemcpyDtoDAsync_v2", &driver->CopyOnDevice);
  find("cuMemHostRegister_v2", &driver->HostRegister);
  find("cuStreamCreate", &driver->StreamCreate);
  find("cuStreamSynchronize", &driver->StreamSynchronize);
  find("cuCtxSynchronize", &driver->ContextSynchronize);
  find("cuModuleLoadData", &driver->ModuleLoadData);
  find("cuModuleGetFunction", &driver->ModuleGetFunction);
  find("cuFuncSetAttribute", &driver->SetFunctionAttribute);
  find("cuLaunchKernel", &driver->Launch);
  find("cuGetErrorName", &driver->GetErrorName);
  find("cuGetErrorString", &driver->GetErrorString);
  if (missing.empty()) return "";
  return std::string(library) + " has no " + missing + "; install a driver for CUDA 11 or later";
}

std::string Describe(const Driver& driver, Status status) {
  const char *name = nullptr, *text = nullptr;
  if (driver.GetErrorName(status, &name) != kSuccess || name == nullptr)
    return "CUDA error " + std::to_string(status);
  driver.GetErrorString(status, &text);
  return std::string(name) + " (" + (text == nullptr ? "" : text) + ")";
}

}  // namespace kev::cuda
