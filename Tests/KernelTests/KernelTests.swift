import Testing

/// Tests of what the daemon does to the kernel, by what somebody sees who connects, or who lists rules.
///
/// One after the other: each counts its own process's descriptors.
@Suite(.serialized) enum KernelTests {}
