#include "tools/live/visible_output.h"

#include <string>

#include "engine/core/visible_text.h"

namespace kev {
namespace {

class Filter : public std::streambuf {
 public:
  explicit Filter(std::streambuf* inner) : inner_(inner) {}
  std::streambuf* inner() { return inner_; }
  // What may be the beginning of a character waits for its end.
  void Finish() {
    Put(Visible(begun_));
    begun_.clear();
  }

 protected:
  int_type overflow(int_type c) override {
    if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
    const char one = traits_type::to_char_type(c);
    return xsputn(&one, 1) == 1 ? c : traits_type::eof();
  }
  std::streamsize xsputn(const char* bytes, std::streamsize n) override {
    begun_.append(bytes, static_cast<size_t>(n));
    const size_t whole = begun_.size() - Unfinished();
    const bool good = Put(Visible(std::string_view(begun_).substr(0, whole)));
    begun_.erase(0, whole);
    return good ? n : 0;
  }
  int sync() override { return inner_->pubsync(); }

 private:
  bool Put(const std::string& text) {
    return inner_->sputn(text.data(), static_cast<std::streamsize>(text.size())) ==
           static_cast<std::streamsize>(text.size());
  }
  // Bytes at the end that a character may begin with, which more bytes would make whole.
  size_t Unfinished() const {
    for (size_t n = 1; n <= 3 && n <= begun_.size(); ++n) {
      const auto c = static_cast<unsigned char>(begun_[begun_.size() - n]);
      if ((c & 0xc0) == 0x80) continue;
      const size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
      return length > n ? n : 0;
    }
    return 0;
  }

  std::streambuf* inner_;
  std::string begun_;
};

}  // namespace

VisibleOutput::VisibleOutput(std::ostream& stream)
    : stream_(stream), before_(stream.rdbuf()), filter_(std::make_unique<Filter>(before_)) {
  stream_.rdbuf(filter_.get());
}

VisibleOutput::~VisibleOutput() {
  static_cast<Filter*>(filter_.get())->Finish();
  stream_.flush();
  stream_.rdbuf(before_);
}

std::ostream& EraseLine(std::ostream& stream) {
  auto* filter = dynamic_cast<Filter*>(stream.rdbuf());
  std::streambuf* to = filter == nullptr ? stream.rdbuf() : filter->inner();
  to->sputn("\r\033[K", 4);
  return stream;
}

}  // namespace kev
