#include "tools/live/engine_folder.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tools/live/file_system.h"

namespace kev {

namespace fs = std::filesystem;

std::string EnginesFolder() { return HomeFolder() + "/engine"; }

Result<EngineFolder> MakeEngineFolder(const std::string& name) {
  if (Status s = CheckHome(); !s.ok()) return s.error();
  if (!IsRunId(name)) {
    return Error{Code::kInvalid, "'" + name +
                                     "' cannot be an engine's name: use letters, digits, '-', '_' "
                                     "and '.', and do not begin with '.'"};
  }
  const EngineFolder folder{EnginesFolder() + "/" + name};
  if (Status s = CheckSocketPath(folder.RedisSocket()); !s.ok()) return s.error();
  std::error_code error;
  fs::create_directories(folder.Logs(), error);
  if (error) {
    return Error{error == std::errc::no_space_on_device ? Code::kDiskFull : Code::kPermission,
                 "cannot make the engine's folder " + folder.path + ": " + error.message() +
                     " (set KEVOLVE_HOME to a folder that you can write to)"};
  }
  chmod(folder.path.c_str(), 0700);
  return folder;
}

Result<EngineFolder> EngineOf(const RunFolder& run) {
  std::ifstream in(run.Engine());
  if (!in) return EngineFolder{run.path};
  std::string path;
  std::getline(in, path);
  std::error_code error;
  if (path.empty() || !fs::is_directory(path, error)) {
    return Error{Code::kCorrupt, run.Engine() + " names the engine that has run " + run.id +
                                     " as '" + path +
                                     "', and there is no such folder: was it removed or moved?"};
  }
  return EngineFolder{path};
}

Status AssignTo(const RunFolder& run, const EngineFolder& engine) {
  return WriteDurably(run.Engine(), engine.path + "\n");
}

Status CheckStoreFiles(const EngineFolder& engine) {
  if (FirstWordOf(engine.StoreName()).empty()) return {};  // nothing was kept yet
  const std::string files = engine.Redis() + "/appendonlydir";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(files, error)) {
    if (entry.path().extension() == ".manifest") return {};
  }
  return Error{Code::kConflict,
               engine.StoreName() + " says that data was kept in " + engine.Redis() +
                   ", and its append-only files (appendonlydir) are gone. Nothing was started. "
                   "Put them back; if they are lost for good, remove the run with `" +
                   CommandName() + " rm`"};
}

std::string StoreAddress(const EngineFolder& engine) {
  std::ifstream in(engine.StoreUrl());
  std::string url;
  std::getline(in, url);
  return url.empty() ? "unix:" + engine.RedisSocket() : url;
}

Result<std::string> EndpointFrom(const std::string& text) {
  if (text.find("://") != std::string::npos) {
    if (text.starts_with("ipc://") || text.starts_with("tcp://")) return text;
    return Error{Code::kInvalid, "'" + text +
                                     "' is no engine's address; write ipc:///path/engine.sock, "
                                     "tcp://HOST:PORT, or the name of an engine on this machine"};
  }
  std::error_code error;
  if (text.find('/') != std::string::npos) {
    const fs::path path = fs::absolute(text, error);
    return "ipc://" + (fs::is_directory(path, error) ? (path / "engine.sock") : path).string();
  }
  const EngineFolder folder{EnginesFolder() + "/" + text};
  if (!fs::is_directory(folder.path, error)) {
    return Error{Code::kNotFound, "there is no engine '" + text + "' in " + EnginesFolder() +
                                      "; start one with `" + CommandName() + " engine --name " +
                                      text + "`, or write the address of another"};
  }
  return folder.Endpoint();
}

}  // namespace kev
