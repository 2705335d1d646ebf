// kevolve access: an engine's keys for one role, as a file to hand out.
#include <filesystem>
#include <iostream>

#include "queue/access.h"
#include "tools/kevolve/commands.h"
#include "tools/live/engine_folder.h"
#include "tools/live/exit_code.h"

namespace kev {

int AccessCommand(const AccessOptions& options) {
  std::string from = options.from;
  std::error_code none;
  if (from.find('/') == std::string::npos && !std::filesystem::is_regular_file(from, none))
    from = EngineFolder{EnginesFolder() + "/" + from}.Access();
  const Result<Access> access = ReadAccessFile(from);
  if (!access) {
    Error error = access.error();
    if (error.code == Code::kNotFound)
      error.message += "; an engine that listens (`" + CommandName() +
                       " engine --listen tcp://…`) makes it when it starts; one that was started "
                       "with --access FILE has it there: name "
                       "that file";
    return Complain(error);
  }
  const Role role = options.role == "worker"   ? Role::kWorker
                    : options.role == "client" ? Role::kClient
                                               : Role::kAdmin;
  std::error_code error;
  if (std::filesystem::exists(options.output, error))
    return Complain({Code::kExists, options.output + " exists already; it is not overwritten"});
  const Access copy = CopyFor(*access, role);
  if (const auto keys = copy.peers.find(role);
      keys == copy.peers.end() || keys->second.secret_key.empty()) {
    return Complain({Code::kPermission, from + " has no keys for " + WithArticle(role) +
                                            "; use the engine's own file"});
  }
  if (const Status s = WriteAccessFile(options.output, copy); !s.ok()) return Complain(s.error());
  std::cout << options.output << " lets " << WithArticle(role) << " in; give it to nobody else\n";
  return kExitDone;
}

}  // namespace kev
