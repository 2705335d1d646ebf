// VisibleOutput: what goes to a stream is shown as Visible() has it, as long as this lives. For
// terminals and logs: messages of workers, names and reasons of peers come from elsewhere.
//
// Threads: as the stream. Errors: those of the stream.
#ifndef KEV_TOOLS_LIVE_VISIBLE_OUTPUT_H_
#define KEV_TOOLS_LIVE_VISIBLE_OUTPUT_H_

#include <memory>
#include <ostream>
#include <streambuf>

namespace kev {

class VisibleOutput {
 public:
  explicit VisibleOutput(std::ostream& stream);
  ~VisibleOutput();
  VisibleOutput(const VisibleOutput&) = delete;
  VisibleOutput& operator=(const VisibleOutput&) = delete;

 private:
  std::ostream& stream_;
  std::streambuf* before_;
  std::unique_ptr<std::streambuf> filter_;
};

// Goes through as it is, on any stream: back to the line's begin, and what stood there is gone.
std::ostream& EraseLine(std::ostream& stream);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_VISIBLE_OUTPUT_H_
