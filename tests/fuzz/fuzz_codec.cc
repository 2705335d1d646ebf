// Bytes that came from outside: nothing that decodes them may crash, and what is decoded is encoded
// and decoded again to the same bytes.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "queue/access.h"
#include "queue/codec.h"
#include "queue/wire.h"
#include "queue/wire_bodies.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kev;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)DecodeHeader(bytes);
  (void)DecodeGroup(bytes, "");
  (void)ParseAccess(std::string(bytes), "file");
  const Result<Value> value = Decode(bytes);
  if (!value) return 0;
  const std::string canonical = EncodeCanonical(*value);
  const Result<Value> again = Decode(canonical);
  if (!again || EncodeCanonical(*again) != canonical) std::abort();
  (void)ToJson(*value);
  // What passed the checks is read in place as well, and both ways say the same.
  const Result<PackedView> view = CheckPacked(bytes);
  if (!view || EncodeCanonical(view->ToValue()) != canonical) std::abort();
  (void)JobFrom(*view);
  (void)JobResultFrom(*view);
  (void)BatchFrom(*value);
  std::string instance;
  if (const Result<Hello> hello = HelloFrom(*value, &instance)) (void)EncodeHello(*hello, instance);
  if (const Result<WelcomeBody> welcome = WelcomeFrom(*value)) (void)EncodeWelcome(*welcome);
  (void)RejectFrom(*value);
  (void)CreditFrom(*value);
  (void)CallFrom(*value);
  if (const Result<ClientReply> reply = ReplyFrom(*value)) (void)EncodeReply(*reply);
  (void)BlobGetFrom(*value);
  (void)HistoryGetFrom(*value);
  return 0;
}
