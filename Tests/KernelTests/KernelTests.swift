import Testing

/// Tests of what the daemon does to the kernel, as a client that connects, or lists rules, sees it.
///
/// One after the other: each counts its own process's descriptors.
@Suite(.serialized) enum KernelTests {}
