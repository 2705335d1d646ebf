// SyncFolderOf: what was made or renamed beside `path` is on the disk when it returns. Threads:
// any. Errors: kInternal with the folder.
#ifndef KEV_QUEUE_SYNC_FOLDER_H_
#define KEV_QUEUE_SYNC_FOLDER_H_

#include <string>

#include "engine/core/result.h"

namespace kev {

Status SyncFolderOf(const std::string& path);

}  // namespace kev

#endif  // KEV_QUEUE_SYNC_FOLDER_H_
