// kevolve-profile: the stage process that measures.
#include "stages/profile/profile.h"
#include "stages/sdk/stage.h"

int main(int argc, char** argv) {
  kev::StageProgram program;
  program.program = "profile";
  program.handler = [](std::string_view stage) -> kev::StageHandler {
    if (stage == "profile") return kev::HandleProfile;
    return nullptr;
  };
  return kev::RunStage(argc, argv, program);
}
