// A program that tries what confined code must not be able to do. It prints what it got, or "no"
// and the errno. Plain system calls, so that what refuses is the sandbox and not a library.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

int Tell(bool done) {
  if (done)
    printf("yes\n");
  else
    printf("no: %s\n", strerrorname_np(errno));
  return 0;
}

int ReadFile(const char* path) {
  const int file = open(path, O_RDONLY);
  char text[256];
  const ssize_t got = file < 0 ? -1 : read(file, text, sizeof text);
  if (got < 0) return Tell(false);
  fwrite(text, 1, static_cast<size_t>(got), stdout);
  return 0;
}

int WriteFile(const char* path) {
  const int file = open(path, O_WRONLY | O_CREAT, 0644);
  return Tell(file >= 0 && write(file, "x", 1) == 1);
}

int Connect(const char* port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(atoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  return Tell(socket_fd >= 0 &&
              connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

// Leaves group, session and parent as far as it may; whoever is left holds descriptor 5 open.
int Leave() {
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      setsid();
      for (;;) pause();
    }
    _exit(0);
  }
  wait(nullptr);
  printf("left\n");
  fflush(stdout);
  for (;;) pause();
}

int Fill(const char* folder) {
  long mebibytes = 0;
  const size_t size = 1 << 20;
  char* block = static_cast<char*>(malloc(size));
  memset(block, 1, size);
  for (int number = 0; number < 4096; ++number) {
    char path[256];
    snprintf(path, sizeof path, "%s/fill-%d", folder, number);
    const int file = open(path, O_WRONLY | O_CREAT, 0644);
    if (file < 0 || write(file, block, size) != static_cast<ssize_t>(size)) break;
    close(file);
    ++mebibytes;
  }
  printf("%ld\n", mebibytes);
  return 0;
}

int ForkMany() {
  int count = 0;
  while (count < 2000) {
    const pid_t child = fork();
    if (child < 0) break;
    if (child == 0)
      for (;;) pause();
    ++count;
  }
  printf("%d\n", count);
  return 0;
}

// Private memory, touched.
int Allocate() {
  for (int mebibytes = 16; mebibytes <= 4096; mebibytes += 16) {
    void* place =
        mmap(nullptr, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return Tell(false);
    memset(place, 1, 16 << 20);
  }
  return Tell(true);
}

int PrintEnvironment() {
  for (char** variable = environ; *variable != nullptr; ++variable) puts(*variable);
  return 0;
}

int OpenDescriptors() {
  for (int fd = 0; fd < 256; ++fd)
    if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd);
  printf("\n");
  return 0;
}

int Capabilities() {
  // Whatever there is a capability for: changing the root needs one and harms nobody.
  return Tell(chroot("/") == 0);
}

[[noreturn]] void Spin() {
  printf("spinning\n");
  fflush(stdout);
  for (volatile long n = 0;; (void)n) {
  }
}

int Run(const char* what, const char* argument) {
  const auto is = [&](const char* name) { return strcmp(what, name) == 0; };
  if (is("read")) return ReadFile(argument);
  if (is("write")) return WriteFile(argument);
  if (is("unlink")) return Tell(unlink(argument) == 0);
  if (is("connect")) return Connect(argument);
  if (is("signal")) return Tell(kill(atoi(argument), 0) == 0);
  if (is("ptrace")) return Tell(ptrace(PTRACE_ATTACH, atoi(argument), 0, 0) == 0);
  if (is("leave")) return Leave();
  if (is("fill")) return Fill(argument);
  if (is("fork")) return ForkMany();
  if (is("allocate")) return Allocate();
  if (is("environment")) return PrintEnvironment();
  if (is("descriptors")) return OpenDescriptors();
  if (is("mount")) return Tell(mount("tmpfs", "/tmp", "tmpfs", 0, nullptr) == 0);
  if (is("unshare")) return Tell(unshare(CLONE_NEWUSER) == 0);
  if (is("capabilities")) return Capabilities();
  if (is("abort")) abort();
  if (is("exit")) return atoi(argument);
  if (is("spin")) Spin();
  return 64;
}

}  // namespace

int main(int count, char** words) {
  if (count < 2) return 64;
  return Run(words[1], count > 2 ? words[2] : "");
}
