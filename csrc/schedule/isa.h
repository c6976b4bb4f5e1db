// Which of the compiled instruction sets this machine runs. FASTSYNTH_ISA in the environment picks a lesser one.
#pragma once

namespace fastsynth {

const char* isa_name();
const char* isa_names();  // all that were built

}  // namespace fastsynth
