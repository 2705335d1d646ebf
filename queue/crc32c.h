// CRC-32C (Castagnoli, polynomial 0x1EDC6F41, reflected), as iSCSI (RFC 3720) and most storage
// formats use it.
#ifndef KEV_QUEUE_CRC32C_H_
#define KEV_QUEUE_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace kev {

// CRC of `bytes` after those whose CRC is `before` (0: there are none).
uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);

}  // namespace kev

#endif  // KEV_QUEUE_CRC32C_H_
