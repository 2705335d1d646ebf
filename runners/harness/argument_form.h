// An argument as the judge knows it, in the form that the programs which call it are given.
// Threads: a pure function. Errors: none.
#ifndef KEV_RUNNERS_HARNESS_ARGUMENT_FORM_H_
#define KEV_RUNNERS_HARNESS_ARGUMENT_FORM_H_

#include "runners/harness/call.h"
#include "runners/harness/protocol.h"

namespace kev {

inline harness::ArgumentForm FormOf(const CallArgument& argument) {
  harness::ArgumentForm form;
  form.bytes = argument.bytes();
  form.read = argument.input() ? 1 : 0;
  form.written = argument.output() ? 1 : 0;
  switch (argument.kind) {
    case CallArgument::Kind::kScalar:
      form.kind = harness::ArgumentKind::kScalar;
      form.as = argument.as;
      form.value = argument.bits;
      break;
    case CallArgument::Kind::kConstant:
      form.kind = harness::ArgumentKind::kShared;
      break;
    case CallArgument::Kind::kWorkspace:
      form.kind = harness::ArgumentKind::kWorkspace;
      break;
    default:
      break;
  }
  return form;
}

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_ARGUMENT_FORM_H_
