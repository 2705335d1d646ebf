#include "runners/harness/runner_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "engine/core/random.h"
#include "runners/harness/lift_fd.h"
#include "runners/harness/second_clock.h"
#include "runners/sandbox/syscall_filter.h"

namespace kev {
namespace {

using harness::Command;
using harness::CommandKind;
using harness::OrderKind;
using harness::Reply;
using Clock = RunnerProcess::Clock;

constexpr auto kLook = std::chrono::milliseconds(1);  // how often death and limits are looked at
constexpr double kSpinNs = 25e6;         // after this the judge sleeps a little between looks
constexpr long kMostWaitNs = 1'000'000;  // of a patient judge, between looks
constexpr double kSleepShare = 512;  // of the time waited so far: what sleeping can add to a time

void CloseIfOpen(int* fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

std::string ReadUpTo(int fd, size_t limit) {
  std::string bytes(limit, '\0');
  size_t done = 0;
  while (done < limit) {
    const ssize_t n = pread(fd, bytes.data() + done, limit - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

double Nanoseconds(Clock::duration d) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(d).count());
}

const char* During(OrderKind kind) {
  switch (kind) {
    case OrderKind::kSetUp:
      return "in its set-up function";
    case OrderKind::kTearDown:
      return "in its tear-down function";
    default:
      return "when it was called";
  }
}

}  // namespace

RunnerProcess::~RunnerProcess() {
  Kill();
  if (page_ != nullptr) munmap(page_, page_bytes_);
  for (int* fd : {&control_, &listener_, &page_file_, &output_, &error_}) CloseIfOpen(fd);
}

// Both ends: the runner itself, whose name space may outlive what was launched by a moment, and
// what was launched, with its whole group.
void RunnerProcess::Kill() {
  watched_.Kill();
  if (launched_.pid > 0) {
    KillSandboxed(launched_);
    if (!reaped_) waitpid(launched_.pid, nullptr, 0);
    launched_ = Launched();
  }
  dead_ = true;
}

// Whether a message waits; an end that was closed is none.
bool RunnerProcess::HasSpoken() const {
  char byte = 0;
  return recv(control_, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) > 0;
}

// Takes a reply with what came along: who sent it, and the listener for forbidden calls.
bool RunnerProcess::Receive(Reply* reply) {
  iovec part = {reply, sizeof(*reply)};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof(space);
  const ssize_t got = recvmsg(control_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  pid_t sender = -1;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); got > 0 && header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    if (header->cmsg_type == SCM_CREDENTIALS) {
      ucred from = {};
      std::memcpy(&from, CMSG_DATA(header), sizeof(from));
      sender = from.pid;
    } else if (header->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
      fd = LiftFd(fd);
      if (listener_ < 0)
        listener_ = fd;
      else
        close(fd);
    }
  }
  if (!watched_.known() && sender > 0) watched_.Know(sender);
  return got == static_cast<ssize_t>(sizeof(*reply));
}

Outcome RunnerProcess::Exchange(Command* command, Clock::duration deadline, Reply* reply) {
  if (dead_) return {Outcome::Kind::kBroken, "the runner process has ended"};
  const char* during =
      command->kind == CommandKind::kLoad ? "while it was loaded" : "when it was started";
  const Clock::time_point end = Clock::now() + deadline;
  command->nonce = nonce_ = Mix64(nonce_);
  if (frozen_) Thaw();
  if (send(control_, command, sizeof(*command), MSG_NOSIGNAL) < 0) return Ended(during);
  for (;;) {
    if (Clock::now() >= end) return TimedOut(deadline);
    pollfd waits[3] = {{control_, POLLIN, 0}, {Lifeline(), POLLIN, 0}, {listener_, POLLIN, 0}};
    const int ready = poll(waits, 3, 5);
    if (ready < 0 && errno != EINTR)
      return {Outcome::Kind::kBroken, std::string("poll: ") + std::strerror(errno)};
    if (ready > 0 && HasSpoken()) {
      if (Receive(reply) && reply->nonce == command->nonce) return {};
      Kill();
      return Cheated("wrote a reply of its own to the judge");
    }
    if (ready >= 0) {
      if (Outcome bad = LookAround(during); !bad.ok()) return bad;
    }
  }
}

// What tells of the process's end: the runner itself once it is known, else what was launched.
int RunnerProcess::Lifeline() const {
  return watched_.known() ? watched_.pidfd() : launched_.pidfd;
}

// Whether it died, made a call that it must not make, or takes too much.
Outcome RunnerProcess::LookAround(const char* during) {
  pollfd waits[3] = {{control_, 0, 0}, {Lifeline(), POLLIN, 0}, {listener_, POLLIN, 0}};
  const int ready = poll(waits, 3, 0);
  if (ready > 0 && (waits[2].revents & POLLIN) != 0) return Forbidden(during);
  if (ready > 0 && (waits[1].revents != 0 || (waits[0].revents & (POLLHUP | POLLERR)) != 0))
    return Ended(during);
  if (watched_.known() &&
      watched_.ResidentBytes() > options_.limits.memory_bytes + arena_->bytes()) {
    Kill();
    return {
        Outcome::Kind::kResources,
        "took more than " + std::to_string(options_.limits.memory_bytes >> 20) + " MiB of memory"};
  }
  return {};
}

Outcome RunnerProcess::Forbidden(const char* during) {
  const std::optional<CaughtCall> call = NextCall(listener_);
  if (!call.has_value()) return {};
  Kill();
  return {Outcome::Kind::kCheated,
          "made the system call " + CallName(call->number) + " " + during +
              ", which no kernel needs and none may make",
          kForbiddenCall};
}

Outcome RunnerProcess::TimedOut(Clock::duration deadline) {
  Kill();
  char text[80];
  std::snprintf(text, sizeof(text), "did not come back within %.1f s", Nanoseconds(deadline) / 1e9);
  return {Outcome::Kind::kTimeout, text};
}

// The process is gone, or has closed its end and is as good as gone.
Outcome RunnerProcess::Ended(const char* during) {
  // A dying process closes its files a moment before it is dead; one that closed its end and lives
  // on is not waited for.
  pollfd end = {Lifeline(), POLLIN, 0};
  while (poll(&end, 1, 1000) < 0 && errno == EINTR) {
  }
  const bool ended = end.revents != 0;
  if (!ended) {
    Kill();
    return {Outcome::Kind::kCheated, std::string("closed its connection with the judge ") + during,
            "closed its connection with the judge"};
  }
  const std::string limit = LimitReached(launched_);
  pollfd outer = {launched_.pidfd, POLLIN, 0};
  while (poll(&outer, 1, 2000) < 0 && errno == EINTR) {
  }
  int status = 0;
  SandboxEnd how{true, SIGKILL};
  if (waitpid(launched_.pid, &status, WNOHANG) == launched_.pid) {
    reaped_ = true;
    how = EndOf(launched_, status);
  }
  Kill();
  if (!limit.empty())
    return {Outcome::Kind::kResources, "used up its limit of " + limit + " " + during};
  return OutcomeOfEnd({how.signalled ? how.number : 0, how.signalled ? 0 : how.number}, during,
                      StandardError(), options_.limits.cpu_seconds);
}

Outcome RunnerProcess::Order(OrderKind kind, uint32_t call, std::span<const uint16_t> slots,
                             uint32_t count, Clock::duration deadline, OrderTimes* times,
                             const std::function<void()>& at_mark) {
  if (dead_) return {Outcome::Kind::kBroken, "the runner process has ended"};
  if (!serving_) {
    Command command;
    command.kind = CommandKind::kServe;
    Reply reply;
    if (Outcome outcome = Exchange(&command, kSetUpDeadline, &reply); !outcome.ok()) return outcome;
    serving_ = true;
  }
  // Between orders the process has nothing to say.
  if (HasSpoken()) {
    Kill();
    return Cheated("wrote a reply of its own to the judge");
  }
  page_->kind = kind;
  page_->call = call;
  page_->count = count;
  std::copy(slots.begin(), slots.end(), page_->slots);
  ++order_;
  const bool frozen = std::exchange(frozen_, false);
  // An order to a stopped process is there before it goes on, and timed from before that.
  const auto give = [this, frozen, order = order_] {
    begun_ = Clock::now().time_since_epoch().count();
    begun_ticks_ = SecondClock();
    page_->order.store(order, std::memory_order_release);
    if (frozen) watched_.Thaw();
    if (options_.patient) harness::WakeWaiting(&page_->order);
  };
  const Clock::time_point asked = Clock::now();
  if (frozen && hand_over_)
    hand_over_(give);
  else
    give();
  // When the last look that saw no answer began: a judge that is held up anywhere after it is late.
  Clock::time_point last = asked;
  Clock::time_point now = asked, looked = asked;
  for (;; now = Clock::now()) {
    const uint32_t answer = page_->answer.load(std::memory_order_acquire);
    if (answer == order_) break;
    last = now;
    if (options_.patient) {
      harness::WaitForChange(&page_->answer, answer, kMostWaitNs);
    } else {
      harness::Pause();  // the core's other hardware thread may be the one that is timed
    }
    if (now - looked < kLook) continue;
    if (now - asked > deadline) return TimedOut(deadline);
    if (Outcome bad = LookAround(During(kind)); !bad.ok()) return bad;
    const double waited = Nanoseconds(now - asked);
    if (!options_.patient && waited > kSpinNs) {
      const auto nap = static_cast<long>(waited / kSleepShare);
      const timespec sleep = {nap / 1000000000, nap % 1000000000};
      pollfd life = {Lifeline(), POLLIN, 0};
      ppoll(&life, 1, &sleep, nullptr);
    }
    looked = now;
    last = Clock::now();  // what the judge does of its own accord spoils no window
  }
  const Clock::time_point end = Clock::now();
  times->ticks = SecondClock() - begun_ticks_;
  if (at_mark) at_mark();
  const Clock::time_point begin{Clock::duration(begun_.load())};
  times->ns = Nanoseconds(end - begin);
  times->late_ns = Nanoseconds(end - last);
  return {};
}

Outcome RunnerProcess::Touch(uint32_t call, std::span<const uint16_t> slots,
                             Clock::duration deadline, OrderTimes* times) {
  return Order(OrderKind::kTouch, call, slots, static_cast<uint32_t>(slots.size()), deadline, times,
               nullptr);
}

Outcome RunnerProcess::Call(uint32_t call, std::span<const uint16_t> slots,
                            Clock::duration deadline, OrderTimes* times,
                            const std::function<void()>& at_mark) {
  if (!options_.device.on_host()) return CallOnDevice(call, slots, deadline, times);
  return Order(OrderKind::kCall, call, slots, static_cast<uint32_t>(slots.size()), deadline, times,
               at_mark);
}

Outcome RunnerProcess::CallOnDevice(uint32_t call, std::span<const uint16_t> slots,
                                    Clock::duration deadline, OrderTimes* times) {
  OrderTimes there, back;
  Outcome outcome = Order(OrderKind::kUpload, call, slots, static_cast<uint32_t>(slots.size()),
                          kOrderDeadline, &there, nullptr);
  if (outcome.ok() && !options_.patient) {
    OrderTimes touched;
    outcome = Touch(call, slots, kOrderDeadline, &touched);
    there.ns += touched.ns;
  }
  if (outcome.ok())
    outcome = Order(OrderKind::kCall, call, slots, static_cast<uint32_t>(slots.size()), deadline,
                    times, nullptr);
  if (outcome.ok())
    outcome = Order(OrderKind::kFetch, call, slots, static_cast<uint32_t>(slots.size()),
                    kOrderDeadline, &back, nullptr);
  times->around_ns = there.ns + back.ns;
  return outcome;
}

Outcome RunnerProcess::CallNothing(uint32_t call, std::span<const uint16_t> slots,
                                   OrderTimes* times) {
  return Order(OrderKind::kNothing, call, slots, static_cast<uint32_t>(slots.size()),
               kOrderDeadline, times, nullptr);
}

Outcome RunnerProcess::Copy(uint32_t call, std::span<const uint16_t> slots, OrderTimes* times) {
  return Order(OrderKind::kCopy, call, slots, static_cast<uint32_t>(slots.size()), kOrderDeadline,
               times, nullptr);
}

Outcome RunnerProcess::SetUp(uint32_t call, Clock::duration deadline, OrderTimes* times) {
  return Order(OrderKind::kSetUp, call, {}, 0, deadline, times, nullptr);
}

Outcome RunnerProcess::TearDown(uint32_t call, Clock::duration deadline, OrderTimes* times) {
  return Order(OrderKind::kTearDown, call, {}, 0, deadline, times, nullptr);
}

Outcome RunnerProcess::MeasureClock(double* ghz) {
  constexpr uint32_t kThousands = 50;  // chains of 2000 additions each: see CountCycles
  // The fastest is the one that nothing held up. Among few all may have been, on a busy machine:
  // then no two agree, or the judge was late for all of them.
  constexpr int kRepeats = 5, kMostRepeats = 60;
  constexpr double kAgree = 1.05;
  double next = 0;
  bool seen_in_time = false;
  *ghz = 0;
  for (int i = 0; i < kRepeats || (i < kMostRepeats && (!seen_in_time || *ghz > kAgree * next));
       ++i) {
    OrderTimes times;
    Outcome outcome = Order(OrderKind::kClock, 0, {}, kThousands, kOrderDeadline, &times, nullptr);
    if (!outcome.ok()) return outcome;
    const double now = kThousands * 2000.0 / times.ns;
    seen_in_time = seen_in_time || times.late_ns < (kAgree - 1) * times.ns;
    next = std::max(next, std::min(*ghz, now));
    *ghz = std::max(*ghz, now);
  }
  return {};
}

Outcome RunnerProcess::Freeze() {
  if (dead_ || frozen_) return {};
  frozen_ = watched_.Freeze();
  if (frozen_) return {};
  Kill();
  return Cheated("could not be stopped between the judge's orders");
}

void RunnerProcess::Thaw() {
  if (dead_ || !frozen_) return;
  watched_.Thaw();
  frozen_ = false;
}

std::string RunnerProcess::StandardOutput() const {
  return ReadUpTo(output_, options_.limits.output_bytes);
}
std::string RunnerProcess::StandardError() const {
  return ReadUpTo(error_, options_.limits.output_bytes);
}

}  // namespace kev
