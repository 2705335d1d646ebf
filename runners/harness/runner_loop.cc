#include "runners/harness/runner_loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace kev::harness {
namespace {

constexpr long kMostWaitNs = 100'000'000;

bool g_patient = false;

char* Map(int fd, uint64_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

// Both files one behind the other.
char* MapArena(uint64_t bytes, uint64_t input_bytes) {
  void* at = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  char* base = static_cast<char*>(at);
  const int flags = MAP_SHARED | MAP_POPULATE | MAP_FIXED;
  if (input_bytes > 0 && mmap(base, input_bytes, PROT_READ, flags, kInputsFd, 0) == MAP_FAILED)
    return nullptr;
  if (mmap(base + input_bytes, bytes - input_bytes, PROT_READ | PROT_WRITE, flags, kArenaFd, 0) ==
      MAP_FAILED)
    return nullptr;
  close(kInputsFd);
  close(kArenaFd);
  return base;
}

Mapped MapShared(const Command& command, Reply* reply) {
  signal(SIGXFSZ, SIG_IGN);  // printing too much is cut off, not deadly
  g_patient = command.patient != 0;
  Mapped mapped;
  mapped.arena = MapArena(command.arena_bytes, command.input_bytes);
  mapped.arena_bytes = command.arena_bytes;
  mapped.page_file = Map(kPageFd, command.page_bytes);
  if (mapped.arena == nullptr || mapped.page_file == nullptr)
    Say(reply, ReplyStatus::kBroken, "mapping the arrays", strerror(errno));
  return mapped;
}

void ServeOrders(const Mapped& mapped, Backend* backend) {
  auto* page = reinterpret_cast<OrderPage*>(mapped.page_file);
  for (uint32_t done = page->answer.load();;) {
    uint32_t order = page->order.load(std::memory_order_acquire);
    while (order == done) {
      if (g_patient) {
        WaitForChange(&page->order, done, kMostWaitNs);
      } else {
        Pause();
      }
      order = page->order.load(std::memory_order_acquire);
    }
    // What was printed must reach the judge even when the process is killed later; not while timed.
    if (page->kind != OrderKind::kCall) fflush(nullptr);
    backend->Obey(*page);
    done = order;
    const bool leave = page->kind == OrderKind::kLeave;
    page->answer.store(done, std::memory_order_release);
    if (g_patient) WakeWaiting(&page->answer);
    if (leave) return;
  }
}

bool SendReply(const Reply& reply, int listener) {
  iovec part = {const_cast<Reply*>(&reply), sizeof(reply)};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (listener >= 0) {
    message.msg_control = space;
    message.msg_controllen = sizeof(space);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &listener, sizeof(int));
  }
  return sendmsg(kControlFd, &message, MSG_NOSIGNAL) >= 0;
}

}  // namespace

void Say(Reply* reply, ReplyStatus status, const char* what, const char* why) {
  reply->status = status;
  snprintf(reply->message, sizeof(reply->message), "%.100s: %.380s", what, why);
}

// Each addition waits for the one before: one cycle a step on every CPU of the last twenty years.
// Of two registers, since some CPUs add small constants while they rename.
void CountCycles(uint32_t thousands) {
  uint64_t sum = 1;
  const uint64_t step = thousands;
  for (uint64_t i = 0; i < uint64_t{thousands} * 20; ++i) {
#define KEV_TEN(x) x x x x x x x x x x
#if defined(__x86_64__)
    KEV_TEN(KEV_TEN(__asm__ volatile("addq %1, %0" : "+r"(sum) : "r"(step));))
#else
    KEV_TEN(KEV_TEN(__asm__ volatile("" : "+r"(sum)); sum += step;))
#endif
#undef KEV_TEN
  }
}

int RunServing(const char* program, Backend* backend) {
  if (fcntl(kControlFd, F_GETFD) < 0 || fcntl(kArenaFd, F_GETFD) < 0) {
    fprintf(stderr,
            "%s runs kernels for kevolve's judge and is started by it; see runners/README.md\n",
            program);
    return 64;
  }
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  close_range(kInputsFd + 1, ~0u, 0);
  static Command command;
  static Reply reply;
  Mapped mapped;
  for (;;) {
    const ssize_t got = recv(kControlFd, &command, sizeof(command), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(sizeof(command))) _exit(0);  // the judge is done
    reply = Reply();
    reply.nonce = command.nonce;
    int listener = -1;
    switch (command.kind) {
      case CommandKind::kConfigure:
        mapped = MapShared(command, &reply);
        if (reply.status == ReplyStatus::kDone) backend->Configure(command, mapped, &reply);
        break;
      case CommandKind::kDefine:
        backend->Define(command, &reply);
        break;
      case CommandKind::kConfine:
        listener = backend->Confine(command, &reply);
        break;
      case CommandKind::kLoad:
        backend->Load(command, &reply);
        break;
      case CommandKind::kServe:
        break;
    }
    fflush(nullptr);
    if (!SendReply(reply, listener)) _exit(0);
    if (listener >= 0) close(listener);
    if (command.kind == CommandKind::kServe) ServeOrders(mapped, backend);
  }
}

}  // namespace kev::harness
