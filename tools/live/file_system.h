// What the disk says and keeps: free space, kind of file system, and small files that are on the
// disk when the call returns.
//
// Threads: functions on values. Errors: kDiskFull, kPermission, kUnavailable, with the path.
#ifndef KEV_TOOLS_LIVE_FILE_SYSTEM_H_
#define KEV_TOOLS_LIVE_FILE_SYSTEM_H_

#include <cstdint>
#include <optional>
#include <string>

#include "engine/core/result.h"

namespace kev {

Result<uint64_t> FreeBytes(const std::string& path);
uint64_t FolderBytes(const std::string& path);  // what its files take up; links are not followed

// "NFS", "Lustre", … when files there live on other machines; nullopt for a local disk.
std::optional<std::string> NetworkFileSystem(const std::string& path);
// The same by statfs's f_type.
std::optional<std::string> NetworkFileSystemOf(uint64_t magic);

// "64M", "1.5G", "800000": bytes; K, M, G and T are powers of 1024. nullopt when it is none.
std::optional<uint64_t> BytesFrom(const std::string& text);
std::string BytesText(uint64_t bytes);  // "12.3 MiB"

// Writes a small file: by temporary name, synced, renamed, and the folder synced.
Status WriteDurably(const std::string& path, const std::string& text);
// The first word of a small file; empty when there is none.
std::string FirstWordOf(const std::string& path);
// A socket at `path` fits into the system's limit.
Status CheckSocketPath(const std::string& path);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_FILE_SYSTEM_H_
