import Testing

/// The built programs, and the clients that people have: socat, a few lines of Python, kmesh-bypassctl.
@Suite(.serialized) enum EndToEndTests {}
