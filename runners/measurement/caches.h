// The caches of this machine's CPU, and how to empty them of given bytes.
#ifndef KEV_RUNNERS_MEASUREMENT_CACHES_H_
#define KEV_RUNNERS_MEASUREMENT_CACHES_H_

#include <cstddef>
#include <cstdint>

namespace kev {

// Bytes of the cache that one core has for itself (level 2); 1 MiB when the system does not say.
uint64_t PrivateCacheBytes();

// Reads a byte of every line: what is not in this core's caches comes into them.
void ReadIntoCaches(const void* from, size_t bytes);

// Writes the bytes back and drops them from the caches of all cores. Shared memory of a stopped
// process may be flushed through another mapping. False where the CPU has no instruction for it.
bool FlushFromCaches(const void* from, size_t bytes);

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_CACHES_H_
