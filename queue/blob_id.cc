#include "queue/blob_id.h"

#include <openssl/evp.h>

namespace kev {

namespace {

// Fetched once: EVP_sha256() is looked up again at every digest, which costs more than a small
// blob's digest.
const EVP_MD* Sha256() {
  static const EVP_MD* const fetched = [] {
    const EVP_MD* md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return md != nullptr ? md : EVP_sha256();
  }();
  return fetched;
}

}  // namespace

std::string Sha256Hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, Sha256(), nullptr);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex(2 * size, '0');
  for (unsigned int i = 0; i < size; ++i) {
    hex[2 * i] = kDigits[digest[i] >> 4];
    hex[2 * i + 1] = kDigits[digest[i] & 15];
  }
  return hex;
}

BlobRef RefOf(std::string_view bytes) { return {Sha256Hex(bytes), bytes.size()}; }

}  // namespace kev
