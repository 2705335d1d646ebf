// kevolve-verify: the stage process that checks outputs.
#include "stages/sdk/stage.h"
#include "stages/verify/verify.h"

int main(int argc, char** argv) {
  kev::StageProgram program;
  program.program = "verify";
  program.handler = [](std::string_view stage) -> kev::StageHandler {
    if (stage == "verify") return kev::HandleVerify;
    return nullptr;
  };
  return kev::RunStage(argc, argv, program);
}
