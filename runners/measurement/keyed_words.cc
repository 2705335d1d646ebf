#include "runners/measurement/keyed_words.h"

#include <openssl/evp.h>
#include <sys/random.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace kev {
namespace {

constexpr uint64_t kBlockBytes = 16;
using Key = std::array<unsigned char, 32>;

struct Free {
  void operator()(EVP_CIPHER_CTX* cipher) const { EVP_CIPHER_CTX_free(cipher); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, Free>;

// Words that can be foreseen would be worse than none.
void Require(bool done) {
  if (done) return;
  std::fputs("kevolve: libcrypto cannot encrypt with AES-256 in counter mode\n", stderr);
  std::abort();
}

const Key& KeyOfProcess() {
  static const Key key = [] {
    Key drawn;
    while (getrandom(drawn.data(), drawn.size(), 0) != static_cast<ssize_t>(drawn.size())) {
    }
    return drawn;
  }();
  return key;
}

// Set up with the key once per thread, which takes longer than a block of words.
EVP_CIPHER_CTX* CipherOfThread() {
  thread_local const Cipher cipher = [] {
    Cipher made(EVP_CIPHER_CTX_new());
    Require(made != nullptr && EVP_EncryptInit_ex(made.get(), EVP_aes_256_ctr(), nullptr,
                                                  KeyOfProcess().data(), nullptr) == 1);
    return made;
  }();
  return cipher.get();
}

}  // namespace

// The counter's 16 bytes, highest first: the draw, the stream, and 6 that count blocks.
void KeyedWords::Refill() {
  std::array<unsigned char, kBlockBytes> counter;
  const auto put = [&](size_t at, size_t bytes, uint64_t value) {
    for (size_t i = 0; i < bytes; ++i)
      counter[at + i] = static_cast<unsigned char>(value >> (8 * (bytes - 1 - i)));
  };
  put(0, 8, draw_);
  put(8, 2, stream_);
  put(10, 6, blocks_);
  blocks_ += sizeof(words_) / kBlockBytes;
  EVP_CIPHER_CTX* const cipher = CipherOfThread();
  words_.fill(0);
  auto* const bytes = reinterpret_cast<unsigned char*>(words_.data());
  int written = 0;
  Require(EVP_EncryptInit_ex(cipher, nullptr, nullptr, nullptr, counter.data()) == 1 &&
          EVP_EncryptUpdate(cipher, bytes, &written, bytes, sizeof(words_)) == 1 &&
          written == static_cast<int>(sizeof(words_)));
  next_ = 0;
}

}  // namespace kev
