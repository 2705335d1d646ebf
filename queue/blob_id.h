// SHA-256 of a blob, as 64 lower-case hexadecimal digits: the name of every blob.
#ifndef KEV_QUEUE_BLOB_ID_H_
#define KEV_QUEUE_BLOB_ID_H_

#include <string>
#include <string_view>

#include "engine/core/job.h"

namespace kev {

std::string Sha256Hex(std::string_view bytes);
BlobRef RefOf(std::string_view bytes);

}  // namespace kev

#endif  // KEV_QUEUE_BLOB_ID_H_
