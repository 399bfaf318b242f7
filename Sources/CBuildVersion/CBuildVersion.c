#include "CBuildVersion.h"

uint32_t kmesh_build_commit(void) { return COMMIT; }

bool kmesh_build_modified(void) { return MODIFIED; }

bool kmesh_build_release(void) { return RELEASE; }
