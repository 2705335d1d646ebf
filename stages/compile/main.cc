// kevolve-compile: the stage process that compiles.
#include "stages/compile/compile.h"

int main(int argc, char** argv) {
  kev::StageProgram program;
  program.program = "compile";
  program.handler = [](std::string_view stage) -> kev::StageHandler {
    if (stage == "compile") return kev::HandleCompile;
    return nullptr;
  };
  return kev::RunStage(argc, argv, program);
}
