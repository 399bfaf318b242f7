#ifndef KMESH_BUILD_VERSION_H
#define KMESH_BUILD_VERSION_H

#include <stdbool.h>
#include <stdint.h>

// What the working copy was when the program was built (Package.swift). In C, and not in the header: with another commit, this
// one file is compiled, and the programs are linked.

/// The first eight digits of the commit, as a number; 0 if it is not known.
uint32_t kmesh_build_commit(void);
/// Whether files differed from the commit.
bool kmesh_build_modified(void);
/// Whether the commit has the tag of a release.
bool kmesh_build_release(void);

#endif
